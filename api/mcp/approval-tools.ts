import { z } from 'zod';
import { RISKS, type Risk } from '../../domain/approval.ts';
import { canonicalJson } from '../../domain/canonical.ts';
import { AppError } from '../../domain/error.ts';
import { AGENT_GRANTS, withinRole, type AgentGrant } from '../../domain/grant.ts';
import { parseId, type ApprovalId } from '../../domain/id.ts';
import { lineOfText, plainText } from '../../domain/schema/text.ts';
import { findRole } from '../../infra/db/queries/principal.ts';
import { getAgent } from '../../infra/db/queries/agent.ts';
import { getApproval, type Approval } from '../../infra/db/queries/approval.ts';
import {
  countOpenRequests,
  getApprovalRequest,
  insertApprovalRequest,
} from '../../infra/db/queries/grant.ts';
import { listVotes } from '../../infra/db/queries/vote.ts';
import { openNote } from '../../infra/secrets/note.ts';
import { startOnce } from '../../infra/temporal/start-once.ts';
import { REQUEST_APPROVAL, type RequestApprovalInput } from '../../workflows/contracts/approval.ts';
import { shownApproval } from '../../workflows/contracts/search.ts';
import { TASK_QUEUES } from '../../workflows/contracts/task-queues.ts';
import { repeatableId } from '../repeatable-id.ts';
import { tool, type ToolAnswer, type ToolCall } from './tool.ts';
import { waitUntil, WaitSeconds } from './wait.ts';

/** A person has to read it all before deciding. */
const PAYLOAD_CHARS_MAX = 64_000;
const OPEN_REQUESTS_MAX = 20;

export const approvalTools = [
  tool({
    name: 'request_approval',
    description:
      'Asks people for permission before you do something that matters. Say in `request` exactly what you will do: that text is what they approve. Look at the outcome with check_approval, and do it only if it was granted.',
    grant: 'write:approvals',
    input: z.strictObject({
      title: lineOfText(200),
      request: plainText(PAYLOAD_CHARS_MAX, 1),
      risk: z
        .enum(RISKS)
        .default('medium')
        .describe('high: an admin other than the one you work for has to decide.'),
      waitSeconds: WaitSeconds.default(20),
    }),
    run: async ({ title, request, risk, waitSeconds }, call) => {
      const id = await ask(call, { kind: 'request', title, risk, grants: [], request });
      return outcomeOf(call, id, waitSeconds);
    },
  }),
  tool({
    name: 'request_access',
    description:
      'Asks an admin for grants that you lack, such as write:documents. Once granted the tools that need them are there.',
    grant: 'write:approvals',
    input: z.strictObject({
      grants: z.array(z.enum(AGENT_GRANTS)).min(1).max(AGENT_GRANTS.length),
      reason: plainText(4_000, 1),
      waitSeconds: WaitSeconds.default(20),
    }),
    run: async ({ grants, reason, waitSeconds }, call) => {
      const missing = await grantable(call, grants);
      const title = `wider access to the workspace: ${missing.join(', ')}`;
      const id = await ask(call, {
        kind: 'grant',
        title,
        risk: 'high',
        grants: missing,
        request: reason,
      });
      return outcomeOf(call, id, waitSeconds);
    },
  }),
  tool({
    name: 'check_approval',
    description: 'What became of an approval that you asked for.',
    grant: 'read:approvals',
    readOnly: true,
    input: z.strictObject({
      approvalId: z.string().max(64).describe('As request_approval answered it.'),
      waitSeconds: WaitSeconds.default(0),
    }),
    run: ({ approvalId, waitSeconds }, call) => outcomeOf(call, approvalId, waitSeconds),
  }),
];

/** Nobody hands on what the owner does not have, so there is no use in asking for it. */
async function grantable(
  { deps, agent }: ToolCall,
  grants: readonly AgentGrant[],
): Promise<readonly AgentGrant[]> {
  const row = await getAgent(deps.db, agent.agentId);
  const owner = {
    principalId: row?.ownerId ?? '',
    workspaceId: agent.workspaceId,
    contextId: row?.contextId ?? null,
  };
  const within = withinRole(await findRole(deps.db, owner), grants);
  const beyond = grants.filter((grant) => !within.includes(grant));
  if (beyond.length > 0) {
    throw new AppError(
      'policy_denied',
      `Whoever you work for has no right to ${beyond.join(', ')} and cannot give it to you.`,
    );
  }
  const missing = within.filter((grant) => !agent.grants.includes(grant));
  if (missing.length > 0) return missing;
  throw new AppError('conflict', 'You have all of these grants.');
}

interface Asked {
  readonly kind: 'request' | 'grant';
  readonly title: string;
  readonly risk: Risk;
  readonly grants: readonly AgentGrant[];
  readonly request: string;
}

/** The row first, which the approval's own workflow opens it from: history holds ids only. */
async function ask(call: ToolCall, asked: Asked): Promise<string> {
  const { deps, agent, callId } = call;
  const { workspaceId, agentId } = agent;
  await checkOpenRequests(call);
  const { kind, title, risk, grants, request } = asked;
  const name = (await getAgent(deps.db, agentId))?.name ?? agentId;
  const approvalId = repeatableId('approval', [agentId, callId]);
  await insertApprovalRequest(deps.db, {
    approvalId,
    workspaceId,
    agentId,
    kind,
    risk,
    grants,
    title: `${name}: ${title}`,
    payload: canonicalJson({ agentId, kind, title, request, grants }),
  });
  await startApproval({ deps, agent }, approvalId);
  return approvalId;
}

/** Once: its row and its workflow's run are found again by the id. */
export async function startApproval(
  { deps, agent }: Pick<ToolCall, 'deps' | 'agent'>,
  approvalId: ApprovalId,
): Promise<void> {
  const input: RequestApprovalInput = {
    approvalId,
    workspaceId: parseId('workspace', agent.workspaceId),
    asker: { agentId: parseId('agent', agent.agentId), epoch: agent.epoch },
    promptId: null,
    policy: deps.config.approvalPolicy,
  };
  await startOnce(deps.temporal, {
    type: REQUEST_APPROVAL,
    workflowId: approvalId,
    taskQueue: TASK_QUEUES.core,
    shown: shownApproval(input),
    args: [input],
  });
}

/** Throws `limit_exceeded` where people have enough to decide about already. */
export async function checkOpenRequests({ deps, agent }: ToolCall): Promise<void> {
  if ((await countOpenRequests(deps.db, agent.agentId)) >= OPEN_REQUESTS_MAX) {
    throw new AppError('limit_exceeded', `${OPEN_REQUESTS_MAX} approvals are open already.`);
  }
}

export async function outcomeOf(
  call: ToolCall,
  id: string,
  waitSeconds: number,
): Promise<ToolAnswer> {
  const { deps, agent } = call;
  // It is opened by its workflow, a moment after it was asked for.
  const request = await getApprovalRequest(deps.db, id);
  if (request?.agentId !== agent.agentId) {
    throw new AppError('not_found', 'You asked for no such approval.');
  }
  const approval = await waitUntil(call, waitSeconds, async () => {
    const found = await getApproval(deps.db, id);
    return { isOver: found !== null && found.state !== 'open', found };
  });
  const note = approval === null ? null : await noteOf(call, approval);
  return { facts: { approvalId: id, state: approval?.state ?? 'open', note } };
}

/** What the last voter said to the agent. */
async function noteOf({ deps }: ToolCall, { id, state }: Approval): Promise<string | null> {
  if (state !== 'granted' && state !== 'refused') return null;
  const votes = await listVotes(deps.db, id);
  const note = votes.findLast((vote) => vote.note !== null)?.note ?? null;
  return openNote((sealed) => deps.secrets.unseal(sealed), note);
}
