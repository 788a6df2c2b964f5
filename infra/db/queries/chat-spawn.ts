import { sql } from 'kysely';
import type { Executor } from '../schema.ts';

/** A chat on a network. */
export interface ChatSpot {
  readonly connectorId: string;
  readonly chatId: string;
  readonly threadId: string | null;
}

/** Idempotent by the request. Written before the spawn is asked for, so that nothing of its agents is missed. */
export async function noteChatSpawn(
  db: Executor,
  spawn: ChatSpot & { readonly requestId: string; readonly workspaceId: string },
): Promise<void> {
  await db
    .insertInto('chat_spawn')
    .values({
      request_id: spawn.requestId,
      workspace_id: spawn.workspaceId,
      connector_id: spawn.connectorId,
      chat_id: spawn.chatId,
      thread_id: spawn.threadId,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Where an agent reports: the chat in which it was asked for. Null for one that was asked for elsewhere. */
export async function findChatOfAgent(db: Executor, agentId: string): Promise<ChatSpot | null> {
  const row = await db
    .selectFrom('agent as a')
    .innerJoin('spawn as s', 's.id', 'a.spawn_id')
    .innerJoin('chat_spawn as c', (join) =>
      join
        .onRef('c.request_id', '=', 's.request_id')
        .onRef('c.workspace_id', '=', 's.workspace_id'),
    )
    .innerJoin('connector as n', 'n.id', 'c.connector_id')
    .select(['c.connector_id as connectorId', 'c.chat_id as chatId', 'c.thread_id as threadId'])
    .where('a.id', '=', agentId)
    .where('n.removed_at', 'is', null)
    .executeTakeFirst();
  return row ?? null;
}

/** What was asked for long ago by requests that made nothing, or whose agents are gone. */
export async function purgeChatSpawns(db: Executor, keepDays: number): Promise<void> {
  await sql`
    delete from chat_spawn c
    where c.created_at < now() - make_interval(days => ${keepDays})
      and not exists (select from spawn s join agent a on a.spawn_id = s.id
        where s.request_id = c.request_id and s.workspace_id = c.workspace_id and a.ended_at is null)
  `.execute(db);
}
