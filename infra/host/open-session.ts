import { randomBytes } from 'node:crypto';
import type { Fact, Isolation } from '../../domain/fact.ts';
import type { SessionSpec } from '../../domain/session.ts';
import { adapters } from '../agents/registry.ts';
import type { CheckpointLimits } from './checkpoint.ts';
import type { Containment } from './containment.ts';
import { openEgress, type Egress } from './egress.ts';
import { serveHook, type HookEndpoint } from './hooks.ts';
import type { HostOptions } from './host.ts';
import { makeDirs, prepareLaunch, sessionCommand, sessionEnv } from './launch.ts';
import { createLiveMask } from './mask.ts';
import { openOutputLog, type OutputLog } from './output-log.ts';
import { Session } from './session.ts';
import { refusals, trimWarning } from './warnings.ts';

interface OpenSession {
  readonly spec: SessionSpec;
  readonly tell: (fact: Fact) => Promise<void>;
  readonly options: HostOptions;
  readonly isolation: Isolation;
  readonly containment: Containment;
  readonly checkpoints: CheckpointLimits;
  /** Where the model gateway is at this moment. */
  readonly gateway: () => string | null;
  /** Of the session's egress; null where the session is not isolated. */
  readonly socketPath: string | null;
  readonly onExit: (session: Session, egress: Egress) => void;
}

/** Folders, egress, cage and log of a session, and the CLI in them. What was opened is closed again where it fails. */
export async function openSession(parts: OpenSession): Promise<Session> {
  const { spec, tell, options, isolation, gateway, socketPath } = parts;
  const { dataDir, launch, onFault } = options;
  const { agentId, epoch } = spec;
  const adapter = adapters[spec.type];
  const dirs = await makeDirs(dataDir, spec, launch);
  const hookToken = randomBytes(24).toString('base64url');
  const request = {
    spec,
    adapter,
    dirs,
    hookToken,
    settings: launch,
    isolation,
    hasGateway: gateway() !== null,
  };
  const prepared = await prepareLaunch(request);
  const mask = createLiveMask(secretsOf(spec));
  let session: Session | null = null;
  const onHook: HookEndpoint['onHook'] = (hook) => session?.hook(hook);
  const egress = await openEgress({
    socketPath,
    allow: [...spec.egressAllow, ...prepared.launch.egressHosts],
    gateway,
    binding: spec.keys?.binding ?? null,
    onHook: (hookRequest, response) => {
      const endpoint = { token: hookToken, adapter, mask, onHook };
      serveHook(endpoint, hookRequest, response).catch(() => response.destroy());
    },
    onRefused: refusals(tell),
  });
  const cage = await parts.containment.cage(`${agentId}-${epoch}`, spec.limits);
  const log = await openLog({ spec, directory: dirs.log, tell, session: () => session });
  const command = { ...request, prepared, cageEnv: cage.env };
  const routed = { ...command, egress: { socketPath, proxyUrl: egress.proxyUrl } };
  try {
    session = new Session({
      spec,
      adapter,
      dirs,
      prepared,
      cage,
      log,
      tell,
      onFault,
      isolation,
      argv: cage.enter(await sessionCommand(routed)),
      env: sessionEnv(routed),
      mask,
      checkpoints: parts.checkpoints,
      onExit: (over) => parts.onExit(over, egress),
    });
    return session;
  } catch (error) {
    await egress.close();
    await cage.destroy();
    throw error;
  }
}

interface LogParts extends Pick<OpenSession, 'spec' | 'tell'> {
  readonly directory: string;
  readonly session: () => Session | null;
}

function openLog({ spec, directory, tell, session }: LogParts): Promise<OutputLog> {
  return openOutputLog({
    directory,
    bytesMax: spec.limits.outputBytesMax,
    cols: spec.cols,
    rows: spec.rows,
    onDiskFull: (isFull) => {
      session()?.setDiskFull(isFull);
      void tell(
        isFull
          ? {
              kind: 'warning',
              code: 'output_paused_disk_full',
              message: 'The disk of the host is full: the terminal waits until there is room.',
            }
          : { kind: 'warning', code: 'output_resumed', message: 'There is room again.' },
      );
    },
    onWritten: () => session()?.written(),
    onTrimmed: trimWarning(tell),
  });
}

function secretsOf({ env, secretNames, keys }: SessionSpec): string[] {
  const own = [keys?.gateway ?? '', keys?.mcp ?? ''];
  return [...secretNames.map((name) => env[name] ?? ''), ...own].filter((value) => value !== '');
}
