import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { AppError } from '../domain/error.ts';
import { makeId, parseId, type AgentId, type WorkspaceId } from '../domain/id.ts';
import type { SpawnRequest } from '../domain/schema/spawn.ts';
import { digestOf } from '../infra/digest.ts';
import { insertAgents, listAgents, type ListedAgent } from '../infra/db/queries/agent.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { insertApprovalRequest } from '../infra/db/queries/grant.ts';
import {
  findOrCreateSpawn,
  findSpawn,
  type Spawn,
  type SpawnFound,
} from '../infra/db/queries/spawn.ts';
import { spawnRecord } from '../infra/gate/effect-record.ts';
import { agentsOfSpawn, type SpawnPayload } from '../infra/gate/effects.ts';
import { canStartEagerly } from '../infra/temporal/client.ts';
import { shownSpawn } from '../workflows/contracts/search.ts';
import { SPAWN_AGENTS, type SpawnAgents } from '../workflows/contracts/spawn.ts';
import { TASK_QUEUES } from '../workflows/contracts/task-queues.ts';
import type { ApiDeps } from './deps.ts';
import type { Caller } from './route.ts';
import { askAboutSpawn, gateSpawn } from './spawn-gate.ts';
import { planSpawn, type SpawnPlan } from './spawn-plan.ts';
import { inTime } from './update.ts';

export interface SpawnCall {
  readonly caller: Caller;
  readonly workspaceId: WorkspaceId;
  readonly body: SpawnRequest;
  /** The idempotency key: what makes the same request find the first spawn for ever. */
  readonly requestId: string;
  /** Where it was asked for; null where that is no context. */
  readonly contextId?: string | null;
}

/**
 * Written down first, then started, or asked about: a request that is repeated finds all of it. What people have to
 * decide about first has no agents yet.
 */
export async function spawnAgents(
  deps: ApiDeps,
  call: SpawnCall,
): Promise<{ readonly spawn: Spawn; readonly agents: readonly ListedAgent[] }> {
  const spawn = (await earlierSpawn(deps, call)) ?? (await recordSpawn(deps, call));
  if (spawn.state === 'asked') await askAboutSpawn(deps, spawn);
  if (spawn.state === 'asked' || spawn.state === 'refused') return { spawn, agents: [] };
  const agents = await listAgents(deps.db, { spawnId: spawn.id, after: 0, limit: spawn.count });
  await startSpawn(
    deps,
    spawn,
    agents.map(({ id }) => parseId('agent', id)),
  );
  return { spawn, agents };
}

/** Before anything is looked up or asked: what a repeated request was made from may have changed since. */
async function earlierSpawn({ db }: ApiDeps, call: SpawnCall): Promise<Spawn | null> {
  const earlier = await findSpawn(db, { workspaceId: call.workspaceId, ...requestOf(call) });
  return earlier === null ? null : foundAgain(earlier);
}

/** Keys are each client's own: two of them may pick the same. */
function requestOf({ caller, requestId, body }: SpawnCall) {
  return { requestId: `${caller.id}:${requestId}`, requestDigest: digestOf(body) };
}

/** The gate first; then spawn, agents, event and audit in one transaction, found again by the request's id. */
async function recordSpawn(deps: ApiDeps, call: SpawnCall): Promise<Spawn> {
  const { db, config } = deps;
  const { caller, workspaceId, body, contextId = null } = call;
  const plan = await planSpawn(db, { workspaceId, contextId, body, ceilings: config.limits.agent });
  const payload = payloadOf(plan, { body, contextId });
  const { audit, request } = await gateSpawn(deps, { caller, workspaceId, payload });
  return db.transaction().execute(async (tx) => {
    const found = await findOrCreateSpawn(tx, {
      id: payload.spawnId,
      workspaceId,
      ...requestOf(call),
      count: body.count,
      spec: { ...plan.spec },
      createdBy: caller.id,
      contextId,
      approvalId: request?.approvalId ?? null,
    });
    if (found.kind !== 'created') return foundAgain(found);
    const { spawn } = found;
    if (request !== null) await insertApprovalRequest(tx, request);
    // What decided is on record before what it lets happen.
    await appendRecord(tx, { workspaceId, audits: [audit] });
    if (request !== null) return spawn;
    const agents = agentsOfSpawn(payload, { workspaceId, ownerId: caller.id });
    await insertAgents(tx, agents);
    const record = spawnRecord({
      workspaceId,
      spawnId: spawn.id,
      count: body.count,
      definition: plan.definition,
      requestedBy: caller.id,
      type: plan.spec.type,
      agentIds: agents.map(({ id }) => id),
      specDigest: spawn.requestDigest,
      approvalId: null,
    });
    await appendRecord(tx, record);
    return spawn;
  });
}

function payloadOf(
  { spec, definition, capabilities, origins }: SpawnPlan,
  { body, contextId }: { readonly body: SpawnRequest; readonly contextId: string | null },
): SpawnPayload {
  return {
    kind: 'spawn',
    spawnId: makeId('spawn', crypto.randomUUID()),
    contextId,
    count: body.count,
    name: body.name ?? definition?.name ?? spec.type,
    spec,
    definition,
    capabilities: [...capabilities],
    limitOrigins: { ...origins },
  };
}

function foundAgain(found: SpawnFound): Spawn {
  if (found.kind !== 'conflict') return found.spawn;
  throw new AppError(
    'conflict',
    'This Idempotency-Key or X-Request-Id was used for another spawn.',
  );
}

/** The spawn's id is the workflow's id, so a repeated start finds the first run, running or over. */
async function startSpawn(
  { temporal, config }: ApiDeps,
  spawn: Spawn,
  agentIds: readonly AgentId[],
): Promise<void> {
  const spawnId = parseId('spawn', spawn.id);
  const workspaceId = parseId('workspace', spawn.workspaceId);
  const input = { spawnId, workspaceId, agentIds, approvalPolicy: config.approvalPolicy };
  try {
    await inTime(temporal, () =>
      temporal.workflow.start<SpawnAgents>(SPAWN_AGENTS, {
        workflowId: spawn.id,
        taskQueue: TASK_QUEUES.core,
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        requestEagerStart: canStartEagerly(temporal),
        ...shownSpawn(input),
        args: [input],
      }),
    );
  } catch (cause) {
    // It ran to its end before: the request is an old one, and its answer is in the rows.
    if (cause instanceof WorkflowExecutionAlreadyStartedError) return;
    throw new AppError(
      'upstream_unavailable',
      'Temporal did not take the spawn. Repeat the request with the same Idempotency-Key.',
      { cause },
    );
  }
}
