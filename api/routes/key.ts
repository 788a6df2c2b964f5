import { z } from 'zod';
import { privatesOf, roleAt, sees, workspacesOf } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import { parseId, type ApiKeyId, type WorkspaceId } from '../../domain/id.ts';
import { covers } from '../../domain/principal.ts';
import { ApiKeyIdSchema } from '../../domain/schema/id.ts';
import { ApiKeySchema, CreateApiKeySchema, CreatedApiKeySchema } from '../../domain/schema/key.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { findOldestWorkspace } from '../../infra/db/queries/key-view.ts';
import { getKey, insertKey, listKeys, revokeKey, type ApiKey } from '../../infra/db/queries/key.ts';
import { getUser } from '../../infra/db/queries/user.ts';
import { findOwner } from '../../infra/db/queries/workspace-kind.ts';
import { getWorkspace } from '../../infra/db/queries/workspace.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { makeApiKey } from '../api-key.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import type { ApiDeps } from '../deps.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route, type Caller } from '../route.ts';
import { onlyOne, placeIn } from '../target.ts';

export const keyRoutes = [
  route({
    method: 'GET',
    path: '/v1/keys',
    name: 'listKeys',
    listener: 'admin',
    summary: 'API keys, oldest first, without their secrets.',
    rate: 'read',
    target: null,
    query: PageQuery,
    response: { status: 200, json: pageOf(ApiKeySchema) },
    handler: async ({ caller, query }, { db }) => {
      const found = await listKeys(db, {
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        only: workspacesOf(caller.bindings),
        privates: privatesOf(caller.bindings),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(keyView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/keys',
    name: 'createKey',
    listener: 'admin',
    summary: 'Makes an API key, never above your own. Its secret is shown in this answer only.',
    rate: 'write',
    target: null,
    body: CreateApiKeySchema,
    response: { status: 201, json: CreatedApiKeySchema },
    storable: withoutSecret,
    handler: async ({ caller, body, idempotencyKey }, deps) => {
      const id = repeatableId('apiKey', [caller.id, idempotencyKey]);
      return { body: await create(deps, caller, { id, ...body }) };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/keys/{key}',
    name: 'revokeKey',
    listener: 'admin',
    summary: 'Revokes an API key, at once and for good. Revoking it again is fine.',
    rate: 'write',
    target: { kind: 'apiKey', param: 'key' },
    params: z.strictObject({ key: ApiKeyIdSchema }),
    response: { status: 200, json: ApiKeySchema },
    handler: async ({ params, caller }, deps) => ({
      body: await revoke(deps, caller, params.key),
    }),
  }),
];

/** What a replay shows: the secret is kept nowhere. */
function withoutSecret(body: unknown): unknown {
  return { ...CreatedApiKeySchema.parse(body), secret: null };
}

async function create(
  { db, clock }: ApiDeps,
  caller: Caller,
  body: z.output<typeof CreateApiKeySchema> & { readonly id: ApiKeyId },
) {
  const { id, name, role, scopes } = body;
  const earlier = await getKey(db, id);
  // Made by a try whose answer was lost, and its secret with it: to be revoked and made anew.
  if (earlier !== null) return { key: keyView(earlier), secret: null };
  const expiresAt = body.expiresAt === undefined ? null : new Date(body.expiresAt);
  if (expiresAt !== null && expiresAt.getTime() <= clock.now()) {
    throw new AppError('invalid_input', '`expiresAt` is in the past.');
  }
  const own = workspacesOf(caller.bindings);
  const workspaceId = body.workspaceId ?? (own === 'all' ? null : onlyOne(own));
  await checkNotAbove(db, { caller, wanted: { ...body, workspaceId } });
  const { secret, prefix, hash } = makeApiKey();
  const userId = body.userId ?? null;
  const key = { id, prefix, hash, name, role, scopes, workspaceId, expiresAt, userId };
  const created = await db.transaction().execute(async (tx) => {
    if (workspaceId !== null && (await getWorkspace(tx, workspaceId)) === null) {
      throw new AppError('not_found', 'There is no such workspace.');
    }
    await checkUser(tx, { caller, userId, workspaceId });
    await insertKey(tx, { ...key, createdBy: caller.id });
    await record(tx, {
      caller,
      keyId: id,
      workspaceId,
      verb: 'create',
      change: { before: null, after: { role, scopes, workspaceId, userId } },
    });
    return getKey(tx, id);
  });
  if (created === null) throw new Error('A key that was just made is there.');
  return { key: keyView(created), secret };
}

/** Nobody gives what he has not: role, scopes, workspaces and time. */
async function checkNotAbove(
  db: Executor,
  { caller, wanted: body }: { readonly caller: Caller; readonly wanted: WantedKey },
): Promise<void> {
  const at = await placeIn(db, body.workspaceId);
  if (body.workspaceId !== null && !sees(caller.bindings, at)) {
    throw new AppError('not_found', 'There is no such workspace, or it is not yours.');
  }
  const own = roleAt(caller.bindings, at);
  if (own === null || !covers(own, body.role)) {
    throw new AppError('policy_denied', `The role ${body.role} is above yours, ${own ?? 'none'}.`);
  }
  const missing = body.scopes.filter((scope) => !caller.scopes.includes(scope));
  if (missing.length > 0) {
    throw new AppError(
      'policy_denied',
      `You do not have these scopes yourself: ${missing.join(', ')}.`,
    );
  }
}

type WantedKey = Pick<z.output<typeof CreateApiKeySchema>, 'role' | 'scopes'> & {
  readonly workspaceId: WorkspaceId | null;
};

/** A key speaks in its user's name, so only he makes it, or an overlord, who could anyhow. */
async function checkUser(
  tx: Executor,
  {
    caller,
    userId,
    workspaceId,
  }: { readonly caller: Caller } & Record<'userId' | 'workspaceId', string | null>,
): Promise<void> {
  const owner = workspaceId === null ? null : await findOwner(tx, workspaceId);
  if (owner !== null && owner !== userId) {
    throw new AppError('policy_denied', 'Keys of a private workspace are its owner’s: name him.');
  }
  if (userId === null || userId === caller.userId) return;
  if (roleAt(caller.bindings, { workspaceId: null }) !== 'overlord') {
    throw new AppError('policy_denied', 'Only an overlord makes keys in another’s name.');
  }
  if ((await getUser(tx, userId)) === null) {
    throw new AppError('not_found', 'There is no such user.');
  }
}

async function revoke({ db }: ApiDeps, caller: Caller, keyId: string) {
  const key = await db.transaction().execute(async (tx) => {
    const found = await getKey(tx, keyId);
    if (found === null) throw new AppError('not_found', 'There is no such API key.');
    if (!covers(caller.role, found.role)) {
      throw new AppError('policy_denied', `This key's role, ${found.role}, is above yours.`);
    }
    const workspaceId = found.workspaceId === null ? null : parseId('workspace', found.workspaceId);
    if (await revokeKey(tx, keyId)) {
      const { role, scopes, userId } = found;
      const change = { before: { role, scopes, workspaceId, userId }, after: null };
      await record(tx, { caller, keyId, workspaceId, verb: 'revoke', change });
    }
    return getKey(tx, keyId);
  });
  if (key === null) throw new Error('A revoked key keeps its row.');
  return keyView(key);
}

interface KeyChange {
  readonly caller: Caller;
  readonly keyId: string;
  readonly workspaceId: WorkspaceId | null;
  readonly verb: 'create' | 'revoke';
  readonly change: Readonly<Record<'before' | 'after', unknown>>;
}

async function record(
  tx: Executor,
  { caller, keyId, workspaceId, verb, change }: KeyChange,
): Promise<void> {
  const logOf = workspaceId ?? (await findOldestWorkspace(tx));
  if (logOf === null) return;
  const key = `${keyId}:${verb}`;
  const type = verb === 'create' ? 'key.created' : 'key.revoked';
  await appendRecord(tx, {
    workspaceId: logOf,
    events: [{ key, type, subjectId: keyId, data: { by: caller.id } }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: `key.${verb}`,
        subjectId: keyId,
        detail: { workspaceId, ...change },
      },
    ],
  });
}

function keyView(key: ApiKey) {
  return {
    ...key,
    id: parseId('apiKey', key.id),
    scopes: [...key.scopes],
    userId: key.userId === null ? null : parseId('user', key.userId),
    workspaceId: key.workspaceId === null ? null : parseId('workspace', key.workspaceId),
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  };
}
