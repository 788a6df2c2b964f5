import { z } from 'zod';
import { AGENT_STATES, AGENT_TYPES } from '../../domain/agent.ts';
import { AgentSchema, CommandedSchema } from '../../domain/schema/agent.ts';
import { EventSchema } from '../../domain/schema/event.ts';
import { AgentIdSchema, SpawnIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { pageAgents } from '../../infra/db/queries/agent-view.ts';
import { readEvents } from '../../infra/db/queries/event.ts';
import { commandAgent, type AgentCommandName } from '../agent-command.ts';
import { findAgent } from '../agent-host.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { listOf } from '../query.ts';
import { route } from '../route.ts';
import { confinedTo } from '../target.ts';
import { agentView, eventView } from '../view.ts';

export const ByAgent = z.strictObject({ agent: AgentIdSchema });

export const agentRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/agents',
    name: 'listAgents',
    summary: 'Agents, oldest first.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: PageQuery.extend({
      state: listOf(AGENT_STATES).optional(),
      type: listOf(AGENT_TYPES).optional(),
      spawn: SpawnIdSchema.optional(),
    }),
    response: { status: 200, json: pageOf(AgentSchema) },
    handler: async ({ caller, workspaceId, contextId, query }, { db }) => {
      const only = confinedTo(caller, 'listAgents', { workspaceId, contextId });
      const found = await pageAgents(db, {
        ...(only === null ? {} : { contextId: only }),
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.state === undefined ? {} : { states: query.state }),
        ...(query.type === undefined ? {} : { types: query.type }),
        ...(query.spawn === undefined ? {} : { spawnId: query.spawn }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(agentView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}',
    name: 'getAgent',
    summary: 'One agent as it is now.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: AgentSchema },
    handler: async ({ params }, deps) => ({ body: agentView(await findAgent(deps, params.agent)) }),
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/history',
    name: 'listAgentHistory',
    summary: 'Every change of state there was, oldest first.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    query: PageQuery,
    response: { status: 200, json: pageOf(EventSchema) },
    handler: async ({ params, workspaceId, query }, { db }) => {
      const found = await readEvents(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        types: ['agent.state_changed'],
        subjectId: params.agent,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(eventView), next } };
    },
  }),
  command('suspend', 'Ends the session and keeps the conversation.'),
  command('resume', 'Continues a suspended agent with its own conversation.'),
  command('stop', 'Ends the agent for good. Stopping a stopped one is fine.'),
];

function command(name: AgentCommandName, summary: string) {
  return route({
    method: 'POST',
    path: `/v1/agents/{agent}/${name}`,
    name: `${name}Agent`,
    summary: `${summary} 202 \`pending\` where it takes longer than 5 s.`,
    rate: 'write',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: CommandedSchema },
    handler: async ({ params, caller, idempotencyKey }, deps) =>
      commandAgent(deps, { agentId: params.agent, name, caller, requestId: idempotencyKey }),
  });
}
