import { sql } from 'kysely';
import type { ContextKind } from '../../../domain/context.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { Page } from './page.ts';

/** Without its settings, which `setting.ts` reads together with those that it inherits. */
export interface WorkContext {
  readonly id: string;
  readonly seq: number;
  readonly workspaceId: string;
  readonly slug: string;
  readonly name: string;
  readonly kind: ContextKind;
  readonly connectorId: string | null;
  readonly chatId: string | null;
  readonly threadId: string | null;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly archivedAt: Date | null;
}

const COLUMNS = [
  'id',
  'seq',
  'workspace_id as workspaceId',
  'slug',
  'name',
  'kind',
  'connector_id as connectorId',
  'chat_id as chatId',
  'thread_id as threadId',
  'created_by as createdBy',
  'created_at as createdAt',
  'archived_at as archivedAt',
] as const;

/** Where something is said on a network. */
export interface ChatSpot {
  readonly connectorId: string;
  readonly chatId: string;
  readonly threadId: string | null;
}

/** The context that a chat is bound to: the thread's own, else that of the chat it is in; null where neither is bound. */
export async function findContextOfChat(
  db: Executor,
  { connectorId, chatId, threadId }: ChatSpot,
): Promise<WorkContext | null> {
  const row = await db
    .selectFrom('context')
    .select(COLUMNS)
    .where('connector_id', '=', connectorId)
    .where('chat_id', '=', chatId)
    .where((where) =>
      where.or([
        where('thread_id', 'is', null),
        ...(threadId === null ? [] : [where('thread_id', '=', threadId)]),
      ]),
    )
    .where('archived_at', 'is', null)
    .orderBy(sql`thread_id nulls last`)
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}

interface HubQuery {
  readonly workspaceId: string;
  /** Any connector's where absent. */
  readonly connectorId?: string;
}

/** The admin hub of a workspace on one connector, or its oldest one. */
export async function findHub(db: Executor, query: HubQuery): Promise<WorkContext | null> {
  return (await listHubs(db, query))[0] ?? null;
}

/** The admin hubs of a workspace, one for each connector at most, oldest first. */
export function listHubs(
  db: Executor,
  { workspaceId, connectorId }: HubQuery,
): Promise<WorkContext[]> {
  let select = db
    .selectFrom('context')
    .select(COLUMNS)
    .where('workspace_id', '=', workspaceId)
    .where('kind', '=', 'admin_hub')
    .where('archived_at', 'is', null)
    .orderBy('seq');
  if (connectorId !== undefined) select = select.where('connector_id', '=', connectorId);
  return select.execute();
}

export type CreateContextResult =
  | { readonly kind: 'created' | 'existing'; readonly context: WorkContext }
  /** Another context has the slug, the chat, or is the hub of that connector. */
  | { readonly kind: 'taken' };

/** Idempotent by the id. */
export async function createContext(
  db: Executor,
  context: {
    readonly id: string;
    readonly workspaceId: string;
    readonly slug: string;
    readonly name: string;
    readonly kind: ContextKind;
    readonly spot: ChatSpot | null;
    readonly createdBy: string;
  },
): Promise<CreateContextResult> {
  const { spot } = context;
  const made = await db
    .insertInto('context')
    .values({
      id: context.id,
      workspace_id: context.workspaceId,
      slug: context.slug,
      name: storableText(context.name),
      kind: context.kind,
      connector_id: spot?.connectorId ?? null,
      chat_id: spot?.chatId ?? null,
      thread_id: spot?.threadId ?? null,
      created_by: context.createdBy,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning(COLUMNS)
    .executeTakeFirst();
  if (made !== undefined) return { kind: 'created', context: made };
  const there = await getContext(db, context.id);
  return there === null ? { kind: 'taken' } : { kind: 'existing', context: there };
}

export async function getContext(db: Executor, id: string): Promise<WorkContext | null> {
  const row = await db
    .selectFrom('context')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

/** Oldest first, without archived ones. */
export async function listContexts(
  db: Executor,
  query: Page & { readonly workspaceId: string },
): Promise<readonly WorkContext[]> {
  return db
    .selectFrom('context')
    .select(COLUMNS)
    .where('workspace_id', '=', query.workspaceId)
    .where('archived_at', 'is', null)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit)
    .execute();
}

/** True when this call archived it. Idempotent: the first time stands. Its chat and slug are free again. */
export async function archiveContext(db: Executor, id: string): Promise<boolean> {
  const result = await db
    .updateTable('context')
    .set({ archived_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('archived_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** True where it is there, and not archived. */
export async function renameContext(
  db: Executor,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<boolean> {
  const result = await db
    .updateTable('context')
    .set({ name: storableText(name) })
    .where('id', '=', id)
    .where('archived_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** What a hub is once it is one no longer, by the network that it is on. */
const KIND_ON = { telegram: 'group', discord: 'channel' } as const;

/**
 * Makes a context the one admin hub of its workspace on its connector. Answers the one that was it before; null where
 * there was none. In a transaction: it takes the workspace's row, so that two at once follow each other. Idempotent.
 */
export async function switchHub(tx: Executor, context: WorkContext): Promise<WorkContext | null> {
  const { id, workspaceId, connectorId } = context;
  if (connectorId === null) throw new Error('A hub is a chat.');
  await tx
    .selectFrom('workspace')
    .select('id')
    .where('id', '=', workspaceId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const before = await findHub(tx, { workspaceId, connectorId });
  if (before?.id === id) return before;
  if (before !== null) {
    const connector = await tx
      .selectFrom('connector')
      .select('network')
      .where('id', '=', connectorId)
      .executeTakeFirstOrThrow();
    const kind = before.threadId === null ? KIND_ON[connector.network] : 'thread';
    await tx.updateTable('context').set({ kind }).where('id', '=', before.id).execute();
  }
  await tx.updateTable('context').set({ kind: 'admin_hub' }).where('id', '=', id).execute();
  return before;
}
