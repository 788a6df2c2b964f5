import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { AgentKeySchema } from '../../domain/schema/agent-key.ts';
import { AgentIdSchema, AgentKeyIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import {
  listAgentKeys,
  revokeAgentKey,
  type ListedAgentKey,
} from '../../infra/db/queries/agent-key.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import type { ApiDeps } from '../deps.ts';
import { route, type Caller } from '../route.ts';

export const agentKeyRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/agent-keys',
    name: 'listAgentKeys',
    listener: 'admin',
    summary: 'Keys of agents’ sessions, oldest first, without their secrets.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: z.strictObject({ ...PageQuery.shape, agent: AgentIdSchema.optional() }),
    response: { status: 200, json: pageOf(AgentKeySchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listAgentKeys(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.agent === undefined ? {} : { agentId: query.agent }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(agentKeyView), next } };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/agent-keys/{agentKey}',
    name: 'revokeAgentKey',
    listener: 'admin',
    summary:
      'Revokes a key of a session, at once and for good. The agent gets new ones when it resumes.',
    rate: 'write',
    target: { kind: 'agentKey', param: 'agentKey' },
    params: z.strictObject({ agentKey: AgentKeyIdSchema }),
    response: { status: 200, json: AgentKeySchema },
    handler: async ({ params, caller, workspaceId }, deps) => ({
      body: await revoke(deps, caller, { id: params.agentKey, workspaceId: workspaceId ?? '' }),
    }),
  }),
];

async function revoke(
  { db }: ApiDeps,
  caller: Caller,
  { id, workspaceId }: { readonly id: string; readonly workspaceId: string },
) {
  const [key] = await listAgentKeys(db, { workspaceId, id, after: 0, limit: 1 });
  if (key === undefined) throw new AppError('not_found', 'There is no such key.');
  const { agentId, epoch } = key;
  await db.transaction().execute(async (tx) => {
    if (!(await revokeAgentKey(tx, id))) return;
    const type = 'agent_key.revoked';
    const data = { agentId, epoch };
    await appendRecord(tx, {
      workspaceId,
      events: [{ key: `${id}:${type}`, type, subjectId: id, data }],
      audits: [
        {
          key: `${id}:revoke`,
          actorKind: 'user',
          actorId: caller.id,
          action: 'agent_key.revoke',
          subjectId: id,
          detail: data,
        },
      ],
    });
  });
  const [revoked = key] = await listAgentKeys(db, { workspaceId, id, after: 0, limit: 1 });
  return agentKeyView(revoked);
}

function agentKeyView(key: ListedAgentKey) {
  return {
    ...key,
    id: parseId('agentKey', key.id),
    agentId: parseId('agent', key.agentId),
    workspaceId: parseId('workspace', key.workspaceId),
    grants: [...key.grants],
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
  };
}
