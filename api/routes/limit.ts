import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId, type WorkspaceId } from '../../domain/id.ts';
import {
  AGENT_LIMITS,
  STOPPING_LIMITS,
  WORKSPACE_BUDGETS,
  resolveLimits,
  type AgentLimit,
  type LimitCeilings,
  type LimitOrigin,
  type WorkspaceBudget,
} from '../../domain/limit.ts';
import { AgentIdSchema } from '../../domain/schema/id.ts';
import {
  AgentLimitsViewSchema,
  WorkspaceLimitsSchema,
  WorkspaceLimitsViewSchema,
  type WorkspaceLimits,
} from '../../domain/schema/limit.ts';
import { digestOf } from '../../infra/digest.ts';
import { findAgentUse, type AgentUse } from '../../infra/db/queries/agent-limit.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import {
  getWorkspaceLimits,
  putWorkspaceLimits,
  workspaceUse,
} from '../../infra/db/queries/limit.ts';
import { setPoolCap, slotPools, type GrantedSlot } from '../../infra/db/queries/slot.ts';
import { slotGranted } from '../../workflows/contracts/agent.ts';
import type { ApiDeps } from '../deps.ts';
import { route, type Caller } from '../route.ts';
import { sendSignal } from '../update.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });

export const limitRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/limits',
    name: 'getWorkspaceLimits',
    summary: 'What a workspace may use, who set each limit, and what is used.',
    rate: 'read',
    listener: 'admin',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    response: { status: 200, json: WorkspaceLimitsViewSchema },
    handler: async ({ workspaceId }, deps) => ({ body: await workspaceView(deps, workspaceId) }),
  }),
  route({
    method: 'PUT',
    path: '/v1/workspaces/{workspace}/limits',
    name: 'putWorkspaceLimits',
    summary:
      'Replaces the limits of a workspace. What runs goes on under the limits it was born with; budgets hold at once.',
    rate: 'write',
    listener: 'admin',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    body: WorkspaceLimitsSchema,
    response: { status: 200, json: WorkspaceLimitsViewSchema },
    handler: async ({ workspaceId, caller, body }, deps) => {
      if (workspaceId === null) throw new Error('A workspace has its own id.');
      await wake(deps, await put(deps, { workspaceId, caller, limits: body }));
      return { body: await workspaceView(deps, workspaceId) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/limits',
    name: 'getAgentLimits',
    summary: 'The limits an agent was born with, who set each, and how much of it is used.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: z.strictObject({ agent: AgentIdSchema }),
    response: { status: 200, json: AgentLimitsViewSchema },
    handler: async ({ params }, { db }) => {
      const use = await findAgentUse(db, params.agent);
      if (use === null) throw new AppError('not_found', 'There is no such agent.');
      return { body: { agentId: params.agent, ...agentView(use) } };
    },
  }),
];

interface Change {
  readonly workspaceId: WorkspaceId;
  readonly caller: Caller;
  readonly limits: WorkspaceLimits;
}

/** Limits, audit and the queue's new length in one transaction. Answers who got a slot by it. */
async function put(
  { db, config }: ApiDeps,
  { workspaceId, caller, limits }: Change,
): Promise<readonly GrantedSlot[]> {
  return db.transaction().execute(async (tx) => {
    const before = await putWorkspaceLimits(tx, { workspaceId, limits, by: caller.id });
    const ceiling = config.limits.agentsMax;
    const granted = await setPoolCap(tx, {
      pool: slotPools.workspaceAgents(workspaceId),
      cap: Math.min(limits.agentsMax ?? ceiling, ceiling),
      leaseMs: null,
    });
    if (digestOf(before) === digestOf(limits)) return granted;
    const key = `limits:${workspaceId}:${crypto.randomUUID()}`;
    await appendRecord(tx, {
      workspaceId,
      events: [
        { key, type: 'limit.changed', subjectId: workspaceId, data: { by: caller.id, limits } },
      ],
      audits: [
        {
          key,
          actorKind: 'user',
          actorId: caller.id,
          action: 'limit.change',
          subjectId: workspaceId,
          detail: { before, after: limits },
        },
      ],
    });
    return granted;
  });
}

/** Who is not heard of asks again by itself within half a minute. */
async function wake({ temporal, logger }: ApiDeps, granted: readonly GrantedSlot[]): Promise<void> {
  for (const { holderId, pool } of granted) {
    try {
      await sendSignal(temporal, {
        workflowId: holderId,
        signal: slotGranted.name,
        message: { pool },
      });
    } catch (error) {
      logger.warn({ err: error, holderId }, 'the holder of a new slot could not be told');
    }
  }
}

async function workspaceView({ db, config }: ApiDeps, given: WorkspaceId | null) {
  const workspaceId = parseId('workspace', given);
  const { limits: own, updatedBy, updatedAt } = await getWorkspaceLimits(db, workspaceId);
  const use = await workspaceUse(db, workspaceId);
  return {
    workspaceId,
    own,
    effective: effective(own, config.limits),
    agents: { running: use.running, queued: use.queued },
    spent: {
      tokensDay: use.tokensDay,
      tokensMonth: use.tokensMonth,
      costMicrodollarsDay: use.costMicrodollarsDay,
      costMicrodollarsMonth: use.costMicrodollarsMonth,
    },
    updatedBy,
    updatedAt: updatedAt?.toISOString() ?? null,
  };
}

type Effective = Partial<
  Record<
    'agentsMax' | WorkspaceBudget | AgentLimit,
    { readonly value: number; readonly origin: LimitOrigin }
  >
>;

function effective(own: WorkspaceLimits, ceilings: LimitCeilings): Effective {
  const result: Effective = {
    agentsMax: smaller(own.agentsMax, ceilings.agentsMax),
  };
  for (const name of WORKSPACE_BUDGETS) {
    const [given, ceiling] = [own[name], ceilings.budgets[name]];
    if (given !== undefined || ceiling !== undefined) result[name] = smaller(given, ceiling);
  }
  const { limits, origins } = resolveLimits({
    configuration: ceilings.agent,
    workspace: own.agent ?? {},
  });
  for (const name of AGENT_LIMITS) {
    const [value, origin] = [limits[name], origins[name]];
    if (value !== undefined && origin !== undefined) result[name] = { value, origin };
  }
  return result;
}

function smaller(own: number | undefined, ceiling: number | undefined) {
  const isOwn = (own ?? Number.POSITIVE_INFINITY) < (ceiling ?? Number.POSITIVE_INFINITY);
  return isOwn
    ? { value: own ?? 0, origin: 'workspace' as const }
    : { value: ceiling ?? 0, origin: 'configuration' as const };
}

const USED = {
  memoryBytesMax: () => null,
  processesMax: () => null,
  cpuMillisMax: () => null,
  wallClockMs: (use) => use.wallClockMs,
  idleMs: (use) => use.idleMs,
  turnsMax: (use) => use.turns,
  tokensMax: (use) => use.tokens,
  costMicrodollarsMax: (use) => use.costMicrodollars,
} as const satisfies Record<AgentLimit, (use: AgentUse) => number | null>;

function agentView(use: AgentUse) {
  return {
    limits: AGENT_LIMITS.flatMap((limit) => {
      const value = use.limits[limit];
      if (value === undefined) return [];
      return [
        { limit, value, origin: use.origins[limit] ?? ('spawn' as const), used: USED[limit](use) },
      ];
    }),
    reached: STOPPING_LIMITS.find((limit) => limit === use.reached) ?? null,
  };
}
