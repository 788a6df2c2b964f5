import { sql } from 'kysely';
import type { ChatPost } from '../../../domain/chat.ts';
import { placeKey } from '../../../domain/chat.ts';
import { makeId } from '../../../domain/id.ts';
import { fromNow, interval } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { PostState } from '../tables/chat.ts';
import { ringChat } from './chat-bell.ts';
import { holds } from './connector.ts';
import type { Lease } from './lease.ts';
import type { Page } from './page.ts';

/** What is to be said on a network, as a row of the outbox. */
export interface NewPost {
  readonly connectorId: string;
  /** Null for what belongs to no workspace, as an answer to a stranger. */
  readonly workspaceId: string | null;
  /** The same key again changes nothing: it says what this post is about, such as `apr_…:card:<hub>`. */
  readonly key: string;
  /** The key of an earlier post whose message this one replaces. */
  readonly editsKey?: string;
  readonly post: ChatPost;
}

/** Seals what is to be said: rows of the outbox may hold login codes and payloads. */
export type SealText = (plain: string) => Buffer;

/**
 * Puts a post into the outbox, in the caller's transaction: it is said if that commits, and once. Idempotent by the
 * key. Whoever runs its connector is woken by the commit.
 */
export async function enqueuePost(db: Executor, seal: SealText, entry: NewPost): Promise<void> {
  await db
    .insertInto('post')
    .values({
      id: makeId('post', crypto.randomUUID()),
      connector_id: entry.connectorId,
      workspace_id: entry.workspaceId,
      key: entry.key,
      kind: entry.editsKey === undefined ? 'send' : 'edit',
      place: placeKey(entry.post.to),
      edits_key: entry.editsKey ?? null,
      sealed: seal(JSON.stringify(entry.post)),
    })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  await ringChat(db, entry.connectorId);
}

/**
 * Places that have something to be said now, those that wait longest first, but those that are `busy` and those of chats
 * that are `limited`. It looks at the oldest posts only, so that a long queue costs no more than a short one.
 */
export async function findDuePostPlaces(
  db: Executor,
  query: {
    readonly connectorId: string;
    readonly limit: number;
    readonly busy: readonly string[];
    readonly limited: readonly string[];
  },
): Promise<readonly string[]> {
  const { connectorId, limit, busy, limited } = query;
  const { rows } = await sql<{ place: string }>`
    select place from (
      select place, seq from post p
      where connector_id = ${connectorId} and state = 'queued' and place <> all(${busy}::text[])
        and split_part(place, '/', 1) <> all(${limited}::text[])
        and not exists (select from post w
          where w.connector_id = p.connector_id and w.place = p.place
            and w.state = 'queued' and w.not_before > now())
      order by seq limit ${limit}
    ) as oldest
    group by place order by min(seq)
  `.execute(db);
  return rows.map(({ place }) => place);
}

/** A post that is to go out now. */
export interface DuePost {
  readonly id: string;
  readonly workspaceId: string | null;
  readonly key: string;
  readonly kind: 'send' | 'edit';
  readonly sealed: Buffer | null;
  readonly attempts: number;
  readonly createdAt: Date;
  /** Of the post that it changes: how far that is, and its message. Null where there is no such post. */
  readonly edits: { readonly state: PostState; readonly messageId: string | null } | null;
}

/** The first waiting post of a place; null where there is none, or where it is not its time yet. */
export async function findNextPost(
  db: Executor,
  { connectorId, place }: { readonly connectorId: string; readonly place: string },
): Promise<DuePost | null> {
  const found = await db
    .selectFrom('post as p')
    .leftJoin('post as e', (join) =>
      join.onRef('e.key', '=', 'p.edits_key').onRef('e.connector_id', '=', 'p.connector_id'),
    )
    .select([
      'p.id',
      'p.workspace_id as workspaceId',
      'p.key',
      'p.kind',
      'p.sealed',
      'p.attempts',
      'p.created_at as createdAt',
      'e.state as editsState',
      'e.message_id as editsMessage',
      sql<boolean>`p.state = 'queued' and coalesce(p.not_before <= now(), true)`.as('due'),
    ])
    .where('p.connector_id', '=', connectorId)
    .where('p.place', '=', place)
    .where('p.state', 'in', ['queued', 'sending'])
    .orderBy('p.seq')
    .limit(1)
    .executeTakeFirst();
  if (found?.due !== true) return null;
  const { editsState, editsMessage, due: _due, ...post } = found;
  const edits = editsState === null ? null : { state: editsState, messageId: editsMessage };
  return { ...post, edits };
}

/**
 * Notes that a post is about to be handed to the network. False where it must not be: somebody else speaks for the
 * connector by now, or the post is not waiting any more.
 */
export async function beginPost(db: Executor, id: string, lease: Lease): Promise<boolean> {
  const result = await db
    .updateTable('post')
    .set({
      state: 'sending',
      attempts: sql<number>`attempts + 1`,
      begun_at: sql<Date>`now()`,
    })
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .where(holds(lease))
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** What was said is not kept here any longer. False where the row says something else by now. */
export async function recordSent(tx: Executor, id: string, messageId: string): Promise<boolean> {
  const result = await tx
    .updateTable('post')
    .set({
      state: 'sent',
      sealed: null,
      error: null,
      not_before: null,
      message_id: storableText(messageId),
      sent_at: sql<Date>`now()`,
    })
    .where('id', '=', id)
    // `uncertain`: another process gave it up while the network's answer was on its way.
    .where('state', 'in', ['sending', 'uncertain'])
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** It goes out later, and what is behind it in its place waits with it. */
export async function recordPostRetry(
  db: Executor,
  id: string,
  { error, retryInMs }: { readonly error: string; readonly retryInMs: number },
): Promise<void> {
  await db
    .updateTable('post')
    .set({
      state: 'queued',
      error: storableText(error),
      not_before: sql<Date>`${fromNow(retryInMs)}`,
    })
    .where('id', '=', id)
    .where('state', 'in', ['queued', 'sending'])
    .execute();
}

/** Not sent for good, or perhaps sent. Kept with its content, so that a person can send it again. */
export async function recordUnsent(
  tx: Executor,
  id: string,
  { state, error }: { readonly state: 'failed' | 'uncertain'; readonly error: string },
): Promise<boolean> {
  const result = await tx
    .updateTable('post')
    .set({ state, error: storableText(error) })
    .where('id', '=', id)
    .where('state', 'in', ['queued', 'sending'])
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** A post that somebody was handing to the network when his process ended. */
export interface InterruptedPost extends Pick<DuePost, 'id' | 'workspaceId' | 'kind' | 'key'> {
  /** Within the last `recentMs`. */
  readonly isRecent: boolean;
}

/** Only for whoever holds the lease now. */
export async function findInterrupted(
  db: Executor,
  { connectorId, recentMs }: { readonly connectorId: string; readonly recentMs: number },
): Promise<readonly InterruptedPost[]> {
  return db
    .selectFrom('post')
    .select([
      'id',
      'workspace_id as workspaceId',
      'kind',
      'key',
      sql<boolean>`coalesce(begun_at > now() - ${interval(recentMs)}, false)`.as('isRecent'),
    ])
    .where('connector_id', '=', connectorId)
    .where('state', '=', 'sending')
    .orderBy('seq')
    .execute();
}

/** For a person to look at, without what was to be said. */
export interface StoredPost {
  readonly id: string;
  readonly seq: number;
  readonly connectorId: string;
  readonly workspaceId: string | null;
  readonly kind: 'send' | 'edit';
  readonly place: string;
  readonly state: PostState;
  readonly attempts: number;
  readonly error: string | null;
  readonly createdAt: Date;
  readonly sentAt: Date | null;
}

const POST_COLUMNS = [
  'id',
  'seq',
  'connector_id as connectorId',
  'workspace_id as workspaceId',
  'kind',
  'place',
  'state',
  'attempts',
  'error',
  'created_at as createdAt',
  'sent_at as sentAt',
] as const;

export async function listPosts(
  db: Executor,
  query: Page & { readonly connectorId: string; readonly state?: PostState | undefined },
): Promise<readonly StoredPost[]> {
  let select = db
    .selectFrom('post')
    .select(POST_COLUMNS)
    .where('connector_id', '=', query.connectorId)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.state !== undefined) select = select.where('state', '=', query.state);
  return select.execute();
}

export async function getPost(db: Executor, id: string): Promise<StoredPost | null> {
  const found = await db
    .selectFrom('post')
    .select(POST_COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return found ?? null;
}

/**
 * Has a post that is uncertain or failed go out once more, and with it the changes of its message that failed because
 * there was none. False where it is neither, or where its content is gone.
 */
export async function resendPost(tx: Executor, id: string): Promise<boolean> {
  const again = await tx
    .updateTable('post')
    .set({ state: 'queued', attempts: 0, not_before: null, error: null })
    .where('id', '=', id)
    .where('state', 'in', ['uncertain', 'failed'])
    .where('sealed', 'is not', null)
    .returning(['key', 'connector_id as connectorId'])
    .executeTakeFirst();
  if (again === undefined) return false;
  await tx
    .updateTable('post')
    .set({ state: 'queued', attempts: 0, not_before: null, error: null })
    .where('edits_key', '=', again.key)
    .where('state', '=', 'failed')
    .where('sealed', 'is not', null)
    .execute();
  await ringChat(tx, again.connectorId);
  return true;
}
