import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { createAgentLiveness } from '../api/agent-liveness.ts';
import type { ApiDeps } from '../api/deps.ts';
import { createMetrics } from '../api/metrics.ts';
import { createCertificateSignIn } from '../api/middleware/certificate.ts';
import { startApi, type ApiListener, type RunningApi } from '../api/server.ts';
import { AppError } from '../domain/error.ts';
import type { CertificateAuthority } from '../infra/ca/contract.ts';
import type { Config } from '../infra/config/config.ts';
import { riskTableOf } from '../infra/config/risk-table.ts';
import { listenForEvents, type EventListener } from '../infra/db/listen.ts';
import type { Database } from '../infra/db/schema.ts';
import { errnoOf } from '../infra/errno.ts';
import { watchLinks } from '../infra/link/watch.ts';
import type { ComposedPolicyEngine } from '../infra/policy/engine.ts';
import { adminListenerOf, adminUrlOf, openCertificates } from './certificates.ts';
import { connectorDoor } from './connector-door.ts';
import type { Hosts } from './hosts.ts';
import { ceilingsOf } from './ceilings.ts';
import { createWebhookSender } from '../infra/webhook/sender.ts';
import { openModels } from './models.ts';
import { openTokens } from './oidc.ts';
import { pathsIn, VERSION } from './paths.ts';
import { policyMetrics } from './policy.ts';
import type { Secrets } from './secrets.ts';
import type { TemporalSide } from './temporal.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;

export interface ApiParts {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly db: Kysely<Database>;
  readonly temporal: TemporalSide;
  readonly hosts: Hosts;
  readonly secrets: Secrets;
  /** What the gate asks. */
  readonly policy: ComposedPolicyEngine;
  readonly log: Logger;
}

export interface RunningListeners {
  readonly url: string;
  readonly adminUrl: string;
  /** Null where the admin listener asks for no certificates. */
  readonly authority: CertificateAuthority | null;
  close(): Promise<void>;
}

/** The public listener and the admin one, over the same parts. */
export async function startListeners(parts: ApiParts): Promise<RunningListeners> {
  const { listen } = parts.config;
  const started = new AsyncDisposableStack();
  try {
    const events = await listenForEvents({
      url: parts.databaseUrl,
      onError: (error) => parts.log.warn({ err: error }, 'listening for events'),
    });
    started.defer(() => events.close());
    const webhooks = createWebhookSender({ ...parts.config.webhooks, version: VERSION });
    started.defer(() => webhooks.close());
    const models = openModels(parts);
    started.defer(() => models.close());
    const authority = await openCertificates(parts.config, parts.secrets);
    const adminListener = adminListenerOf(parts.config, authority);
    let adminPort = adminListener.port;
    const adminUrl = (): string => adminUrlOf(parts.config, adminPort);
    const deps = {
      ...depsOf(parts, events),
      webhooks,
      models,
      ...(authority === null ? {} : { ...certificatesOf(parts), office: { authority, adminUrl } }),
    };
    const start = async (listener: ApiListener): Promise<RunningApi> => {
      const api = await startApi(deps, listener).catch((error: unknown) => {
        throw inWords(error, listener);
      });
      started.defer(() => api.close());
      return api;
    };
    const api = await start({ kind: 'public', hostname: listen.host, port: listen.port });
    parts.hosts.listensAt(api.url);
    const { hub } = parts.hosts.door;
    const watching = watchLinks({ hub, db: parts.db, events, log: parts.log });
    started.defer(() => watching.stop());
    const adminApi = await start(adminListener);
    adminPort = Number(new URL(adminApi.url).port);
    return { url: api.url, adminUrl: adminApi.url, authority, close: () => started.disposeAsync() };
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

export function depsOf(
  parts: ApiParts,
  events: EventListener,
): Omit<ApiDeps, 'webhooks' | 'models'> {
  const { config, db, temporal, hosts, secrets, policy, log } = parts;
  const { approvals } = config;
  const hostOf: ApiDeps['host'] = (hostId) => hosts.clientOf(hostId);
  return {
    db,
    temporal: temporal.client,
    host: hostOf,
    agents: createAgentLiveness({ temporal: temporal.client, host: hostOf }),
    link: hosts.door,
    probe: hosts.probe,
    config: {
      version: VERSION,
      documents: {
        root: pathsIn(config.dataDir).workspaces,
        fileBytesMax: config.documents.fileBytes,
        filesMax: config.documents.perWorkspace,
        bytesMax: config.documents.bytesPerWorkspace,
      },
      webhooksPerWorkspace: config.webhooks.perWorkspace,
      idempotencyKeepMs: config.retention.idempotencyDays * DAY_MS,
      limits: ceilingsOf(config),
      risks: riskTableOf(approvals),
      approvalPolicy: {
        quorum: approvals.quorum,
        remindAfterMs: approvals.remindAfterMs,
        escalateAfterMs: approvals.escalateAfterMs,
        expireAfterMs: approvals.expiryMs,
      },
    },
    secrets,
    policy,
    opa: policy.opa,
    ...openTokens(parts),
    events,
    metrics: createMetrics({ temporal: temporal.client, others: [policyMetrics] }),
    logger: log,
    clock: { now: () => Date.now() },
    connectors: connectorDoor(parts),
    codec: temporal.codec === null ? null : { codec: temporal.codec, uiOrigin: temporal.uiOrigin },
  };
}

function certificatesOf({ db }: ApiParts): Pick<ApiDeps, 'certificates'> {
  return { certificates: createCertificateSignIn({ db, clock: { now: () => Date.now() } }) };
}

const PORT_SETTINGS = { public: 'listen.port', admin: 'admin.port' } as const;

function inWords(error: unknown, { kind, hostname, port, tls }: ApiListener): unknown {
  if (errnoOf(error) !== 'EADDRINUSE') return error;
  return new AppError(
    'conflict',
    `Port ${port} of ${hostname} is in use. Stop what uses it, or choose another with --set ${tls === undefined ? PORT_SETTINGS[kind] : 'admin.tlsPort'}=<port>.`,
    { cause: error },
  );
}
