import type { Executor } from '../schema.ts';

/** What a workspace is never changes, so it is asked once. By pool, since tests have several. */
const known = new WeakMap<object, Map<string, boolean>>();
/** Far above the workspaces of one installation; a full memory only means asking again. */
const KNOWN_MAX = 10_000;

/** Whether a workspace is one user's own. Of one that is not there: no. */
export async function isPrivateWorkspace(db: Executor, workspaceId: string): Promise<boolean> {
  const kinds = known.get(db) ?? new Map<string, boolean>();
  known.set(db, kinds);
  const earlier = kinds.get(workspaceId);
  if (earlier !== undefined) return earlier;
  const row = await db
    .selectFrom('workspace')
    .select('kind')
    .where('id', '=', workspaceId)
    .executeTakeFirst();
  if (row === undefined) return false;
  if (kinds.size >= KNOWN_MAX) kinds.clear();
  kinds.set(workspaceId, row.kind === 'private');
  return row.kind === 'private';
}

/** Whose a private workspace is; null for one that is nobody's own. */
export async function findOwner(db: Executor, workspaceId: string): Promise<string | null> {
  const row = await db
    .selectFrom('workspace')
    .select('owner_user_id')
    .where('id', '=', workspaceId)
    .executeTakeFirst();
  return row?.owner_user_id ?? null;
}
