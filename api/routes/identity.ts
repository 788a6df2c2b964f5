import { z } from 'zod';
import { IdentityIdSchema } from '../../domain/schema/id.ts';
import { IdentitySchema, LinkIdentitySchema } from '../../domain/schema/user.ts';
import { listIdentities } from '../../infra/db/queries/identity.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route } from '../route.ts';
import { requireAt } from '../target.ts';
import { identityView, linkTo, unlink } from '../user.ts';
import { requireKnown } from './role-binding.ts';
import { ByUser, EVERYWHERE } from './user.ts';

export const identityRoutes = [
  route({
    method: 'GET',
    path: '/v1/users/{user}/identities',
    name: 'listIdentities',
    listener: 'admin',
    summary: 'By what a user is recognised besides API keys, oldest first; also what was unlinked.',
    rate: 'read',
    target: null,
    params: ByUser,
    response: { status: 200, json: z.object({ items: z.array(IdentitySchema) }) },
    handler: async ({ caller, params }, { db }) => {
      await requireKnown(db, { caller, userId: params.user });
      const items = await listIdentities(db, { userId: params.user });
      return { body: { items: items.map(identityView) } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/users/{user}/identities',
    name: 'linkIdentity',
    listener: 'admin',
    summary:
      'Links an account by its issuer and subject, or by its number: whoever signs in with it is this user.',
    rate: 'write',
    target: null,
    params: ByUser,
    body: LinkIdentitySchema,
    response: { status: 201, json: IdentitySchema },
    handler: async ({ caller, params, body, idempotencyKey }, { db }) => {
      requireAt(caller, 'linkIdentity', EVERYWHERE);
      const id = repeatableId('identity', [caller.id, params.user, idempotencyKey]);
      const link = {
        id,
        userId: params.user,
        kind: body.kind,
        issuer: body.kind === 'oidc' ? body.issuer : '',
        subject: body.subject,
        displayName: body.displayName ?? '',
      };
      const identity = await db.transaction().execute((tx) => linkTo({ tx, caller }, link));
      return { body: identityView(identity) };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/identities/{identity}',
    name: 'unlinkIdentity',
    listener: 'admin',
    summary: 'Recognises nobody by this any more, at once. Unlinking it again is fine.',
    rate: 'write',
    target: null,
    params: z.strictObject({ identity: IdentityIdSchema }),
    response: { status: 200, json: IdentitySchema },
    handler: async ({ caller, params }, { db }) => {
      requireAt(caller, 'unlinkIdentity', EVERYWHERE);
      const identity = await db
        .transaction()
        .execute((tx) => unlink({ tx, caller }, params.identity));
      return { body: identityView(identity) };
    },
  }),
];
