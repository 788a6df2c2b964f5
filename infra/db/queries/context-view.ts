import type { Executor } from '../schema.ts';
import { getContext, type WorkContext } from './context.ts';

/** The context of this id or slug in a workspace, unless it was archived. */
export async function findContext(
  db: Executor,
  { workspaceId, name }: { readonly workspaceId: string; readonly name: string },
): Promise<WorkContext | null> {
  const row = await db
    .selectFrom('context')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where((where) => where.or([where('id', '=', name), where('slug', '=', name)]))
    .where('archived_at', 'is', null)
    .executeTakeFirst();
  return row === undefined ? null : getContext(db, row.id);
}
