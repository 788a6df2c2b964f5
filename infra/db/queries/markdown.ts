import { sql } from 'kysely';
import type { EventType } from '../../../domain/event.ts';
import type { LogEntry } from '../../markdown/log.ts';
import type { Executor } from '../schema.ts';

export const LOGGED = [
  'chat.message_received',
  'chat.message_sent',
  'chat.message_edited',
] as const;

const KINDS = {
  'chat.message_received': 'received',
  'chat.message_sent': 'sent',
  'chat.message_edited': 'edited',
} as const satisfies Record<(typeof LOGGED)[number], LogEntry['kind']>;

function isLogged(type: EventType): type is (typeof LOGGED)[number] {
  return type in KINDS;
}

/** How far the records of a workspace were written. Its events stay until they are. */
export function markdownCursor(workspaceId: string): string {
  return `markdown:${workspaceId}`;
}

export interface WorkspaceToRecord {
  readonly id: string;
  readonly slug: string;
}

/** Workspaces with events that nobody has looked at for the records. */
export async function findToRecord(
  db: Executor,
  limit: number,
): Promise<readonly WorkspaceToRecord[]> {
  const { rows } = await sql<WorkspaceToRecord>`
    select w.id, w.slug from workspace w
    join workspace_counter n on n.workspace_id = w.id
    left join cursor c on c.name = 'markdown:' || w.id
    where n.event_seq > coalesce(c.seq, 0)
    order by w.seq limit ${limit}
  `.execute(db);
  return rows;
}

/** True where nobody else writes these records; held until the transaction ends, also by a process that hangs. */
export async function lockRecords(tx: Executor, workspaceId: string): Promise<boolean> {
  const { rows } = await sql<{ isOurs: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended(${markdownCursor(workspaceId)}, 0)) as "isOurs"
  `.execute(tx);
  return rows[0]?.isOurs === true;
}

export interface LogToWrite {
  readonly contextId: string;
  readonly connectorId: string;
  readonly contextSlug: string;
  readonly connectorName: string;
  /** Null where it was not begun. */
  readonly path: string | null;
  readonly seq: number;
}

/** The logs that messages belong to. */
export async function findLogsOf(
  db: Executor,
  messageIds: readonly string[],
): Promise<readonly LogToWrite[]> {
  if (messageIds.length === 0) return [];
  const rows = await db
    .selectFrom('chat_message as m')
    .innerJoin('context as c', 'c.id', 'm.context_id')
    .innerJoin('connector as k', 'k.id', 'm.connector_id')
    .leftJoin('markdown_log as l', (join) =>
      join
        .onRef('l.context_id', '=', 'm.context_id')
        .onRef('l.connector_id', '=', 'm.connector_id'),
    )
    .select([
      'm.context_id as contextId',
      'm.connector_id as connectorId',
      'c.slug as contextSlug',
      'k.name as connectorName',
      'l.path',
      'l.seq',
    ])
    .distinct()
    .where('m.id', 'in', [...messageIds])
    .execute();
  return rows.map((row) => ({ ...row, seq: row.seq ?? 0 }));
}

/** Takes a path for a log, and answers whether it was free. */
export async function takeLogPath(
  tx: Executor,
  log: {
    readonly workspaceId: string;
    readonly contextId: string;
    readonly connectorId: string;
    readonly path: string;
    readonly seq: number;
  },
): Promise<boolean> {
  const row = await tx
    .insertInto('markdown_log')
    .values({
      workspace_id: log.workspaceId,
      context_id: log.contextId,
      connector_id: log.connectorId,
      path: log.path,
      seq: log.seq,
    })
    .onConflict((conflict) => conflict.columns(['workspace_id', 'path']).doNothing())
    .returning('path')
    .executeTakeFirst();
  return row !== undefined;
}

export async function setLogSeq(
  tx: Executor,
  log: { readonly contextId: string; readonly connectorId: string; readonly seq: number },
): Promise<void> {
  await tx
    .updateTable('markdown_log')
    .set({ seq: sql<number>`greatest(seq, ${log.seq})` })
    .where('context_id', '=', log.contextId)
    .where('connector_id', '=', log.connectorId)
    .execute();
}

/** What belongs into a log after an event: each message as it is now, where its event says that it came or changed. */
export async function readLogEntries(
  db: Executor,
  query: {
    readonly workspaceId: string;
    readonly contextId: string;
    readonly connectorId: string;
    readonly after: number;
    readonly upTo: number;
    readonly limit: number;
  },
): Promise<readonly LogEntry[]> {
  const rows = await db
    .selectFrom('event as e')
    .innerJoin('chat_message as m', 'm.id', 'e.subject_id')
    .select([
      'e.seq',
      'e.type',
      'm.external_id as messageId',
      'm.sender_id as senderId',
      'm.sender_name as senderName',
      'm.user_id as userId',
      'm.text',
      'm.at',
      'm.edited_at as editedAt',
    ])
    .where('e.workspace_id', '=', query.workspaceId)
    .where('e.type', 'in', [...LOGGED])
    .where('e.seq', '>', query.after)
    .where('e.seq', '<=', query.upTo)
    .where('m.context_id', '=', query.contextId)
    .where('m.connector_id', '=', query.connectorId)
    .orderBy('e.seq')
    .limit(query.limit)
    .execute();
  return rows.flatMap(({ type, editedAt, at, ...row }) =>
    isLogged(type)
      ? [{ ...row, kind: KINDS[type], at: type === 'chat.message_edited' ? (editedAt ?? at) : at }]
      : [],
  );
}
