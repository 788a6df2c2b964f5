import type { ChatPost } from '../../../domain/chat.ts';
import { placeKey } from '../../../domain/chat.ts';
import { makeId } from '../../../domain/id.ts';
import type { Executor } from '../schema.ts';

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
 * key. The listener of its connector is woken by the event that the same transaction appends, or finds it by query.
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
}
