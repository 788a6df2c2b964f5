import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectorId } from '../../domain/id.ts';
import { parseId } from '../../domain/id.ts';
import type { EventListener } from '../../infra/db/listen.ts';
import {
  connectorLease,
  findEnabledConnectors,
  noteConnectorState,
} from '../../infra/db/queries/connector.ts';
import { holdLease, releaseLease, type Lease } from '../../infra/db/queries/lease.ts';
import { runConnector, type ConnectorRunOptions } from './chat-connector.ts';
import { pause, startListener, type Listener } from './listener.ts';

export interface ConnectorsOptions extends ConnectorRunOptions {
  /** Of the channel that `ringChat` notifies. */
  readonly bells: EventListener;
  readonly connectorsMax: number;
  readonly leaseMs?: number;
}

/** After a process was killed another one goes on when this is over; a stop in order gives the lease back at once. */
const LEASE_MS = 15_000;
const BEATS_PER_LEASE = 3;
/** Of what a lost notification would have told. */
const LOOK_EVERY_MS = 1_000;
/** Somebody else speaks for it: how often it is tried. */
const TAKEN_PAUSE_MS = 1_000;

/** Runs every connector that is enabled, unless another process does. Rows are followed as they change. */
export function startConnectors(options: ConnectorsOptions): Listener {
  const { db, log, bells, connectorsMax } = options;
  const running = new Map<string, Running>();
  const ending = new Set<Promise<void>>();
  let bell = new AbortController();
  const leave = bells.subscribeAll((connectorId) => {
    bell.abort();
    if (connectorId === null) for (const { ring } of running.values()) ring();
    else running.get(connectorId)?.ring();
  });

  const listener = startListener({ name: 'connectors', log }, async (signal) => {
    bell = new AbortController();
    const wanted = new Map(
      (await findEnabledConnectors(db, connectorsMax)).map(({ id, revision }) => [id, revision]),
    );
    for (const [id, { revision, stop }] of running) {
      if (wanted.get(id) === revision) continue;
      running.delete(id);
      // Not waited for: one that is slow to end must not keep the others from starting. Its lease does that for itself.
      const end = stop().finally(() => ending.delete(end));
      ending.add(end);
    }
    for (const [id, revision] of wanted) {
      if (running.has(id)) continue;
      running.set(id, { revision, ...begin(parseId('connector', id), options) });
    }
    await pause(LOOK_EVERY_MS, AbortSignal.any([signal, bell.signal]));
  });
  return {
    async stop() {
      leave();
      await listener.stop();
      await Promise.all([...ending, ...[...running.values()].map(({ stop }) => stop())]);
    },
  };
}

interface Running {
  readonly revision: number;
  readonly ring: () => void;
  readonly stop: () => Promise<void>;
}

function nothingRuns(): void {}

/** Takes the lease as often as it can be had, and speaks while it is held. */
function begin(id: ConnectorId, options: ConnectorsOptions): Omit<Running, 'revision'> {
  let ring = nothingRuns;
  const holder = randomUUID();
  const listener = startListener({ name: `connector ${id}`, log: options.log }, async (signal) => {
    const leaseMs = options.leaseMs ?? LEASE_MS;
    const wanted = { name: connectorLease(id), holder, leaseMs };
    const askedAtMs = performance.now();
    const lease = await holdLease(options.db, wanted);
    if (lease === null) {
      await pause(TAKEN_PAUSE_MS, signal);
      return;
    }
    const lost = new AbortController();
    const held = keepLease({ ...options, wanted, lease, askedAtMs, lost });
    try {
      await runConnector({
        ...options,
        connectorId: id,
        lease,
        signal: AbortSignal.any([signal, lost.signal]),
        onBell: (given) => {
          ring = given;
        },
      });
    } finally {
      held.stop();
      await release(id, { ...options, wanted, lease });
    }
  });
  return { ring: () => ring(), stop: () => listener.stop() };
}

interface Holding extends ConnectorsOptions {
  readonly wanted: Parameters<typeof holdLease>[1];
  readonly lease: Lease;
}

/**
 * Renews it, and says that it is lost as soon as somebody else may have it: also where the database does not answer, since
 * the time is over by its clock then.
 */
function keepLease(
  holding: Holding & { readonly askedAtMs: number; readonly lost: AbortController },
): { stop(): void } {
  const { db, wanted, lease, lost, log } = holding;
  const stopped = new AbortController();
  let sureUntilMs = holding.askedAtMs + wanted.leaseMs;
  const watch = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await pause(wanted.leaseMs / BEATS_PER_LEASE, stopped.signal);
      if (stopped.signal.aborted) return;
      const askedAtMs = performance.now();
      const renewing = holdLease(db, wanted).catch(() => 'failed' as const);
      const left = new AbortController();
      const over = sleep(Math.max(0, sureUntilMs - askedAtMs), 'over' as const, {
        signal: left.signal,
        ref: false,
      }).catch(() => 'over' as const);
      const renewed = await Promise.race([renewing, over]);
      left.abort();
      if (renewed === 'failed' && performance.now() < sureUntilMs) continue;
      if (typeof renewed === 'object' && renewed?.fence === lease.fence) {
        sureUntilMs = askedAtMs + wanted.leaseMs;
        continue;
      }
      log.warn({ lease: wanted.name }, 'the lease of a connector was lost');
      lost.abort();
      return;
    }
  };
  void watch();
  return { stop: () => stopped.abort() };
}

async function release(id: ConnectorId, { db, wanted, lease }: Holding): Promise<void> {
  try {
    await noteConnectorState(db, id, { state: 'stopped', detail: '', lease });
    await releaseLease(db, wanted);
  } catch {
    // It ends by itself.
  }
}
