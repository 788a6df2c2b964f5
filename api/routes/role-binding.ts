import { z } from 'zod';
import { sees } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import { RoleBindingIdSchema, UserIdSchema } from '../../domain/schema/id.ts';
import { GrantRoleSchema, RoleBindingSchema } from '../../domain/schema/role-binding.ts';
import { listRoleBindings, type GivenRole } from '../../infra/db/queries/role-binding.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route, type Caller } from '../route.ts';
import { placeIn } from '../target.ts';
import { grantRole, requireUser, roleView, takeRole } from '../user.ts';

const ByUser = z.strictObject({ user: UserIdSchema });

export const roleBindingRoutes = [
  route({
    method: 'GET',
    path: '/v1/users/{user}/role-bindings',
    name: 'listRoleBindings',
    listener: 'admin',
    summary: 'The roles that a user has now, where you are an admin yourself.',
    rate: 'read',
    target: null,
    params: ByUser,
    response: { status: 200, json: z.object({ items: z.array(RoleBindingSchema) }) },
    handler: async ({ caller, params }, { db }) => {
      const items = await requireKnown(db, { caller, userId: params.user });
      return { body: { items: items.map(roleView) } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/users/{user}/role-bindings',
    name: 'grantRole',
    listener: 'admin',
    summary:
      'Gives a user a role at a place, never above your own there. What he has already is answered again.',
    rate: 'write',
    target: null,
    params: ByUser,
    body: GrantRoleSchema,
    response: { status: 201, json: RoleBindingSchema },
    handler: async ({ caller, params, body, idempotencyKey }, { db }) => {
      const userId = params.user;
      const id = repeatableId('roleBinding', [caller.id, userId, idempotencyKey]);
      const given = await db
        .transaction()
        .execute((tx) => grantRole({ tx, caller }, { ...body, id, userId }));
      return { body: roleView(given) };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/role-bindings/{roleBinding}',
    name: 'revokeRole',
    listener: 'admin',
    summary:
      'Takes a role back, at once. Taking it back again is fine; the last overlord keeps his.',
    rate: 'write',
    target: { kind: 'roleBinding', param: 'roleBinding' },
    params: z.strictObject({ roleBinding: RoleBindingIdSchema }),
    response: { status: 200, json: RoleBindingSchema },
    handler: async ({ caller, params }, { db }) => {
      const given = await db
        .transaction()
        .execute((tx) => takeRole({ tx, caller }, params.roleBinding));
      return { body: roleView(given) };
    },
  }),
];

/** A user's roles where the caller has something to say; of a user of whom he knows nothing, there is none. */
export async function requireKnown(
  db: Executor,
  { caller, userId }: { readonly caller: Caller; readonly userId: string },
): Promise<readonly GivenRole[]> {
  const all = await listRoleBindings(db, { userId });
  const shown: GivenRole[] = [];
  for (const given of all) {
    const { place } = given;
    const at = await placeIn(db, place.kind === 'installation' ? null : place.workspaceId);
    if (sees(caller.bindings, at)) shown.push(given);
  }
  const seesAll = sees(caller.bindings, { workspaceId: null });
  if (shown.length === 0 && !seesAll) {
    throw new AppError('not_found', 'There is no such user, or you have nothing to do with him.');
  }
  await requireUser(db, userId);
  return shown;
}
