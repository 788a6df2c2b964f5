import { rm, stat } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '../../domain/error.ts';
import type { DeliveryOutcome, Fact, Isolation } from '../../domain/fact.ts';
import type { AgentId } from '../../domain/id.ts';
import type { Delivery, SessionSpec } from '../../domain/session.ts';
import type { CheckpointLimits } from './checkpoint.ts';
import { packCheckpoint } from './checkpoint-archive.ts';
import type { Containment } from './containment.ts';
import { HOST_PROTOCOL } from './contract.ts';
import type {
  CheckpointRestore,
  EgressTargets,
  HostHello,
  LeaseRenewal,
  StartedSession,
  StopOptions,
  StoppedSession,
} from './contract.ts';
import type { Egress } from './egress.ts';
import type { HostRecord } from './host-record.ts';
import { sandboxOver } from './isolation.ts';
import { createTurns } from './in-turn.ts';
import type { FactJournal } from './journal.ts';
import type { LaunchSettings } from './launch.ts';
import { Lease } from './lease.ts';
import { openSession } from './open-session.ts';
import { openOutputLog } from './output-log.ts';
import type { OutputLog } from './output-log.ts';
import { mustRun, restoreCheckpoint } from './restore.ts';
import type { Session } from './session.ts';
import { giveTask } from './task.ts';

export interface HostOptions {
  /** Journal, logs, sessions, checkpoints. One host at a time owns it. */
  readonly dataDir: string;
  readonly version: string;
  readonly slotsMax: number;
  /** What all sessions may use together: told to whoever places agents. Null or absent: no limit of ours. */
  readonly memoryBytes?: number | null;
  readonly launch: LaunchSettings;
  readonly egress: EgressTargets;
  /** Without a renewed lease for this long, by the monotonic clock, all sessions are frozen. Design: 120 s. */
  readonly freezeAfterMs: number;
  /** Null: find out. Tests of a host without isolation say so. */
  readonly isolation: Isolation | null;
  /** What a checkpoint may hold. Absent: a gibibyte of anything. */
  readonly checkpoints?: CheckpointLimits;
  readonly onFault: (what: string, cause: unknown) => void;
}

const CHECKPOINTS: CheckpointLimits = { bytesMax: 1024 ** 3, exclude: [] };

/** All sessions of one machine. */
export class Host {
  readonly #options: HostOptions;
  readonly record: HostRecord;
  readonly journal: FactJournal;
  readonly isolation: Isolation;
  readonly #containment: Containment;
  readonly #checkpoints: CheckpointLimits;
  readonly #lease: Lease;
  readonly #sessions = new Map<AgentId, Session>();
  readonly #ended = new Map<AgentId, StoppedSession>();
  readonly #logs = new Map<AgentId, OutputLog>();
  /** Starts and stops of one agent happen one after the other. */
  readonly #inTurn = createTurns<AgentId>();
  readonly #delivering = new Map<string, Promise<DeliveryOutcome>>();
  #egress: EgressTargets;
  #isDraining = false;
  #sockets = 0;

  constructor(parts: {
    options: HostOptions;
    record: HostRecord;
    journal: FactJournal;
    isolation: Isolation;
    containment: Containment;
  }) {
    this.#options = parts.options;
    this.record = parts.record;
    this.journal = parts.journal;
    this.isolation = parts.isolation;
    this.#containment = parts.containment;
    this.#egress = parts.options.egress;
    this.#checkpoints = parts.options.checkpoints ?? CHECKPOINTS;
    this.#lease = new Lease({
      freezeAfterMs: parts.options.freezeAfterMs,
      onFreeze: (isFrozen) => this.#freeze(isFrozen),
    });
  }

  hello(): HostHello {
    const { hostId, generation } = this.record;
    return {
      protocol: HOST_PROTOCOL,
      hostId,
      generation,
      version: this.#options.version,
      isolation: this.isolation,
      slots: { max: this.#options.slotsMax, used: this.#sessions.size },
      draining: this.#isDraining,
      memory: { limitBytes: this.#options.memoryBytes ?? null, freeBytes: freemem() },
      hostSeq: this.journal.lastHostSeq(),
    };
  }

  sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  session(agentId: AgentId): Session {
    const session = this.#sessions.get(agentId);
    if (session !== undefined) return session;
    throw new AppError('not_found', `No session of ${agentId} runs on this host.`);
  }

  start(spec: SessionSpec): Promise<StartedSession> {
    return this.#inTurn(spec.agentId, async () => {
      const running = this.#sessions.get(spec.agentId);
      if (running !== undefined && running.spec.epoch === spec.epoch) return started(running, true);
      const newest = this.journal.newestEpoch(spec.agentId);
      if (newest >= spec.epoch) throw epochOver(spec.agentId, spec.epoch, newest);
      this.#admit(spec, running !== undefined);
      if (running !== undefined) await running.stop({ graceMs: 0, reason: 'fence' });
      return started(await this.#spawn(spec), false);
    });
  }

  async deliver(agentId: AgentId, epoch: number, delivery: Delivery): Promise<DeliveryOutcome> {
    const { deliveryId } = delivery;
    const known = this.journal.delivery(deliveryId);
    if (known?.kind === 'settled' && known.outcome.kind !== 'refused') return known.outcome;
    const underway = this.#delivering.get(deliveryId);
    if (underway !== undefined) return underway;
    if (known?.kind === 'begun') {
      const reason = 'The host was restarted while this was being typed.';
      return { kind: 'unconfirmed', reason };
    }
    const isOver = !this.#sessions.has(agentId);
    if (isOver && this.journal.newestEpoch(agentId) === epoch)
      return { kind: 'stale', reason: 'The session has ended.' };
    const done = this.#deliverOnce(this.#current(agentId, epoch), delivery).finally(() => {
      this.#delivering.delete(deliveryId);
    });
    this.#delivering.set(deliveryId, done);
    return done;
  }

  stop(agentId: AgentId, epoch: number, options: StopOptions): Promise<StoppedSession> {
    return this.#inTurn(agentId, async () => {
      const session = this.#sessions.get(agentId);
      if (session?.spec.epoch === epoch) return session.stop(options);
      const newest = this.journal.newestEpoch(agentId);
      if (newest > epoch)
        throw new AppError('conflict', `Epoch ${epoch} of ${agentId} is over: ${newest} is newer.`);
      const ended = this.#ended.get(agentId);
      if (ended?.epoch === epoch) return ended;
      // It never ran here, or it ended with an earlier generation of this host.
      const nothing = { exitCode: null, signal: null, cliSessionId: null, checkpointRef: null };
      return { agentId, epoch, ...nothing, outputBytes: 0 };
    });
  }

  /** The log of a session, running or over. Throws `not_found` for an agent this host never had. */
  async log(agentId: AgentId): Promise<OutputLog> {
    const known = this.#sessions.get(agentId)?.log ?? this.#logs.get(agentId);
    if (known !== undefined) return known;
    const directory = join(this.#options.dataDir, 'sessions', agentId, 'log');
    const isThere = await stat(directory).catch(() => null);
    if (isThere === null) throw new AppError('not_found', `This host has no output of ${agentId}.`);
    const nobody = {
      onDiskFull: () => undefined,
      onWritten: () => undefined,
      onTrimmed: () => undefined,
    };
    const size = { cols: 80, rows: 24, bytesMax: Number.MAX_SAFE_INTEGER };
    return openOutputLog({ directory, ...size, ...nobody });
  }

  /** Throws `not_found` where newer ones have taken its place. */
  async checkpoint(agentId: AgentId, name: string): Promise<Readable> {
    const folder = join(this.#options.dataDir, 'checkpoints', agentId, name);
    const isThere = await stat(folder).catch(() => null);
    if (isThere !== null) return packCheckpoint(folder);
    throw new AppError('not_found', `This host has no checkpoint ${name} of ${agentId}.`);
  }

  restore(
    agentId: AgentId,
    { epoch, type, sha256 }: CheckpointRestore,
    archive: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    return this.#inTurn(agentId, async () => {
      const newest = this.journal.newestEpoch(agentId);
      if (newest >= epoch) throw epochOver(agentId, epoch, newest);
      const { dataDir, launch } = this.#options;
      if (this.#isDraining) throw draining();
      await mustRun(type, launch);
      // Nobody is heard here any more: what still runs would write over what comes.
      await this.#sessions.get(agentId)?.stop({ graceMs: 0, reason: 'fence' });
      const { bytesMax } = this.#checkpoints;
      await restoreCheckpoint({ dataDir, agentId, epoch, sha256, bytesMax }, archive);
    });
  }

  async renewLease({ ttlMs, epochs }: LeaseRenewal): Promise<void> {
    for (const session of this.sessions()) {
      const epoch = epochs[session.spec.agentId];
      if (epoch !== undefined && epoch > session.spec.epoch)
        await session.stop({ graceMs: 0, reason: 'fence' });
    }
    await this.#lease.renew(ttlMs);
  }

  setEgress(targets: EgressTargets): void {
    this.#egress = targets;
  }

  drain(): void {
    this.#isDraining = true;
  }

  /** Ends every session and leaves nothing behind. */
  async close(graceMs: number): Promise<void> {
    this.#isDraining = true;
    this.#lease.close();
    await Promise.all(this.sessions().map((each) => each.endWithHost(graceMs)));
    await Promise.all([...this.#logs.values()].map((log) => log.close()));
    await this.#containment.close();
    await this.journal.close();
    await rm(this.record.socketDir, { recursive: true, force: true });
  }

  #admit(spec: SessionSpec, replaces: boolean): void {
    if (this.#isDraining) throw draining();
    if (!replaces && this.#sessions.size >= this.#options.slotsMax)
      throw new AppError(
        'limit_exceeded',
        `All ${this.#options.slotsMax} slots of this host are taken.`,
      );
    if (spec.isolationRequired && !this.isolation.isolated) {
      throw new AppError(
        'policy_denied',
        `This workspace requires isolation, and this host has none. ${this.isolation.reason ?? ''}`,
      );
    }
    // Without the gateway the CLI would go to its vendor, past every budget.
    if (typeof spec.keys?.gateway === 'string' && this.#egress.gateway === null)
      throw new AppError('upstream_unavailable', 'This host was not told yet where Rookery is.');
  }

  async #spawn(spec: SessionSpec): Promise<Session> {
    const { agentId, epoch } = spec;
    const { onFault } = this.#options;
    const tell = async (fact: Fact): Promise<void> => {
      await this.journal.append(agentId, epoch, fact).catch((error: unknown) => {
        onFault(`journalling ${fact.kind} of ${agentId}`, error);
      });
    };
    const session = await openSession({
      spec,
      tell,
      options: this.#options,
      isolation: this.isolation,
      containment: this.#containment,
      checkpoints: this.#checkpoints,
      gateway: () => this.#egress.gateway,
      socketPath: this.isolation.isolated ? this.#nextSocket() : null,
      onExit: (over, egress) => void this.#over(over, egress),
    });
    this.#sessions.set(agentId, session);
    this.#logs.delete(agentId);
    await tell({ kind: 'started', pid: session.pid, isolation: this.isolation });
    if (session.cliSessionId !== null)
      await tell({ kind: 'cli_session', cliSessionId: session.cliSessionId });
    void giveTask({ host: this, session, tell, onFault });
    return session;
  }

  async #over(session: Session, egress: Egress): Promise<void> {
    const { agentId } = session.spec;
    if (this.#sessions.get(agentId) === session) this.#sessions.delete(agentId);
    this.#logs.set(agentId, session.log);
    this.#ended.set(agentId, await session.exited);
    await egress.close();
    if (session.isolation.isolated) sandboxOver();
    // A full disk may hold its last output back for long: it waits in memory until there is room.
    await session.log
      .sync()
      .then(() => session.log.close())
      .catch((error: unknown) => this.#options.onFault(`closing the log of ${agentId}`, error));
  }

  async #deliverOnce(session: Session, delivery: Delivery): Promise<DeliveryOutcome> {
    const { agentId, epoch } = session.spec;
    await this.journal.begin(agentId, epoch, delivery.deliveryId);
    const outcome = await session.deliver(delivery);
    await this.journal.append(agentId, epoch, {
      kind: 'delivery',
      deliveryId: delivery.deliveryId,
      outcome,
    });
    return outcome;
  }

  #current(agentId: AgentId, epoch: number): Session {
    const session = this.session(agentId);
    if (session.spec.epoch === epoch) return session;
    throw new AppError(
      'conflict',
      `${agentId} runs here under epoch ${session.spec.epoch}, not ${epoch}.`,
    );
  }

  async #freeze(isFrozen: boolean): Promise<void> {
    await Promise.all(this.sessions().map((session) => session.freeze(isFrozen)));
  }

  #nextSocket(): string {
    this.#sockets += 1;
    return join(this.record.socketDir, `${this.#sockets}.sock`);
  }
}

function draining(): AppError {
  return new AppError('upstream_unavailable', 'This host drains and takes no new sessions.');
}

function epochOver(agentId: AgentId, epoch: number, newest: number): AppError {
  return new AppError(
    'conflict',
    `Epoch ${epoch} of ${agentId} is over: this host has seen ${newest}.`,
  );
}

function started(session: Session, existed: boolean): StartedSession {
  const { agentId, epoch } = session.spec;
  const { pid, isolation, workDir, cliSessionId } = session;
  return { agentId, epoch, pid, isolation, workDir, cliSessionId, existed };
}
