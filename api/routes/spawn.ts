import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { SpawnIdSchema } from '../../domain/schema/id.ts';
import { SpawnRequestSchema, SpawnSchema, SpawnedSchema } from '../../domain/schema/spawn.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { listAgents } from '../../infra/db/queries/agent.ts';
import { getSpawn, listSpawns } from '../../infra/db/queries/spawn.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { route } from '../route.ts';
import { spawnAgents } from '../spawn.ts';
import { agentView, spawnView } from '../view.ts';

export const spawnRoutes = [
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/spawns',
    name: 'spawnAgents',
    summary:
      'Starts 1 to 50 agents. They are there at once and become ready (or fail) later; a spawn in the state `asked` has none until people grant its approval.',
    rate: 'spawn',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    body: SpawnRequestSchema,
    response: { status: 202, json: SpawnedSchema },
    handler: async ({ caller, workspaceId, contextId, body, idempotencyKey }, deps) => {
      if (workspaceId === null) throw new Error('A workspace has its own id.');
      const request = { caller, workspaceId, contextId, body, requestId: idempotencyKey };
      const { spawn, agents } = await spawnAgents(deps, request);
      return { body: { spawn: spawnView(spawn), agents: agents.map(agentView) } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/spawns',
    name: 'listSpawns',
    summary: 'Spawns, oldest first.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: PageQuery,
    response: { status: 200, json: pageOf(SpawnSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const after = decodeCursor(query.cursor);
      const limit = query.limit + 1;
      const found = await listSpawns(db, { workspaceId: workspaceId ?? '', after, limit });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(spawnView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/spawns/{spawn}',
    name: 'getSpawn',
    summary: 'One spawn with its agents.',
    rate: 'read',
    target: { kind: 'spawn', param: 'spawn' },
    params: z.strictObject({ spawn: SpawnIdSchema }),
    response: { status: 200, json: SpawnedSchema },
    handler: async ({ params }, { db }) => {
      const spawn = await getSpawn(db, params.spawn);
      if (spawn === null) throw new AppError('not_found', 'There is no such spawn.');
      const agents = await listAgents(db, { spawnId: spawn.id, after: 0, limit: spawn.count });
      return { body: { spawn: spawnView(spawn), agents: agents.map(agentView) } };
    },
  }),
];
