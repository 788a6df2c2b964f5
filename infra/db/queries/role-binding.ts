import { sql } from 'kysely';
import type { Role, RolePlace } from '../../../domain/principal.ts';
import type { Executor } from '../schema.ts';
import { bindingOf, rowOf } from './principal.ts';

/** A role that was given to a user at a place, also when it was taken back since. */
export interface GivenRole {
  readonly id: string;
  readonly userId: string;
  readonly role: Role;
  readonly place: RolePlace;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly revokedAt: Date | null;
}

function givenRoles(db: Executor) {
  return db
    .selectFrom('role_binding')
    .select([
      'id',
      'user_id as userId',
      'role',
      'place',
      'workspace_id as workspaceId',
      'context_id as contextId',
      'thing',
      'created_by as createdBy',
      'created_at as createdAt',
      'revoked_at as revokedAt',
    ]);
}

type Row = Awaited<ReturnType<ReturnType<typeof givenRoles>['executeTakeFirstOrThrow']>>;

function givenOf(row: Row): GivenRole {
  const { id, userId, createdBy, createdAt, revokedAt } = row;
  return { ...bindingOf(row), id, userId, createdBy, createdAt, revokedAt };
}

/** Idempotent by the id, and by what is given: the same role at the same place is there once. */
export async function insertRoleBinding(
  db: Executor,
  binding: {
    readonly id: string;
    readonly userId: string;
    readonly role: Role;
    readonly place: RolePlace;
    readonly createdBy: string;
  },
): Promise<{ readonly kind: 'created' | 'existing'; readonly given: GivenRole }> {
  const row = rowOf(binding.place);
  const result = await db
    .insertInto('role_binding')
    .values({
      id: binding.id,
      user_id: binding.userId,
      role: binding.role,
      ...row,
      created_by: binding.createdBy,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  const isNew = (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  const there = await givenRoles(db)
    .where((where) =>
      where.or([
        where('id', '=', binding.id),
        where.and([
          where('user_id', '=', binding.userId),
          where('role', '=', binding.role),
          where('place', '=', row.place),
          sql<boolean>`workspace_id is not distinct from ${row.workspace_id}::text`,
          sql<boolean>`context_id is not distinct from ${row.context_id}::text`,
          sql<boolean>`thing is not distinct from ${row.thing}::text`,
          where('revoked_at', 'is', null),
        ]),
      ]),
    )
    .orderBy('seq')
    .executeTakeFirstOrThrow();
  return { kind: isNew ? 'created' : 'existing', given: givenOf(there) };
}

export async function getRoleBinding(db: Executor, id: string): Promise<GivenRole | null> {
  const row = await givenRoles(db).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : givenOf(row);
}

/** A user's roles that hold now, oldest first. */
export async function listRoleBindings(
  db: Executor,
  { userId }: { readonly userId: string },
): Promise<readonly GivenRole[]> {
  const rows = await givenRoles(db)
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .orderBy('seq')
    .execute();
  return rows.map(givenOf);
}

/** True when this call took it back. Idempotent: the first time stands. */
export async function revokeRoleBinding(db: Executor, id: string): Promise<boolean> {
  const result = await db
    .updateTable('role_binding')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
