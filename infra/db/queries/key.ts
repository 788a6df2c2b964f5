import { sql } from 'kysely';
import type { Role, Scope } from '../../../domain/principal.ts';
import { isNotTouched } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { Page } from './page.ts';
import type { SeenWorkspaces } from './workspace.ts';

export interface ApiKey {
  readonly id: string;
  readonly seq: number;
  readonly prefix: string;
  readonly name: string;
  readonly role: Role;
  readonly scopes: readonly Scope[];
  readonly workspaceId: string | null;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** Whose it is; null for a key that is nobody's in particular. */
  readonly userId: string | null;
}

const COLUMNS = [
  'id',
  'seq',
  'prefix',
  'name',
  'role',
  'scopes',
  'workspace_id as workspaceId',
  'created_by as createdBy',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'revoked_at as revokedAt',
  'last_used_at as lastUsedAt',
  'user_id as userId',
] as const;

/** Neither revoked nor expired, by the database's clock. */
const isLive = sql<boolean>`revoked_at is null and (expires_at is null or expires_at > now())`;

/** Idempotent by the key's id. */
export async function insertKey(
  db: Executor,
  key: {
    readonly id: string;
    readonly prefix: string;
    /** Hex SHA-256 of the whole key. */
    readonly hash: string;
    readonly name: string;
    readonly role: Role;
    readonly scopes: readonly Scope[];
    readonly workspaceId: string | null;
    readonly createdBy: string;
    readonly expiresAt: Date | null;
    readonly userId?: string | null;
  },
): Promise<void> {
  await db
    .insertInto('api_key')
    .values({
      id: key.id,
      prefix: key.prefix,
      hash: key.hash,
      name: storableText(key.name),
      role: key.role,
      scopes: [...key.scopes],
      workspace_id: key.workspaceId,
      created_by: key.createdBy,
      expires_at: key.expiresAt,
      user_id: key.userId ?? null,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

/** A key that is good now by the database's clock. The caller compares the hash, in constant time. */
export async function findKeyByPrefix(
  db: Executor,
  prefix: string,
): Promise<(ApiKey & { readonly hash: string }) | null> {
  const row = await db
    .selectFrom('api_key')
    .select([...COLUMNS, 'hash'])
    .where('prefix', '=', prefix)
    .where(isLive)
    .executeTakeFirst();
  return row ?? null;
}

/** A key that is good now, for who was authenticated by it before. */
export async function findLiveKey(db: Executor, id: string): Promise<ApiKey | null> {
  const row = await db
    .selectFrom('api_key')
    .select(COLUMNS)
    .where('id', '=', id)
    .where(isLive)
    .executeTakeFirst();
  return row ?? null;
}

export async function getKey(db: Executor, id: string): Promise<ApiKey | null> {
  const row = await db
    .selectFrom('api_key')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

/** To the minute. */
export async function touchKey(db: Executor, id: string): Promise<void> {
  await db
    .updateTable('api_key')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where(isNotTouched)
    .execute();
}

/** True when this call revoked it. Idempotent: the first time stands. */
export async function revokeKey(db: Executor, id: string): Promise<boolean> {
  const result = await db
    .updateTable('api_key')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Those good in one workspace, or all of them. */
export async function listKeys(
  db: Executor,
  query: Page & { readonly workspaceId?: string } & SeenWorkspaces,
): Promise<readonly ApiKey[]> {
  let select = db
    .selectFrom('api_key')
    .select(COLUMNS)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.workspaceId !== undefined)
    select = select.where('workspace_id', '=', query.workspaceId);
  const { only = 'all', privates = 'all' } = query;
  if (only !== 'all') select = select.where('workspace_id', 'in', ['', ...only]);
  if (privates !== 'all') {
    select = select.where((where) =>
      where.or([
        where('workspace_id', 'is', null),
        where('workspace_id', 'in', ['', ...privates]),
        where(
          'workspace_id',
          'in',
          where.selectFrom('workspace').select('id').where('kind', '=', 'community'),
        ),
      ]),
    );
  }
  return select.execute();
}

/** Whether any key is good now: when none is, `up` makes the first. */
export async function hasLiveKey(db: Executor): Promise<boolean> {
  const row = await db.selectFrom('api_key').select('id').where(isLive).limit(1).executeTakeFirst();
  return row !== undefined;
}
