import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { loadWorkflowBundle } from '../../infra/temporal/bundle.ts';
import { makeId, parseId, type AgentId, type PromptId } from '../../domain/id.ts';
import type { DecisionOutcome, SignedDecision } from '../../domain/approval.ts';
import type { DeliveryOutcome } from '../../domain/fact.ts';
import type { AgentActivities, RecordAgentState } from '../../activities/agent.ts';
import type { ApprovalActivities } from '../../activities/approval.ts';
import type { DeliverInput, SessionActivities } from '../../activities/session.ts';
import type { LimitActivities, LimitVerdict } from '../../activities/limit.ts';
import type { RestoreActivities } from '../../activities/restore.ts';
import type { TakeoverActivities, TakeoverVerdict } from '../../activities/takeover.ts';
import type { SpawnActivities } from '../../activities/spawn.ts';
import {
  factsArrived,
  type ApprovalPolicy,
  type FactNotice,
} from '../../workflows/contracts/agent.ts';
import { ptyQueue, TASK_QUEUES } from '../../workflows/contracts/task-queues.ts';
import { installTemporalRuntime } from '../../infra/temporal/runtime.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const HOST_ID = `host-${randomUUID().slice(0, 8)}`;
export const OTHER_HOST_ID = `${HOST_ID}-other`;

export const PATIENT: ApprovalPolicy = {
  quorum: 1,
  remindAfterMs: 3_600_000,
  escalateAfterMs: 7_200_000,
  expireAfterMs: 86_400_000,
};

/** The far edge of the workflows: functions that remember what they were asked and answer as told. */
export interface Edge {
  readonly activities: AgentActivities &
    ApprovalActivities &
    LimitActivities &
    SpawnActivities &
    SessionActivities &
    RestoreActivities &
    TakeoverActivities;
  readonly states: RecordAgentState[];
  /** The rows that the listener has written. */
  readonly facts: (FactNotice & { readonly agentId: AgentId })[];
  /** Whether the host still has the session it is asked for. */
  isAlive: boolean;
  readonly calls: { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[];
  vote: (decision: SignedDecision) => DecisionOutcome;
  /** What the gate decides by itself. */
  gate: (approvalId: string) => SignedDecision | null;
  /** Of the table of risks; as the workflow's input where it is null. */
  policy: ApprovalPolicy | null;
  approvedSpawn: Awaited<ReturnType<ApprovalActivities['findApprovedSpawn']>>;
  delivery: () => DeliveryOutcome;
  /** What the agent's row says of its limits. */
  limit: LimitVerdict | null;
  /** What the rows say of another host. */
  takeover: () => TakeoverVerdict;
  /** Brings the checkpoint to the other host. */
  restore: () => Promise<void>;
  /** Where there is a place. */
  hostId: string;
  /** Whether the host takes a text. */
  takes: (input: DeliverInput) => boolean;
}

export function createEdge(): Edge {
  const calls: Edge['calls'] = [];
  const states: RecordAgentState[] = [];
  const note = (name: string, input: object): void => {
    calls.push({ name, input: { ...input } });
  };
  const edge: Edge = {
    calls,
    states,
    facts: [],
    isAlive: false,
    vote: ({ verdict }) => ({
      kind: 'decided',
      state: verdict === 'grant' ? 'granted' : 'refused',
    }),
    delivery: () => ({ kind: 'delivered', how: 'option' }),
    gate: () => null,
    policy: null,
    approvedSpawn: null,
    limit: null,
    takes: () => true,
    hostId: HOST_ID,
    takeover: () => ({ kind: 'returned' }),
    restore: async () => undefined,
    activities: {
      placeAgent: async (input) => {
        note('placeAgent', input);
        return { kind: 'granted', hostId: edge.hostId };
      },
      recordAgentState: async (input) => {
        states.push(input);
      },
      readFactNotices: async ({ agentId, epoch, after }) =>
        edge.facts.filter(
          (fact) => fact.agentId === agentId && fact.epoch === epoch && fact.seq > after,
        ),
      reachLimit: async () => edge.limit,
      releaseAgent: async (input) => note('releaseAgent', input),
      openApproval: async (input) => {
        note('openApproval', input);
        return { policy: edge.policy ?? input.policy, decision: edge.gate(input.approvalId) };
      },
      findApprovedSpawn: async () => edge.approvedSpawn,
      recordVote: async ({ decision }) => edge.vote(decision),
      closeApproval: async (input) => {
        note('closeApproval', input);
        return input.as;
      },
      askPeople: async (input) => note('askPeople', input),
      remindApproval: async (input) => note('remindApproval', input),
      finishSpawn: async (input) => note('finishSpawn', input),
      takeOver: async (input) => {
        note('takeOver', input);
        return edge.takeover();
      },
      leaveHost: async (input) => note('leaveHost', input),
      restoreSession: async (input) => {
        note('restoreSession', input);
        await edge.restore();
      },
      startSession: async (input) => note('startSession', input),
      findSession: async () => ({ alive: edge.isAlive }),
      stopSession: async (input) => note('stopSession', input),
      deliverDecision: async (input) => {
        note('deliverDecision', input);
        return edge.delivery();
      },
      deliverInput: async (input) => {
        note('deliverInput', input);
        return { taken: edge.takes(input) };
      },
    },
  };
  return edge;
}

/** Writes facts numbered from `first`, of the first epoch where they name no other, and says that there are some. */
export async function tellFacts(
  edge: Edge,
  handle: WorkflowHandle,
  {
    first,
    facts,
    epoch = 1,
  }: {
    readonly first: number;
    readonly facts: readonly (Partial<FactNotice> & Pick<FactNotice, 'kind'>)[];
    readonly epoch?: number;
  },
): Promise<void> {
  const agentId = parseId('agent', handle.workflowId);
  edge.facts.push(...facts.map((fact, index) => ({ epoch, seq: first + index, ...fact, agentId })));
  await handle.signal(factsArrived, {});
}

export interface Harness {
  readonly client: Client;
  close(): Promise<void>;
}

/** A client and workers on a real Temporal server, with the real bundle. */
export async function startHarness(edge: Edge, address: string): Promise<Harness> {
  installTemporalRuntime(pino({ level: 'silent' }));
  const connection = await NativeConnection.connect({ address });
  const namespace = 'default';
  const workflowBundle = await loadWorkflowBundle({
    workflowsPath: join(ROOT, 'workflows', 'index.ts'),
    sourceDirs: [join(ROOT, 'workflows'), join(ROOT, 'domain')],
    cacheDir: join(ROOT, 'node_modules', '.cache', 'rookery'),
  });
  const workers = await Promise.all([
    Worker.create({
      connection,
      namespace,
      taskQueue: TASK_QUEUES.core,
      workflowBundle,
      activities: edge.activities,
    }),
    ...[HOST_ID, OTHER_HOST_ID].map((hostId) =>
      Worker.create({
        connection,
        namespace,
        taskQueue: ptyQueue(hostId),
        activities: edge.activities,
      }),
    ),
  ]);
  const runs = workers.map((worker) => worker.run());
  return {
    client: new Client({ connection, namespace }),
    async close() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(runs);
      await connection.close();
    },
  };
}

export function newAgentId(): AgentId {
  return makeId('agent', randomUUID());
}

export function newPromptId(): PromptId {
  return makeId('prompt', randomUUID());
}

/** Waits until the condition holds; the message names what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited 15 s for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
