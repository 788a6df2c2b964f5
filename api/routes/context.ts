import { z } from 'zod';
import {
  ChangeContextSchema,
  ContextSchema,
  CreateContextSchema,
} from '../../domain/schema/context.ts';
import { ContextIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { AgentSchema } from '../../domain/schema/agent.ts';
import { SpawnRequestSchema, SpawnedSchema } from '../../domain/schema/spawn.ts';
import { pageAgents } from '../../infra/db/queries/agent-view.ts';
import { listContexts } from '../../infra/db/queries/context.ts';
import {
  changeContext,
  closeContext,
  contextView,
  makeContext,
  makeHub,
  requireContext,
} from '../context.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route } from '../route.ts';
import { spawnAgents } from '../spawn.ts';
import { agentView, spawnView } from '../view.ts';
import { idOf } from './setting.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
const ByContext = z.strictObject({ context: ContextIdSchema });
const TARGET = { kind: 'context', param: 'context' } as const;

export const contextRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/contexts',
    name: 'listContexts',
    summary: 'Contexts of a workspace, oldest first, without archived ones.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    query: PageQuery,
    response: { status: 200, json: pageOf(ContextSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listContexts(db, {
        workspaceId: idOf(workspaceId),
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(contextView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/contexts',
    name: 'createContext',
    summary: 'Makes a context, plain or bound to a chat. A chat is bound to one context at most.',
    rate: 'write',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    body: CreateContextSchema,
    response: { status: 201, json: ContextSchema },
    handler: async ({ caller, workspaceId, body, idempotencyKey }, { db }) => {
      const { slug, name, kind, chat } = body;
      const workspace = idOf(workspaceId);
      const id = repeatableId('context', [caller.id, workspace, idempotencyKey]);
      const context = { id, workspaceId: workspace, slug, name, kind, spot: chat ?? null };
      const made = await db.transaction().execute((tx) => makeContext({ tx, caller }, context));
      return { body: contextView(made) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/contexts/{context}',
    name: 'getContext',
    summary: 'One context.',
    rate: 'read',
    target: TARGET,
    params: ByContext,
    response: { status: 200, json: ContextSchema },
    handler: async ({ params }, { db }) => ({
      body: contextView(await requireContext(db, params.context)),
    }),
  }),
  route({
    method: 'PUT',
    path: '/v1/contexts/{context}',
    name: 'changeContext',
    summary: 'Renames a context.',
    rate: 'write',
    target: TARGET,
    params: ByContext,
    body: ChangeContextSchema,
    response: { status: 200, json: ContextSchema },
    handler: async ({ caller, params, body }, { db }) => {
      const change = { id: params.context, name: body.name };
      const context = await db.transaction().execute((tx) => changeContext({ tx, caller }, change));
      return { body: contextView(context) };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/contexts/{context}',
    name: 'archiveContext',
    summary:
      'Archives a context: its chat and slug are free again, its agents stay. Archiving it again is fine.',
    rate: 'write',
    target: TARGET,
    params: ByContext,
    response: { status: 200, json: ContextSchema },
    handler: async ({ caller, params }, { db }) => {
      const context = await db
        .transaction()
        .execute((tx) => closeContext({ tx, caller }, params.context));
      return { body: contextView(context) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/contexts/{context}/hub',
    name: 'setHub',
    summary:
      'Makes a chat the admin hub of its workspace, where approvals are shown and taken; the one before ' +
      'on the same connector is it no longer. Needs the role admin in the whole workspace.',
    rate: 'write',
    target: TARGET,
    params: ByContext,
    response: { status: 200, json: ContextSchema },
    handler: async ({ caller, params }, { db }) => {
      const context = await db
        .transaction()
        .execute((tx) => makeHub({ tx, caller }, params.context));
      return { body: contextView(context) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/contexts/{context}/spawns',
    name: 'spawnInContext',
    summary: 'Starts 1 to 50 agents in a context, under its settings. A role there is enough.',
    rate: 'spawn',
    target: TARGET,
    params: ByContext,
    body: SpawnRequestSchema,
    response: { status: 202, json: SpawnedSchema },
    handler: async ({ caller, workspaceId, params, body, idempotencyKey }, deps) => {
      await requireContext(deps.db, params.context);
      const { spawn, agents } = await spawnAgents(deps, {
        caller,
        workspaceId: idOf(workspaceId),
        body,
        requestId: idempotencyKey,
        contextId: params.context,
      });
      return { body: { spawn: spawnView(spawn), agents: agents.map(agentView) } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/contexts/{context}/agents',
    name: 'listContextAgents',
    summary: 'Agents that were spawned in a context, oldest first. A role there is enough.',
    rate: 'read',
    target: TARGET,
    params: ByContext,
    query: PageQuery,
    response: { status: 200, json: pageOf(AgentSchema) },
    handler: async ({ workspaceId, params, query }, { db }) => {
      const found = await pageAgents(db, {
        workspaceId: idOf(workspaceId),
        contextId: params.context,
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(agentView), next } };
    },
  }),
];
