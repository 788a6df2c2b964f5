import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { makeId, type AgentId } from '../../domain/id.ts';
import type { SignedDecision } from '../../domain/approval.ts';
import { readConfig } from '../../infra/config/read.ts';
import { resolveTemporal } from '../../infra/toolchain/temporal.ts';
import { VERSION } from '../../main/paths.ts';
import {
  agentView,
  hostLeaseEnded,
  hostReturned,
  inputArrived,
  resume,
  retire,
  suspend,
  type FactNotice,
} from '../../workflows/contracts/agent.ts';
import {
  decideApproval,
  REQUEST_APPROVAL,
  type RequestApproval,
  type RequestApprovalInput,
} from '../../workflows/contracts/approval.ts';
import { SPAWN_AGENTS, type SpawnAgents } from '../../workflows/contracts/spawn.ts';
import { TASK_QUEUES } from '../../workflows/contracts/task-queues.ts';
import { startTestTemporal } from '../support/temporal-server.ts';
import {
  createEdge,
  HOST_ID,
  newAgentId,
  newPromptId,
  PATIENT,
  startHarness,
  tellFacts,
  until,
  type Harness,
} from '../workflows/harness.ts';

/**
 * Records one history of every workflow on a real server, to be replayed by every later version. Run it once for
 * a release (`npm run replay:record`); histories of released versions are never written again.
 */
const { cacheDir, temporal } = readConfig({ env: process.env, cwd: process.cwd() });
const binary = await resolveTemporal({
  configured: temporal.binary,
  cacheDir,
  env: process.env,
  report: ({ message }) => console.log(message),
});
const folder = await mkdtemp(join(tmpdir(), 'rookery-replay-'));
const server = await startTestTemporal(binary.path, {
  logPath: join(folder, 'temporal.log'),
  recordPath: join(folder, 'temporal.json'),
});
const edge = createEdge();
const harness = await startHarness(edge, server.address);
try {
  await record(harness);
} finally {
  await harness.close();
  await server.stop();
  await rm(folder, { recursive: true });
}

async function record({ client }: Harness): Promise<void> {
  const workspaceId = makeId('workspace', randomUUID());
  const spawnId = makeId('spawn', randomUUID());
  const agentId = newAgentId();
  const spawn = await client.workflow.start<SpawnAgents>(SPAWN_AGENTS, {
    workflowId: spawnId,
    taskQueue: TASK_QUEUES.core,
    args: [{ spawnId, workspaceId, agentIds: [agentId], approvalPolicy: PATIENT }],
  });
  const agent = client.workflow.getHandle(agentId);
  const tell = (
    epoch: number,
    first: number,
    facts: readonly (Partial<FactNotice> & Pick<FactNotice, 'kind'>)[],
  ) => tellFacts(edge, agent, { first, facts, epoch });
  await until('the first start', () => calls('startSession', agentId) === 1);
  await tell(1, 1, [
    { kind: 'started' },
    { kind: 'ready' },
    { kind: 'busy' },
    { kind: 'prompt_opened', promptId: newPromptId() },
  ]);
  const granted = await openApprovalOf(agentId, null);
  await client.workflow
    .getHandle(granted)
    .executeUpdate(decideApproval, { args: [decisionOn(granted)] });
  await until('the delivery', () => calls('deliverDecision', agentId) === 1);
  const promptId = newPromptId();
  await tell(1, 5, [{ kind: 'busy' }, { kind: 'turn_ended' }, { kind: 'prompt_opened', promptId }]);
  const voided = await openApprovalOf(agentId, granted);
  await tell(1, 8, [{ kind: 'prompt_closed', promptId }, { kind: 'ready' }]);
  await client.workflow.getHandle(voided).result();
  await agent.signal(inputArrived, { inputId: makeId('input', randomUUID()), urgent: false });
  await until('the input', () => calls('deliverInput', agentId) === 1);
  await agent.executeUpdate(suspend, { args: [{ by: 'recorder' }] });
  await agent.executeUpdate(resume, { args: [{ by: 'recorder' }] });
  await tell(2, 1, [{ kind: 'ready' }]);
  await agent.signal(hostLeaseEnded, { epoch: 2 });
  await agent.signal(hostReturned, { epoch: 2, alive: false });
  await until('the third start', () => calls('startSession', agentId) === 3);
  await tell(3, 1, [{ kind: 'login_required' }, { kind: 'authenticating' }, { kind: 'ready' }]);
  let looks = 0;
  edge.takeover = () => {
    looks += 1;
    return looks === 1
      ? { kind: 'wait', ms: 100, reason: 'Not yet.' }
      : { kind: 'placed', hostId: HOST_ID };
  };
  await agent.signal(hostLeaseEnded, { epoch: 3 });
  await until('the start elsewhere', () => calls('startSession', agentId) === 4);
  await tell(4, 1, [{ kind: 'ready' }]);
  await agent.executeUpdate(retire, { args: [{ by: 'recorder' }] });
  await agent.result();
  await spawn.result();
  await save('hostAgent', agentId);
  await save('spawnAgents', spawnId);
  await save('requestApproval', granted);
  await save('requestApproval', voided, 'voided');
  await save('requestApproval', await decidedByGate(), 'gate');
  await save('requestApproval', await startedSpawn(), 'spawn');

  /** The policy decides at once; its first proof has grown old on its way. */
  async function decidedByGate(): Promise<string> {
    const approvalId = makeId('approval', randomUUID());
    const usual = { gate: edge.gate, vote: edge.vote };
    edge.gate = (id) => ({ ...decisionOn(id), principalKind: 'policy', principalId: 'policy:x' });
    let votes = 0;
    edge.vote = () => {
      votes += 1;
      return votes === 1
        ? { kind: 'rejected', reason: 'Too late.' }
        : { kind: 'decided', state: 'granted' };
    };
    const asker = { agentId: newAgentId(), epoch: 1 };
    await requested({ approvalId, workspaceId, promptId: null, policy: PATIENT, asker });
    Object.assign(edge, usual);
    return approvalId;
  }

  /** People let a spawn start. */
  async function startedSpawn(): Promise<string> {
    const approvalId = makeId('approval', randomUUID());
    const newSpawn = makeId('spawn', randomUUID());
    edge.approvedSpawn = { spawnId: newSpawn, agentIds: [] };
    const asker = { agentId: null, epoch: 0 };
    const result = requested({ approvalId, workspaceId, promptId: null, policy: PATIENT, asker });
    await until('its row', () =>
      edge.calls.some(({ input }) => input['approvalId'] === approvalId),
    );
    const handle = client.workflow.getHandle(approvalId);
    await handle.executeUpdate(decideApproval, { args: [decisionOn(approvalId)] });
    await result;
    return approvalId;
  }

  async function requested(input: RequestApprovalInput): Promise<void> {
    await client.workflow.execute<RequestApproval>(REQUEST_APPROVAL, {
      workflowId: input.approvalId,
      taskQueue: TASK_QUEUES.core,
      args: [input],
    });
  }

  async function openApprovalOf(id: AgentId, former: string | null): Promise<string> {
    let approvalId: string | null = null;
    await until('an approval', async () => {
      const view = await client.workflow.getHandle(id).query(agentView);
      approvalId = view.openPrompt?.approvalId ?? null;
      return approvalId !== null && approvalId !== former;
    });
    await until('its row', () =>
      edge.calls.some(
        ({ name, input }) => name === 'openApproval' && input['approvalId'] === approvalId,
      ),
    );
    return approvalId ?? '';
  }

  async function save(workflow: string, workflowId: string, what = 'main'): Promise<void> {
    const history = await client.workflow.getHandle(workflowId).fetchHistory();
    const target = join(import.meta.dirname, workflow);
    await mkdir(target, { recursive: true });
    const path = join(target, `${VERSION}-${what}.json`);
    try {
      // One that was recorded by a release stays what that release wrote.
      await writeFile(path, `${historyToJSON(history)}\n`, { flag: 'wx' });
      console.log(path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      console.log(`${path} is there already`);
    }
  }
}

function calls(name: string, agentId: AgentId): number {
  return edge.calls.filter((call) => call.name === name && call.input['agentId'] === agentId)
    .length;
}

function decisionOn(approvalId: string): SignedDecision {
  return {
    approvalId,
    verdict: 'grant',
    digest: 'digest',
    optionLabel: null,
    note: null,
    principalKind: 'user',
    principalId: 'key_recorder',
    issuedAtMs: 1,
    nonce: randomUUID(),
    mac: 'mac',
  };
}
