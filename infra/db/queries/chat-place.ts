import { sql } from 'kysely';
import type { Network } from '../../../domain/chat.ts';
import type { Executor } from '../schema.ts';

/** Of a connector that was not removed; null for any other. */
export async function findNetwork(
  db: Executor,
  connectorId: string,
): Promise<{ readonly network: Network; readonly name: string } | null> {
  const row = await db
    .selectFrom('connector')
    .select(['network', 'name'])
    .where('id', '=', connectorId)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  return row ?? null;
}

/** Hubs on one connector, of the workspaces that somebody has to do with: for what concerns all who look after it. */
export function findHubsOfConnector(
  db: Executor,
  query: { readonly connectorId: string; readonly workspaceIds: 'all' | readonly string[] },
): Promise<
  readonly {
    readonly id: string;
    readonly workspaceId: string;
    readonly chatId: string | null;
    readonly threadId: string | null;
    /** Whether the workspace is one user's own. */
    readonly isPrivate: boolean;
  }[]
> {
  let select = db
    .selectFrom('context as c')
    .innerJoin('workspace as w', 'w.id', 'c.workspace_id')
    .select([
      'c.id',
      'c.workspace_id as workspaceId',
      'c.chat_id as chatId',
      'c.thread_id as threadId',
      sql<boolean>`w.kind = 'private'`.as('isPrivate'),
    ])
    .where('c.connector_id', '=', query.connectorId)
    .where('c.kind', '=', 'admin_hub')
    .where('c.archived_at', 'is', null)
    .orderBy('c.seq');
  if (query.workspaceIds !== 'all') {
    select = select.where('c.workspace_id', 'in', ['', ...query.workspaceIds]);
  }
  return select.execute();
}

/** Whether an agent of this user waits for a code that he is to paste. */
export async function hasOpenLogin(db: Executor, userId: string): Promise<boolean> {
  const row = await db
    .selectFrom('login as l')
    .innerJoin('agent as a', 'a.id', 'l.agent_id')
    .select('l.agent_id')
    .where('a.owner_id', '=', userId)
    .where('l.closed_at', 'is', null)
    .whereRef('l.epoch', '=', 'a.epoch')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Login cards of an agent that still show their link, oldest first. */
export function findShownLogins(
  db: Executor,
  agentId: string,
): Promise<
  readonly { readonly key: string; readonly connectorId: string; readonly place: string }[]
> {
  const prefix = loginPostPrefix(agentId);
  return (
    db
      .selectFrom('post as p')
      .select(['p.key', 'p.connector_id as connectorId', 'p.place'])
      .where('p.key', '>=', prefix)
      // The character after the colon that ends the prefix.
      .where('p.key', '<', `${prefix.slice(0, -1)};`)
      .where('p.kind', '=', 'send')
      .where((where) =>
        where.not(
          where.exists(
            where.selectFrom('post as e').select('e.key').whereRef('e.edits_key', '=', 'p.key'),
          ),
        ),
      )
      .orderBy('p.seq')
      .execute()
  );
}

/** What keys of login cards begin with. */
export function loginPostPrefix(agentId: string): string {
  return `login:${agentId}:`;
}

export interface Behind {
  readonly workspaceId: string;
  readonly after: number;
  readonly lastSeq: number;
}

/** Name of the place up to which a workspace's events were told in chats. */
export function noticesCursor(workspaceId: string): string {
  return `chat-notices:${workspaceId}`;
}

/** Workspaces with events that were not looked at yet. */
export async function findBehind(db: Executor, limit: number): Promise<readonly Behind[]> {
  const { rows } = await sql<Behind>`
    select k.workspace_id as "workspaceId", coalesce(c.seq, 0) as after, k.event_seq as "lastSeq"
    from workspace_counter k
      left join cursor c on c.name = 'chat-notices:' || k.workspace_id
    where k.event_seq > coalesce(c.seq, 0)
    order by k.workspace_id limit ${limit}
  `.execute(db);
  return rows;
}
