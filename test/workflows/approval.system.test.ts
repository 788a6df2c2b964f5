import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SignedDecision } from '../../domain/approval.ts';
import { makeId, type AgentId, type ApprovalId } from '../../domain/id.ts';
import {
  decideApproval,
  REQUEST_APPROVAL,
  type RequestApproval,
  type RequestApprovalInput,
} from '../../workflows/contracts/approval.ts';
import { TASK_QUEUES } from '../../workflows/contracts/task-queues.ts';
import { temporal } from '../support/temporal.ts';
import { createEdge, newAgentId, PATIENT, startHarness, until, type Harness } from './harness.ts';

const edge = createEdge();
let harness: Harness;
const workspaceId = makeId('workspace', randomUUID());
const votes: SignedDecision[] = [];

beforeAll(async () => {
  harness = await startHarness(edge, (await temporal()).address);
});
afterAll(() => harness.close());
beforeEach(() => {
  votes.length = 0;
  edge.gate = () => null;
  edge.policy = null;
  edge.approvedSpawn = null;
  edge.vote = (vote) => {
    votes.push(vote);
    return { kind: 'decided', state: vote.verdict === 'grant' ? 'granted' : 'refused' };
  };
});

function decision(approvalId: string, more: Partial<SignedDecision> = {}): SignedDecision {
  return {
    approvalId,
    verdict: 'grant',
    digest: 'd',
    optionLabel: null,
    note: null,
    principalKind: 'policy',
    principalId: 'policy:test',
    issuedAtMs: 1,
    nonce: randomUUID(),
    mac: 'm',
    ...more,
  };
}

async function ask(agentId: AgentId | null = newAgentId()) {
  const approvalId: ApprovalId = makeId('approval', randomUUID());
  const input: RequestApprovalInput = {
    approvalId,
    workspaceId,
    promptId: null,
    policy: PATIENT,
    asker: { agentId, epoch: 1 },
  };
  const handle = await harness.client.workflow.start<RequestApproval>(REQUEST_APPROVAL, {
    workflowId: approvalId,
    taskQueue: TASK_QUEUES.core,
    args: [input],
  });
  return { approvalId, handle };
}

function called(name: string, approvalId: string): readonly Readonly<Record<string, unknown>>[] {
  return edge.calls
    .filter((call) => call.name === name && call.input['approvalId'] === approvalId)
    .map(({ input }) => input);
}

test.each(['grant', 'refuse'] as const)(
  'where the gate says %s it is recorded by the same vote, and nobody is waited for',
  async (verdict) => {
    edge.gate = (approvalId) => decision(approvalId, { verdict });
    const { approvalId, handle } = await ask();
    const state = verdict === 'grant' ? 'granted' : 'refused';
    expect(await handle.result()).toEqual({ state });
    expect(votes).toMatchObject([{ approvalId, principalKind: 'policy', verdict }]);
    expect(called('askPeople', approvalId)).toEqual([]);
  },
);

test('what the gate may decide no more is left to people, who hear of it at once', async () => {
  edge.gate = (approvalId) => decision(approvalId, { principalKind: 'standing' });
  edge.vote = (vote) => {
    votes.push(vote);
    return vote.principalKind === 'standing'
      ? { kind: 'rejected', reason: 'It was revoked.' }
      : { kind: 'decided', state: 'refused' };
  };
  const { approvalId, handle } = await ask();
  await until('the question', () => called('askPeople', approvalId).length === 1);
  expect(votes.map(({ principalKind }) => principalKind)).toEqual(['standing', 'standing']);
  expect(new Set(votes.map(({ nonce }) => nonce)).size).toBe(2);
  const person = { principalKind: 'user', principalId: 'usr_1', verdict: 'refuse' } as const;
  await handle.executeUpdate(decideApproval, { args: [decision(approvalId, person)] });
  expect(await handle.result()).toEqual({ state: 'refused' });
});

test('times are those that the risk has, not those that the asker was born with', async () => {
  edge.policy = { quorum: 1, remindAfterMs: 200, escalateAfterMs: 400, expireAfterMs: 600 };
  const { approvalId, handle } = await ask();
  expect(await handle.result()).toEqual({ state: 'expired' });
  expect(called('remindApproval', approvalId).map(({ escalate }) => escalate)).toEqual([
    false,
    true,
  ]);
});

test('a spawn that people let start is started once, by its own id', async () => {
  const spawnId = makeId('spawn', randomUUID());
  const agentId = newAgentId();
  edge.approvedSpawn = { spawnId, agentIds: [agentId] };
  const { approvalId, handle } = await ask(null);
  await until('the question', () => called('openApproval', approvalId).length > 0);
  const person = { principalKind: 'user', principalId: 'usr_1' } as const;
  await handle.executeUpdate(decideApproval, { args: [decision(approvalId, person)] });
  expect(await handle.result()).toEqual({ state: 'granted' });
  await until('the agent', () =>
    edge.calls.some(({ name, input }) => name === 'startSession' && input['agentId'] === agentId),
  );
  const { status } = await harness.client.workflow.getHandle(spawnId).describe();
  expect(status.name).toBe('RUNNING');

  const { approvalId: again, handle: second } = await ask(null);
  await until('the second question', () => called('openApproval', again).length > 0);
  await second.executeUpdate(decideApproval, { args: [decision(again, person)] });
  expect(await second.result()).toEqual({ state: 'granted' });
  expect(
    edge.calls.filter(({ name, input }) => name === 'startSession' && input['agentId'] === agentId),
  ).toHaveLength(1);
});

test('a spawn that is refused starts nothing', async () => {
  edge.approvedSpawn = { spawnId: makeId('spawn', randomUUID()), agentIds: [newAgentId()] };
  const { approvalId, handle } = await ask(null);
  await until('the question', () => called('openApproval', approvalId).length > 0);
  const person = { principalKind: 'user', principalId: 'usr_1', verdict: 'refuse' } as const;
  await handle.executeUpdate(decideApproval, { args: [decision(approvalId, person)] });
  expect(await handle.result()).toEqual({ state: 'refused' });
  await expect(
    harness.client.workflow.getHandle(edge.approvedSpawn.spawnId).describe(),
  ).rejects.toThrow(WorkflowNotFoundError);
});
