import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import {
  CompatAgentRequestSchema,
  CompatAgentSchema,
  CompatSendSchema,
  CompatSentSchema,
  CompatSpawnRequestSchema,
  CompatThreadRequestSchema,
  CompatThreadSchema,
  COMPAT_AGENT_STATUSES,
  COMPAT_TYPES,
} from '../../domain/schema/compat.ts';
import { AgentIdSchema } from '../../domain/schema/id.ts';
import type { SpawnRequest } from '../../domain/schema/spawn.ts';
import { wholeNumber } from '../../domain/schema/text.ts';
import { newestAgents } from '../../infra/db/queries/compat-view.ts';
import { commandAgent } from '../agent-command.ts';
import { findAgent, hostOfAgent } from '../agent-host.ts';
import { requireCallback } from '../compat/callback.ts';
import { lastLines } from '../compat/output.ts';
import { workspaceOf } from '../compat/place.ts';
import { spawnOfAgent, spawnOfSpawn, spawnOfThread } from '../compat/request.ts';
import { send } from '../compat/send.ts';
import { compatAgents, compatThread } from '../compat/view.ts';
import { statesOf, typeOf } from '../compat/words.ts';
import type { ApiDeps } from '../deps.ts';
import { readBody } from '../middleware/body.ts';
import { publicRoute, route, ShapeError, type Caller } from '../route.ts';
import { spawnAgents } from '../spawn.ts';

/** That runtime has no pages: these are the newest, and a workspace has at most some hundred that live. */
const LISTED_MAX = 1_000;
const TAIL_MAX = 5_000;
const ByAgent = z.strictObject({ agent: AgentIdSchema });
const READ = { rate: 'read' } as const;
/** Its clients send no `Idempotency-Key`; `X-Request-Id` makes a repeated request find the first. */
const WRITE = { isRaw: true } as const;

export const compatRoutes = [
  publicRoute({
    method: 'GET',
    path: '/api/health',
    name: 'compatHealth',
    summary: 'Whether this runtime answers.',
    rate: 'public',
    response: { status: 200, json: z.object({ healthy: z.boolean(), message: z.string() }) },
    handler: () => Promise.resolve({ body: { healthy: true, message: 'Rookery is running.' } }),
  }),
  route({
    ...READ,
    method: 'GET',
    path: '/api/agents',
    name: 'compatListAgents',
    summary: 'Agents of the workspace.',
    target: null,
    query: z.object({
      status: z.enum(COMPAT_AGENT_STATUSES).optional(),
      type: z.enum(COMPAT_TYPES).optional(),
      role: z.string().max(120).optional(),
    }),
    response: {
      status: 200,
      json: z.object({ agents: z.array(CompatAgentSchema), count: z.int() }),
    },
    handler: async ({ caller, query, request }, deps) => {
      const workspaceId = await workspaceOf(deps, caller, request.headers);
      const { status, type, role } = query;
      const found = await newestAgents(deps.db, {
        workspaceId,
        limit: LISTED_MAX,
        ...(status === undefined ? {} : { states: statesOf(status) }),
        ...(type === undefined ? {} : { types: [typeOf(type)] }),
        ...(role === undefined ? {} : { role }),
      });
      const agents = await compatAgents(deps, found);
      return { body: { agents, count: agents.length } };
    },
  }),
  route({
    ...WRITE,
    method: 'POST',
    path: '/api/agents',
    name: 'compatSpawnAgent',
    summary: 'Starts one agent.',
    rate: 'spawn',
    target: null,
    response: { status: 201, json: CompatAgentSchema },
    handler: async ({ caller, request, requestId }, deps) => {
      const body = spawnOfAgent(await parsed(request, CompatAgentRequestSchema));
      const { agents } = await spawned(deps, { caller, request, requestId, body });
      return { body: await only(compatAgents(deps, agents)) };
    },
  }),
  route({
    ...READ,
    method: 'GET',
    path: '/api/agents/{agent}',
    name: 'compatGetAgent',
    summary: 'One agent.',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: CompatAgentSchema },
    handler: async ({ params }, deps) => ({
      body: await only(compatAgents(deps, [await findAgent(deps, params.agent)])),
    }),
  }),
  route({
    ...WRITE,
    method: 'DELETE',
    path: '/api/agents/{agent}',
    name: 'compatStopAgent',
    summary:
      'Ends an agent. It always gets time to say goodbye; `force` and `timeout` are passed over.',
    rate: 'write',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    query: z.object({}),
    response: { status: 200, media: '', description: '204 without a body.' },
    handler: async ({ params, caller, requestId }, deps) => {
      await commandAgent(deps, { agentId: params.agent, name: 'stop', caller, requestId });
      return new Response(null, { status: 204 });
    },
  }),
  sendRoute('/api/agents/{agent}/send', 'compatSendToAgent'),
  route({
    ...READ,
    method: 'GET',
    path: '/api/agents/{agent}/logs',
    name: 'compatGetLogs',
    summary: 'The last lines of the terminal, as a person would have read them.',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    query: z.object({ tail: wholeNumber({ min: 1, max: TAIL_MAX }).default(100) }),
    response: { status: 200, json: z.object({ logs: z.array(z.string()), count: z.int() }) },
    handler: async ({ params, query }, deps) => {
      const { agent: agentId } = params;
      const { spec } = await findAgent(deps, agentId);
      const host = await hostOfAgent(deps, agentId);
      const logs = [...(await lastLines(host, { agentId, spec, count: query.tail }))];
      return { body: { logs, count: logs.length } };
    },
  }),
  route({
    ...READ,
    method: 'GET',
    path: '/api/agents/{agent}/metrics',
    name: 'compatGetMetrics',
    summary: 'Seconds since it was spawned, and its turns.',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: z.object({ uptime: z.int(), messageCount: z.int() }) },
    handler: async ({ params }, deps) => {
      const { createdAt, endedAt, turn } = await findAgent(deps, params.agent);
      const ms = (endedAt?.getTime() ?? deps.clock.now()) - createdAt.getTime();
      return { body: { uptime: Math.max(0, Math.round(ms / 1_000)), messageCount: turn } };
    },
  }),
  route({
    ...READ,
    method: 'GET',
    path: '/api/threads',
    name: 'compatListThreads',
    summary: 'Threads of the workspace: here each agent is one.',
    target: null,
    response: {
      status: 200,
      json: z.object({ threads: z.array(CompatThreadSchema), count: z.int() }),
    },
    handler: async ({ caller, request }, deps) => {
      const workspaceId = await workspaceOf(deps, caller, request.headers);
      const found = await newestAgents(deps.db, { workspaceId, limit: LISTED_MAX });
      return { body: { threads: found.map(compatThread), count: found.length } };
    },
  }),
  route({
    ...WRITE,
    method: 'POST',
    path: '/api/threads',
    name: 'compatSpawnThread',
    summary: 'Starts an agent with an objective.',
    rate: 'spawn',
    target: null,
    response: { status: 201, json: CompatThreadSchema },
    handler: async ({ caller, request, requestId }, deps) => {
      const body = spawnOfThread(await parsed(request, CompatThreadRequestSchema));
      const { agents } = await spawned(deps, { caller, request, requestId, body });
      return { body: await only(Promise.resolve(agents.map(compatThread))) };
    },
  }),
  route({
    ...READ,
    method: 'GET',
    path: '/api/threads/{agent}',
    name: 'compatGetThread',
    summary: 'One thread.',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: CompatThreadSchema },
    handler: async ({ params }, deps) => ({
      body: compatThread(await findAgent(deps, params.agent)),
    }),
  }),
  sendRoute('/api/threads/{agent}/send', 'compatSendToThread'),
  route({
    ...WRITE,
    method: 'POST',
    path: '/api/spawn',
    name: 'compatSpawn',
    summary: 'Starts agents for a control plane, which hears of them by its webhook.',
    rate: 'spawn',
    target: null,
    response: {
      status: 202,
      json: z.object({
        requestId: z.string(),
        spawnId: z.string(),
        agents: z.array(CompatAgentSchema),
        count: z.int(),
      }),
    },
    handler: async ({ caller, request, requestId }, deps) => {
      const body = await parsed(request, CompatSpawnRequestSchema);
      const call = { caller, request, requestId, body: spawnOfSpawn(body) };
      const { spawn, agents } = await spawned(deps, call, body.callbackUrl);
      const listed = await compatAgents(deps, agents);
      return { body: { requestId, spawnId: spawn.id, agents: listed, count: listed.length } };
    },
  }),
];

function sendRoute(path: string, name: 'compatSendToAgent' | 'compatSendToThread') {
  return route({
    ...WRITE,
    method: 'POST',
    path,
    name,
    summary: 'Types a message, as soon as the CLI can take it.',
    rate: 'write',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: CompatSentSchema },
    handler: async ({ params, caller, request, requestId }, deps) => {
      const body = await parsed(request, CompatSendSchema);
      checkRequestId(request, requestId);
      const { signal } = request;
      return { body: await send(deps, { agentId: params.agent, caller, body, requestId, signal }) };
    },
  });
}

/** One that was asked for is one that is answered. */
async function only<T>(answers: Promise<readonly T[]>): Promise<T> {
  const [answer] = await answers;
  if (answer === undefined) throw new Error('A spawn of one has one agent.');
  return answer;
}

/** Ids of another form are replaced by our own, and the repeated request would not find the first. */
function checkRequestId({ headers }: Request, requestId: string): void {
  const given = headers.get('x-request-id');
  if (given === null || given === requestId) return;
  throw new AppError('invalid_input', 'X-Request-Id must be 1 to 128 letters, digits, _, - and =.');
}

async function parsed<S extends z.ZodType>(request: Request, schema: S): Promise<z.output<S>> {
  const { value } = await readBody(request);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ShapeError('body', result.error.issues);
}

interface CompatCall {
  readonly caller: Caller;
  readonly request: Request;
  readonly requestId: string;
  readonly body: SpawnRequest;
}

async function spawned(
  deps: ApiDeps,
  { caller, request, requestId, body }: CompatCall,
  callbackUrl?: string,
) {
  checkRequestId(request, requestId);
  const workspaceId = await workspaceOf(deps, caller, request.headers);
  if (callbackUrl !== undefined) await requireCallback(deps, { workspaceId, url: callbackUrl });
  const made = await spawnAgents(deps, {
    caller,
    workspaceId,
    body,
    requestId: `compat:${requestId}`,
  });
  const { state, approvalId } = made.spawn;
  if (state !== 'asked' && state !== 'refused') return made;
  throw new AppError(
    state === 'asked' ? 'conflict' : 'policy_denied',
    state === 'asked'
      ? `People decide about this first (approval ${approvalId ?? ''}). Ask again with the same X-Request-Id.`
      : 'People did not let these agents start.',
  );
}
