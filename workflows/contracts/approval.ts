import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import {
  DECIDER_KINDS,
  type ApprovalState,
  type DecisionOutcome,
  type SignedDecision,
} from '../../domain/approval.ts';
import type { AgentId, ApprovalId, PromptId, WorkspaceId } from '../../domain/id.ts';
import type { ApprovalPolicy } from './agent.ts';
import { isRecord, isText, isWhole } from './message.ts';

export const REQUEST_APPROVAL = 'requestApproval';

export interface RequestApprovalInput {
  readonly approvalId: ApprovalId;
  readonly workspaceId: WorkspaceId;
  /** Who asks: the workflow of this id is woken when the approval is decided. Null: a person, who wants to start agents. */
  readonly asker: { readonly agentId: AgentId | null; readonly epoch: number };
  /** The dialog it is about; null for what an agent asks by itself, which its row says. */
  readonly promptId: PromptId | null;
  readonly policy: ApprovalPolicy;
}

export interface RequestApprovalResult {
  readonly state: Exclude<ApprovalState, 'open'>;
}

export type RequestApproval = (input: RequestApprovalInput) => Promise<RequestApprovalResult>;

/**
 * The only way in for a decision. The message proves itself: the API signs it after it has authenticated the
 * caller, and the handler's activity checks the signature, its age (60 s) and that it was not used before.
 */
export const decideApproval = defineUpdate<DecisionOutcome, [SignedDecision]>('decideApproval');

/** From the asker: the question is gone (prompt answered elsewhere, agent stopped, new epoch). */
export const askerGone = defineSignal<[unknown]>('askerGone');

export const approvalState = defineQuery<ApprovalState>('approvalState');

export function isSignedDecision(value: unknown): value is SignedDecision {
  return (
    isRecord(value) &&
    isText(value['approvalId']) &&
    isText(value['digest']) &&
    (value['verdict'] === 'grant' || value['verdict'] === 'refuse') &&
    isTextOrNull(value['optionLabel']) &&
    isTextOrNull(value['note']) &&
    DECIDER_KINDS.some((kind) => kind === value['principalKind']) &&
    isText(value['principalId']) &&
    isWhole(value['issuedAtMs']) &&
    isText(value['nonce']) &&
    isText(value['mac']) &&
    (value['standingId'] === undefined || isText(value['standingId']))
  );
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string';
}
