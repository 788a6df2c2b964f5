import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '../../domain/event.ts';
import { findBehind, noticesCursor, type Behind } from '../../infra/db/queries/chat-place.ts';
import { purgeChatSpawns } from '../../infra/db/queries/chat-spawn.ts';
import { advanceCursor } from '../../infra/db/queries/cursor.ts';
import { readEvents } from '../../infra/db/queries/event.ts';
import { holdLease, releaseLease } from '../../infra/db/queries/lease.ts';
import { purgePairings } from '../../infra/db/queries/pairing.ts';
import type { ChatDeps } from './deps.ts';
import { NOTICED, notice } from './notice.ts';

export interface ChatNotices {
  /** Ends what is under way; resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

const LEASE_NAME = 'chat-notices';
const LEASE_MS = 15_000;
const BEATS_PER_LEASE = 3;
/** Of what a lost notification would have told. */
const LOOK_EVERY_MS = 1_000;
const RETRY_MS = 500;
const RETRY_MS_MAX = 10_000;
const WORKSPACES_AT_ONCE = 100;
const EVENTS_AT_ONCE = 200;
/** An event that cannot be told must not keep all later ones from being told. */
const TRIES_MAX = 5;
const PURGE_EVERY_MS = 60 * 60 * 1_000;
const KEEP_DAYS = 30;

/**
 * Tells in chats what the event log says: approvals, logins, what agents do. One process does it, whoever holds the
 * lease. What it says carries the event's number, so that an event is told once however often it is looked at.
 */
export function startChatNotices(deps: ChatDeps): ChatNotices {
  const { db, events, logger } = deps.api;
  const stopping = new AbortController();
  const { signal } = stopping;
  const holder = randomUUID();
  let wake = new AbortController();
  const leave = events.subscribeAll(() => wake.abort());
  const reader = createReader(deps);

  async function beat(): Promise<void> {
    if ((await holdLease(db, { name: LEASE_NAME, holder, leaseMs: LEASE_MS })) === null) {
      await pause(LOOK_EVERY_MS, signal);
      return;
    }
    const renewAtMs = performance.now() + LEASE_MS / BEATS_PER_LEASE;
    while (!signal.aborted && performance.now() < renewAtMs) {
      wake = new AbortController();
      const isMore = await reader.read();
      if (!isMore) await pause(LOOK_EVERY_MS, AbortSignal.any([signal, wake.signal]));
    }
  }

  async function run(): Promise<void> {
    let pauseMs = RETRY_MS;
    while (!signal.aborted) {
      try {
        await beat();
        pauseMs = RETRY_MS;
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ err: error }, 'notices in chats wait and try again');
        await pause(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX);
      }
    }
  }

  const running = run();
  return {
    async stop() {
      stopping.abort();
      leave();
      await running;
      await releaseLease(db, { name: LEASE_NAME, holder }).catch(() => undefined);
    },
  };
}

/** Reads what was not told yet, and tells it in the order of each workspace. */
function createReader(deps: ChatDeps) {
  const { db, logger } = deps.api;
  const tries = new Map<string, number>();
  let purgeAtMs = 0;

  async function tell({ workspaceId, after, lastSeq }: Behind): Promise<void> {
    const name = noticesCursor(workspaceId);
    const query = { workspaceId, after, limit: EVENTS_AT_ONCE, types: [...NOTICED] };
    const found = await readEvents(db, query);
    for (const event of found) {
      await tellOne(event);
      await advanceCursor(db, { name, seq: event.seq, workspaceId });
    }
    if (found.length < EVENTS_AT_ONCE) await advanceCursor(db, { name, seq: lastSeq, workspaceId });
  }

  async function tellOne(event: Event): Promise<void> {
    const { workspaceId, seq } = event;
    const key = `${workspaceId}:${seq}`;
    try {
      await notice(deps, event);
      tries.delete(key);
    } catch (error) {
      const failures = (tries.get(key) ?? 0) + 1;
      tries.set(key, failures);
      if (failures < TRIES_MAX) throw error;
      tries.delete(key);
      logger.error({ err: error, workspaceId, seq }, 'an event could not be told in chats');
    }
  }

  return {
    /** True where there is more. */
    async read(): Promise<boolean> {
      if (performance.now() >= purgeAtMs) {
        purgeAtMs = performance.now() + PURGE_EVERY_MS;
        await purgePairings(db, KEEP_DAYS);
        await purgeChatSpawns(db, KEEP_DAYS);
      }
      const behind = await findBehind(db, WORKSPACES_AT_ONCE);
      for (const each of behind) await tell(each);
      return behind.length > 0;
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
