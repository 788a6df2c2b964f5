import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { ChatUpdate } from '../../domain/chat.ts';
import { AppError } from '../../domain/error.ts';
import type { ConnectorId } from '../../domain/id.ts';
import type { ChatHandler } from '../../infra/connectors/inbox.ts';
import {
  findDuePlaces,
  findNextUpdate,
  recordHandled,
  recordHandlerFailure,
  recordUpdateFailed,
  type StoredUpdate,
} from '../../infra/db/queries/chat-update.ts';
import { findContextOfChat } from '../../infra/db/queries/context.ts';
import type { Database } from '../../infra/db/schema.ts';
import { startLanes, type Lanes } from './chat-lanes.ts';
import { recordChat } from './chat-record.ts';

export interface InboxOptions {
  readonly db: Kysely<Database>;
  readonly log: Logger;
  readonly connectorId: ConnectorId;
  readonly handler: ChatHandler;
  readonly unseal: (sealed: Buffer) => string;
  readonly placesMax: number;
  readonly signal: AbortSignal;
  /** For tests, which cannot wait as long as people can. */
  readonly backOffMs?: (attempts: number) => number;
}

/** Oldest updates that are looked at for places: several may be of one. */
const LOOKED_AT = 100;
const ATTEMPTS_MAX = 5;
/** Before the second to fifth attempt: a restart of the database takes seconds, and behind it the place waits. */
const BACK_OFF_MS = [1_000, 4_000, 15_000, 45_000] as const;
/** Of one update. What takes longer hangs; it is handed over again, which is harmless by the handler's contract. */
const HANDLE_MS_MAX = 120_000;

/** Hands stored updates over: those of one place in order, one at a time, places side by side. */
export function startInbox(options: InboxOptions): Lanes {
  const { db, connectorId, log, placesMax, signal } = options;
  return startLanes({
    log,
    name: 'inbox',
    lanesMax: placesMax,
    signal,
    look: (busy) => findDuePlaces(db, { connectorId, busy, limit: LOOKED_AT }),
    serve: (place) => servePlace(place, options),
  });
}

async function servePlace(place: string, options: InboxOptions): Promise<void> {
  const { db, connectorId, signal } = options;
  while (!signal.aborted) {
    const update = await findNextUpdate(db, { connectorId, place });
    if (update === null || !(await handle(update, options))) return;
  }
}

/** False where the place has to wait. */
async function handle(stored: StoredUpdate, options: InboxOptions): Promise<boolean> {
  const { db, connectorId, handler, unseal, log } = options;
  const { key, sealed, attempts } = stored;
  const name = { connectorId, key };
  let update: ChatUpdate | null = null;
  try {
    if (sealed !== null) {
      // Sealed by us, so that it is what was stored.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      update = JSON.parse(unseal(sealed)) as ChatUpdate;
      await withinTime(handler.handle(connectorId, key, update));
    }
    await recordHandled(db, name);
    return true;
  } catch (error) {
    if (options.signal.aborted) return false;
    log.warn({ err: error, ...name, attempts: attempts + 1 }, 'an update was not handled');
    const reason = error instanceof AppError ? `${error.code}: ${error.message}` : 'internal';
    if (attempts + 1 < ATTEMPTS_MAX) {
      const retryInMs = backOffOf(attempts, options);
      await recordHandlerFailure(db, name, { error: reason, retryInMs });
      return false;
    }
    await giveUp(update, { ...options, key, reason });
    return true;
  }
}

function backOffOf(attempts: number, { backOffMs }: InboxOptions): number {
  return backOffMs?.(attempts + 1) ?? BACK_OFF_MS[attempts] ?? BACK_OFF_MS[3];
}

async function withinTime(work: Promise<void>): Promise<void> {
  const over = new AbortController();
  const late = sleep(HANDLE_MS_MAX, 'late' as const, { signal: over.signal, ref: false });
  try {
    const first = await Promise.race([work.then(() => 'done' as const), late]);
    if (first === 'late') throw new AppError('internal', 'It was not handled in time.');
  } finally {
    over.abort();
    late.catch(() => undefined);
  }
}

/** Kept with its content, for a person to have it handled again. What is behind it in its place goes on. */
async function giveUp(
  update: ChatUpdate | null,
  failed: InboxOptions & { readonly key: string; readonly reason: string },
): Promise<void> {
  const { db, connectorId, key, reason } = failed;
  await db.transaction().execute(async (tx) => {
    if (!(await recordUpdateFailed(tx, { connectorId, key }, reason))) return;
    const context =
      update === null ? null : await findContextOfChat(tx, { connectorId, ...update.place });
    await recordChat(tx, context?.workspaceId ?? null, {
      key: `chat:${connectorId}:${key}:failed`,
      type: 'chat.update_failed',
      action: 'chat.give_up_update',
      subjectId: connectorId,
      detail: { update: key, kind: update?.kind ?? null, attempts: ATTEMPTS_MAX, reason },
    });
  });
}
