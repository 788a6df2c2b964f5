import type { WorkspaceKind } from '../../../domain/context.ts';
import type { WorkspaceId } from '../../../domain/id.ts';
import type { Executor } from '../schema.ts';
import type { Page } from './page.ts';
import { storableText } from '../storable.ts';

export interface Workspace {
  readonly id: string;
  readonly seq: number;
  readonly slug: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly kind: WorkspaceKind;
  readonly ownerUserId: string | null;
}

/** `taken`: another workspace has that slug. */
export type CreateWorkspaceResult =
  | { readonly kind: 'created' | 'existing'; readonly workspace: Workspace }
  | { readonly kind: 'taken' };

const columns = [
  'id',
  'seq',
  'slug',
  'name',
  'created_at as createdAt',
  'kind',
  'owner_user_id as ownerUserId',
] as const;

/** Makes the workspace and its counter row in one statement; the same id again finds the first. */
export async function createWorkspace(
  db: Executor,
  input: {
    readonly id: WorkspaceId;
    readonly slug: string;
    readonly name: string;
    /** Makes it his own. It stays what it was made as. */
    readonly ownerUserId?: string | null;
  },
): Promise<CreateWorkspaceResult> {
  const { ownerUserId = null } = input;
  const created = await db
    .with('made', (query) =>
      query
        .insertInto('workspace')
        .values({
          id: input.id,
          slug: input.slug,
          name: storableText(input.name),
          kind: ownerUserId === null ? 'community' : 'private',
          owner_user_id: ownerUserId,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning(columns),
    )
    .with('counter', (query) =>
      query
        .insertInto('workspace_counter')
        .columns(['workspace_id'])
        .expression((from) => from.selectFrom('made').select('made.id')),
    )
    .selectFrom('made')
    .selectAll()
    .executeTakeFirst();
  if (created !== undefined) return { kind: 'created', workspace: created };
  const existing = await getWorkspace(db, input.id);
  return existing === null ? { kind: 'taken' } : { kind: 'existing', workspace: existing };
}

/** By id or by slug. */
export async function getWorkspace(db: Executor, idOrSlug: string): Promise<Workspace | null> {
  const found = await db
    .selectFrom('workspace')
    .select(columns)
    .where((where) => where.or([where('id', '=', idOrSlug), where('slug', '=', idOrSlug)]))
    .executeTakeFirst();
  return found ?? null;
}

/** Which workspaces somebody has to do with; all of them where it is left out. */
export interface SeenWorkspaces {
  readonly only?: 'all' | readonly string[];
  /** Of those that are one user's own: `only` alone does not show them. */
  readonly privates?: 'all' | readonly string[];
}

/** Oldest first; `after` is the last seq of the page before. */
export async function listWorkspaces(
  db: Executor,
  page: Page & SeenWorkspaces,
): Promise<readonly Workspace[]> {
  const { only = 'all', privates = 'all' } = page;
  if (only !== 'all' && only.length === 0) return [];
  let select = db
    .selectFrom('workspace')
    .select(columns)
    .where('seq', '>', page.after)
    .orderBy('seq')
    .limit(page.limit);
  if (only !== 'all') select = select.where('id', 'in', only);
  if (privates !== 'all') {
    select = select.where((where) =>
      where.or([where('kind', '=', 'community'), where('id', 'in', ['', ...privates])]),
    );
  }
  return select.execute();
}
