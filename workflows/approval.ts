import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  getExternalWorkflowHandle,
  log,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ApprovalState, DecisionOutcome, SignedDecision } from '../domain/approval.ts';
import type { ApprovalOpened } from '../activities/approval-request.ts';
import { approvalDecided, type ApprovalPolicy } from './contracts/agent.ts';
import {
  approvalState,
  askerGone,
  decideApproval,
  isSignedDecision,
  type RequestApproval,
  type RequestApprovalInput,
} from './contracts/approval.ts';
import { approvalStateIs, shownSpawn } from './contracts/search.ts';
import { SPAWN_AGENTS, type SpawnAgents, type SpawnAgentsInput } from './contracts/spawn.ts';
import { fail } from './fail.ts';
import { core } from './proxies.ts';

interface Approval {
  readonly input: RequestApprovalInput;
  /** As the table of risks has it, once it is opened. */
  policy: ApprovalPolicy;
  state: ApprovalState;
  /** The row exists, so votes can be counted. */
  opened: boolean;
  gone: boolean;
  /** It was woken when the deciding vote was counted. */
  askerTold: boolean;
}

/**
 * One question to people, unless the gate decides it at once. Id: the approval's id. Queue: core. Lives until it is
 * decided, expires, or its asker no longer asks; days of waiting cost nothing. The row and its votes are the truth: this
 * run only keeps the time, wakes the asker, and starts the agents that people let start. It outlives its parent
 * (ABANDON). Cancelling it voids the approval.
 */
export const requestApproval: RequestApproval = async (input) => {
  const approval: Approval = {
    input,
    policy: input.policy,
    state: 'open',
    opened: false,
    gone: false,
    askerTold: false,
  };
  listen(approval);

  await open(approval);
  setCurrentDetails('Waits for a person to decide.');

  await remindAndWait(approval);
  approval.state = await close(approval);
  upsertSearchAttributes([approvalStateIs(approval.state)]);
  setCurrentDetails(`The approval is **${approval.state}**.`);
  if (!approval.askerTold) await wakeAsker(approval);
  if (input.asker.agentId === null && approval.state === 'granted') await startSpawn(approval);
  await condition(allHandlersFinished);
  return { state: approval.state };
};

function listen(approval: Approval): void {
  setHandler(approvalState, () => approval.state);
  setHandler(askerGone, () => {
    approval.gone = true;
  });
  setHandler(decideApproval, (message) => decide(approval, message), {
    validator: (message: SignedDecision) => {
      if (!isSignedDecision(message)) throw fail('invalid_input', 'Not a decision.');
      if (message.approvalId !== approval.input.approvalId) {
        throw fail('invalid_input', 'This decision is for another approval.');
      }
    },
  });
}

/** What a history of 0.1 has no answer for was left to people, with the times of its input. */
function openRow({ input }: Approval): Promise<ApprovalOpened | undefined> {
  return core.openApproval({
    approvalId: input.approvalId,
    workspaceId: input.workspaceId,
    agentId: input.asker.agentId,
    epoch: input.asker.epoch,
    promptId: input.promptId,
    policy: input.policy,
  });
}

/** A proof of the gate that grew old on its way is made anew; what it may decide no more is left to people. */
const GATE_TRIES = 2;

async function open(approval: Approval): Promise<void> {
  const opened = await openRow(approval);
  approval.policy = opened?.policy ?? approval.input.policy;
  approval.opened = true;
  let decision = opened?.decision ?? null;
  for (let tries = 1; decision !== null; tries += 1) {
    const outcome = await decide(approval, decision);
    if (outcome.kind === 'decided' || outcome.kind === 'already') return;
    if (tries === GATE_TRIES) {
      const { approvalId, workspaceId } = approval.input;
      return core.askPeople({ approvalId, workspaceId });
    }
    decision = (await openRow(approval))?.decision ?? null;
  }
}

/** The spawn's id is its workflow's, so that it is started once, whoever runs this again. */
async function startSpawn({ input: { approvalId, workspaceId, policy } }: Approval): Promise<void> {
  const spawn = await core.findApprovedSpawn({ approvalId });
  if (spawn === null) return;
  const input: SpawnAgentsInput = { ...spawn, workspaceId, approvalPolicy: policy };
  try {
    await startChild<SpawnAgents>(SPAWN_AGENTS, {
      workflowId: spawn.spawnId,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      ...shownSpawn(input),
      args: [input],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    log.info('The spawn has been started before.');
  }
}

/** Two decisions in one workflow task both pass the validator: the vote's statement picks the first. */
async function decide(approval: Approval, message: SignedDecision): Promise<DecisionOutcome> {
  await condition(() => approval.opened);
  const { askerTold = false, ...outcome } = await core.recordVote({
    decision: message,
    workspaceId: approval.input.workspaceId,
  });
  approval.askerTold ||= askerTold;
  if (outcome.kind === 'decided' || outcome.kind === 'already') approval.state = outcome.state;
  return outcome;
}

async function remindAndWait(approval: Approval): Promise<void> {
  const { approvalId, workspaceId } = approval.input;
  const { policy } = approval;
  const over = (): boolean => approval.state !== 'open' || approval.gone;
  const escalateAfterMs = Math.min(policy.escalateAfterMs, policy.expireAfterMs);
  const remindAfterMs = Math.min(policy.remindAfterMs, escalateAfterMs);

  if (await condition(over, remindAfterMs)) return;
  await core.remindApproval({ approvalId, workspaceId, escalate: false });
  setCurrentDetails('Waits for a person to decide; people were reminded.');
  if (await condition(over, escalateAfterMs - remindAfterMs)) return;
  await core.remindApproval({ approvalId, workspaceId, escalate: true });
  setCurrentDetails('Waits for a person to decide; it was escalated.');
  await condition(over, policy.expireAfterMs - escalateAfterMs);
}

/** A vote that was counted meanwhile wins: the row says which. */
async function close(approval: Approval): Promise<Exclude<ApprovalState, 'open'>> {
  if (approval.state !== 'open') return approval.state;
  return core.closeApproval({
    approvalId: approval.input.approvalId,
    workspaceId: approval.input.workspaceId,
    as: approval.gone ? 'voided' : 'expired',
  });
}

async function wakeAsker({ input }: Approval): Promise<void> {
  const { agentId } = input.asker;
  if (agentId === null) return;
  try {
    await getExternalWorkflowHandle(agentId).signal(approvalDecided, {
      approvalId: input.approvalId,
    });
  } catch (error) {
    // The agent's run is over, so nobody is left to be told; the row keeps the decision.
    log.info('The asker of this approval has ended.', { error });
  }
}
