import { sql } from 'kysely';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { Page } from './page.ts';

export interface User {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly disabledAt: Date | null;
}

const COLUMNS = [
  'id',
  'seq',
  'name',
  'created_by as createdBy',
  'created_at as createdAt',
  'disabled_at as disabledAt',
] as const;

/** True when this call made him. Idempotent by the id. A user without roles may do nothing. */
export async function insertUser(
  db: Executor,
  user: { readonly id: string; readonly name: string; readonly createdBy: string },
): Promise<boolean> {
  const result = await db
    .insertInto('user_account')
    .values({ id: user.id, name: storableText(user.name), created_by: user.createdBy })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

export async function getUser(db: Executor, id: string): Promise<User | null> {
  const row = await db
    .selectFrom('user_account')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

/** Oldest first. `only`: those who have a role in one of these workspaces, or who have every one. */
export async function listUsers(
  db: Executor,
  query: Page & { readonly only: 'all' | readonly string[] },
): Promise<readonly User[]> {
  const { only } = query;
  let select = db
    .selectFrom('user_account as u')
    .select(COLUMNS)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (only !== 'all') {
    select = select.where((where) =>
      where.exists(
        where
          .selectFrom('role_binding as b')
          .select('b.id')
          .whereRef('b.user_id', '=', 'u.id')
          .where('b.revoked_at', 'is', null)
          .where('b.workspace_id', 'in', ['', ...only]),
      ),
    );
  }
  return select.execute();
}

/** True when this call changed it. Idempotent: the first time stands. */
export async function setDisabled(
  db: Executor,
  { id, disabled }: { readonly id: string; readonly disabled: boolean },
): Promise<boolean> {
  const result = await db
    .updateTable('user_account')
    .set({ disabled_at: disabled ? sql<Date>`now()` : null })
    .where('id', '=', id)
    .where('disabled_at', disabled ? 'is' : 'is not', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/**
 * How many others could put things right: users who are overlords everywhere, and such keys of nobody's in particular
 * that have no end. Holds others who ask the same until the transaction ends, so that two cannot remove each other.
 */
export async function countOtherOverlords(tx: Executor, userId: string): Promise<number> {
  await sql`select pg_advisory_xact_lock(hashtext('rookery:overlords'))`.execute(tx);
  const { rows } = await sql<{ count: number }>`
    select count(distinct b.principal_id)::int as count
    from live_binding b left join api_key k on k.id = b.principal_id
    where b.role = 'overlord' and b.place = 'installation' and b.principal_id <> ${userId}
      and k.expires_at is null`.execute(tx);
  return rows[0]?.count ?? 0;
}
