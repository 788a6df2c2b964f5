import { z } from 'zod';
import { workspacesOf } from '../../domain/authorize.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { UserIdSchema } from '../../domain/schema/id.ts';
import { CreateUserSchema, UserSchema } from '../../domain/schema/user.ts';
import { listUsers } from '../../infra/db/queries/user.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route } from '../route.ts';
import { requireAt } from '../target.ts';
import { changeDisabled, makeUser, requireUser, userView } from '../user.ts';
import { requireKnown } from './role-binding.ts';

export const ByUser = z.strictObject({ user: UserIdSchema });
/** Users are the installation's: who makes them or ends them needs his role everywhere. */
export const EVERYWHERE = { workspaceId: null } as const;

export const userRoutes = [
  route({
    method: 'GET',
    path: '/v1/users',
    name: 'listUsers',
    listener: 'admin',
    summary:
      'Users, oldest first. Who is an admin of workspaces sees those who have a role in them.',
    rate: 'read',
    target: null,
    query: PageQuery,
    response: { status: 200, json: pageOf(UserSchema) },
    handler: async ({ caller, query }, { db }) => {
      const found = await listUsers(db, {
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        only: workspacesOf(caller.bindings),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(userView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/users',
    name: 'createUser',
    listener: 'admin',
    summary: 'Makes a user, who may do nothing until he is given a role. Needs a role everywhere.',
    rate: 'write',
    target: null,
    body: CreateUserSchema,
    response: { status: 201, json: UserSchema },
    handler: async ({ caller, body, idempotencyKey }, { db }) => {
      requireAt(caller, 'createUser', EVERYWHERE);
      const id = repeatableId('user', [caller.id, idempotencyKey]);
      const user = await db
        .transaction()
        .execute((tx) => makeUser({ tx, caller }, { id, name: body.name }));
      return { body: userView(user) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/users/{user}',
    name: 'getUser',
    listener: 'admin',
    summary: 'One user.',
    rate: 'read',
    target: null,
    params: ByUser,
    response: { status: 200, json: UserSchema },
    handler: async ({ caller, params }, { db }) => {
      await requireKnown(db, { caller, userId: params.user });
      return { body: userView(await requireUser(db, params.user)) };
    },
  }),
  switchRoute({
    name: 'disableUser',
    path: '/v1/users/{user}/disable',
    disabled: true,
    summary:
      'Refuses a user from now on, by whatever he is recognised: keys, sessions, certificates, chats. ' +
      'Not the last overlord.',
  }),
  switchRoute({
    name: 'enableUser',
    path: '/v1/users/{user}/enable',
    disabled: false,
    summary: 'Lets a disabled user in again, with the roles that he has.',
  }),
];

interface Switch {
  readonly name: 'disableUser' | 'enableUser';
  readonly path: string;
  readonly summary: string;
  readonly disabled: boolean;
}

function switchRoute({ name, path, summary, disabled }: Switch) {
  return route({
    method: 'POST',
    path,
    name,
    listener: 'admin',
    summary,
    rate: 'write',
    target: null,
    params: ByUser,
    response: { status: 200, json: UserSchema },
    handler: async ({ caller, params }, { db }) => {
      requireAt(caller, name, EVERYWHERE);
      const user = await db
        .transaction()
        .execute((tx) => changeDisabled({ tx, caller }, { id: params.user, disabled }));
      return { body: userView(user) };
    },
  });
}
