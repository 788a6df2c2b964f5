import { sql, type RawBuilder } from 'kysely';
import { parseId, type UserId } from '../../../domain/id.ts';
import {
  covers,
  ROLES,
  type Role,
  type RoleBinding,
  type RolePlace,
} from '../../../domain/principal.ts';
import type { Executor } from '../schema.ts';
import type { RoleBindingTable } from '../tables/people.ts';

/** A user who is not disabled, with every role that he has now. */
export interface LiveUser {
  readonly id: UserId;
  readonly name: string;
  readonly bindings: readonly RoleBinding[];
}

interface BindingRow {
  readonly role: Role;
  readonly place: RolePlace['kind'];
  readonly workspaceId: string | null;
  readonly contextId: string | null;
  readonly thing: string | null;
}

export async function findLiveUser(db: Executor, id: string): Promise<LiveUser | null> {
  const rows = await db
    .selectFrom('user_account as u')
    .leftJoin('role_binding as b', (join) =>
      join.onRef('b.user_id', '=', 'u.id').on('b.revoked_at', 'is', null),
    )
    .select([
      'u.id',
      'u.name',
      'b.role',
      'b.place',
      'b.workspace_id as workspaceId',
      'b.context_id as contextId',
      'b.thing',
    ])
    .where('u.id', '=', id)
    .where('u.disabled_at', 'is', null)
    .orderBy('b.seq')
    .execute();
  const user = rows[0];
  if (user === undefined) return null;
  const bindings = rows.flatMap(({ role, place, ...row }) =>
    role === null || place === null ? [] : [bindingOf({ role, place, ...row })],
  );
  return { id: parseId('user', user.id), name: user.name, bindings };
}

export function bindingOf(row: BindingRow): RoleBinding {
  return { role: row.role, place: placeOf(row) };
}

function placeOf({ place, workspaceId, contextId, thing }: BindingRow): RolePlace {
  if (place === 'installation') return { kind: 'installation' };
  const inWorkspace = parseId('workspace', workspaceId);
  if (place === 'workspace') return { kind: 'workspace', workspaceId: inWorkspace };
  if (place === 'context') {
    const inContext = parseId('context', contextId);
    return { kind: 'context', workspaceId: inWorkspace, contextId: inContext };
  }
  return { kind: place, workspaceId: inWorkspace, name: thing ?? '' };
}

/** The columns of a binding's row. */
export function rowOf(place: RolePlace): Pick<RoleBindingTable, 'place'> & {
  readonly workspace_id: string | null;
  readonly context_id: string | null;
  readonly thing: string | null;
} {
  return {
    place: place.kind,
    workspace_id: place.kind === 'installation' ? null : place.workspaceId,
    context_id: place.kind === 'context' ? place.contextId : null,
    thing: 'name' in place ? place.name : null,
  };
}

interface At {
  readonly workspaceId: string;
  readonly contextId?: string | null;
}

/** Ids of all users, and keys of nobody in particular, that could decide at this moment what needs `role` here. */
export async function findDeciders(
  db: Executor,
  { role, ...at }: At & { readonly role: Role },
): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('live_binding')
    .select('principal_id as id')
    .distinct()
    .where(
      'role',
      'in',
      ROLES.filter((candidate) => covers(candidate, role)),
    )
    .where('decides', '=', true)
    .where(holdsAt(at))
    .execute();
  return rows.map(({ id }) => id);
}

/** The best role of a user, or of a key that is nobody's in particular, at this moment; null where there is none. */
export async function findRole(
  db: Executor,
  { principalId, ...at }: At & { readonly principalId: string },
): Promise<Role | null> {
  const rows = await db
    .selectFrom('live_binding')
    .select('role')
    .where('principal_id', '=', principalId)
    .where(holdsAt(at))
    .execute();
  const roles = rows.map(({ role }) => role);
  return ROLES.find((role) => roles.includes(role)) ?? null;
}

function holdsAt({ workspaceId, contextId = null }: At) {
  return bindingHolds('live_binding', {
    workspaceId: sql`${workspaceId}::text`,
    contextId: sql`${contextId}::text`,
  });
}

/**
 * Whether a row of `live_binding`, under this name, holds at the place whose ids these expressions give. As `reaches` of
 * domain/authorize.ts has it: what holds everywhere ends before what is one user's own.
 */
export function bindingHolds(
  binding: string,
  at: { readonly workspaceId: RawBuilder<unknown>; readonly contextId: RawBuilder<unknown> },
) {
  const of = (column: string) => sql.ref(`${binding}.${column}`);
  return sql<boolean>`((${of('place')} = 'installation' and (${of('role')} = 'overlord' or not exists (
      select from workspace w where w.id = ${at.workspaceId} and w.kind = 'private')))
    or (${of('workspace_id')} = ${at.workspaceId} and (${of('place')} = 'workspace'
      or (${of('place')} = 'context' and ${of('context_id')} = ${at.contextId}))))`;
}

/** How people read who did something: the names of users and keys. Others are left out. */
export async function namesOfPrincipals(
  db: Executor,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('api_key')
    .select(['id', 'name'])
    .where('id', 'in', ids)
    .unionAll(db.selectFrom('user_account').select(['id', 'name']).where('id', 'in', ids))
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
