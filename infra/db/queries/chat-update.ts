import { sql } from 'kysely';
import { fromNow } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import { ringChat } from './chat-bell.ts';

/** What a network told us, sealed. */
export interface NewUpdate {
  readonly connectorId: string;
  /** The network's number of it. */
  readonly key: string;
  readonly place: string;
  readonly sealed: Buffer;
}

/** Idempotent by connector and key. True when it was not known. Whoever runs the connector is woken. */
export async function storeUpdate(db: Executor, update: NewUpdate): Promise<boolean> {
  const { connectorId, key, place, sealed } = update;
  const made = await db
    .insertInto('chat_update')
    .values({ connector_id: connectorId, key: storableText(key), place, sealed })
    .onConflict((conflict) => conflict.columns(['connector_id', 'key']).doNothing())
    .executeTakeFirst();
  const isNew = (made.numInsertedOrUpdatedRows ?? 0n) > 0n;
  if (isNew) await ringChat(db, connectorId);
  return isNew;
}

/**
 * Places that have something to be handled now, those that wait longest first. It looks at the oldest updates only, past
 * the places that wait after a failure and those that are `busy`, so that a long queue costs no more than a short one.
 */
export async function findDuePlaces(
  db: Executor,
  query: {
    readonly connectorId: string;
    readonly limit: number;
    readonly busy: readonly string[];
  },
): Promise<readonly string[]> {
  const { connectorId, limit, busy } = query;
  const { rows } = await sql<{ place: string }>`
    select place from (
      select place, seq from chat_update u
      where connector_id = ${connectorId} and state = 'received' and place <> all(${busy}::text[])
        and not exists (select from chat_update w
          where w.connector_id = u.connector_id and w.place = u.place
            and w.state = 'received' and w.not_before > now())
      order by seq limit ${limit}
    ) as oldest
    group by place order by min(seq)
  `.execute(db);
  return rows.map(({ place }) => place);
}

export interface StoredUpdate {
  readonly key: string;
  readonly sealed: Buffer | null;
  readonly attempts: number;
}

/** The first unhandled update of a place; null where there is none, or where it is not its time yet. */
export async function findNextUpdate(
  db: Executor,
  { connectorId, place }: { readonly connectorId: string; readonly place: string },
): Promise<StoredUpdate | null> {
  const found = await db
    .selectFrom('chat_update')
    .select([
      'key',
      'sealed',
      'attempts',
      sql<boolean>`coalesce(not_before <= now(), true)`.as('due'),
    ])
    .where('connector_id', '=', connectorId)
    .where('place', '=', place)
    .where('state', '=', 'received')
    .orderBy('seq')
    .limit(1)
    .executeTakeFirst();
  return found?.due === true ? found : null;
}

interface UpdateName {
  readonly connectorId: string;
  readonly key: string;
}

/** What was said is not kept here any longer. */
export async function recordHandled(db: Executor, { connectorId, key }: UpdateName): Promise<void> {
  await db
    .updateTable('chat_update')
    .set({ state: 'handled', sealed: null, error: null, handled_at: sql<Date>`now()` })
    .where('connector_id', '=', connectorId)
    .where('key', '=', key)
    .where('state', '=', 'received')
    .execute();
}

/** It is handed over again after that time. */
export async function recordHandlerFailure(
  db: Executor,
  { connectorId, key }: UpdateName,
  failure: { readonly error: string; readonly retryInMs: number },
): Promise<void> {
  await db
    .updateTable('chat_update')
    .set({
      attempts: sql<number>`attempts + 1`,
      error: storableText(failure.error),
      not_before: sql<Date>`${fromNow(failure.retryInMs)}`,
    })
    .where('connector_id', '=', connectorId)
    .where('key', '=', key)
    .where('state', '=', 'received')
    .execute();
}

/** Given up, and kept with its content, so that a person can have it handled again. False where it was before. */
export async function recordUpdateFailed(
  tx: Executor,
  { connectorId, key }: UpdateName,
  error: string,
): Promise<boolean> {
  const result = await tx
    .updateTable('chat_update')
    .set({
      state: 'failed',
      attempts: sql<number>`attempts + 1`,
      error: storableText(error),
      handled_at: sql<Date>`now()`,
    })
    .where('connector_id', '=', connectorId)
    .where('key', '=', key)
    .where('state', '=', 'received')
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Has what was given up handled once more, in the order in which it came. Answers how many. */
export async function retryUpdates(tx: Executor, connectorId: string): Promise<number> {
  const result = await tx
    .updateTable('chat_update')
    .set({ state: 'received', attempts: 0, not_before: null, handled_at: null })
    .where('connector_id', '=', connectorId)
    .where('state', '=', 'failed')
    .where('sealed', 'is not', null)
    .executeTakeFirst();
  await ringChat(tx, connectorId);
  return Number(result.numUpdatedRows);
}
