import type { Client } from '@temporalio/client';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import {
  ROLE_FOR_RISK,
  type ApprovalState,
  type DecisionOutcome,
  type SignedDecision,
} from '../domain/approval.ts';
import { parseId, type ApprovalId, type WorkspaceId } from '../domain/id.ts';
import {
  closeApproval,
  getApproval,
  lockApproval,
  type Approval,
} from '../infra/db/queries/approval.ts';
import { LIVE_STATES } from '../infra/db/queries/agent.ts';
import { getApprovalRequest, widenGrants } from '../infra/db/queries/grant.ts';
import { findDeciders } from '../infra/db/queries/principal.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { castVote, listVotes, type VoteRefusal } from '../infra/db/queries/vote.ts';
import type { Database, Executor } from '../infra/db/schema.ts';
import { sha256Hex } from '../infra/digest.ts';
import { isSignedBy } from '../infra/secrets/proof.ts';
import { approvalDecided } from '../workflows/contracts/agent.ts';
import { recordOf, voteRecord } from './approval-record.ts';
import { openApprovalOf, type OpenApproval } from './approval-request.ts';
import { findApprover } from './approver.ts';
import { tallyVotes } from './tally.ts';

export interface RecordVote {
  readonly decision: SignedDecision;
  readonly workspaceId: WorkspaceId;
}

export interface CloseApproval {
  readonly approvalId: ApprovalId;
  readonly workspaceId: WorkspaceId;
  readonly as: 'expired' | 'voided';
}

export interface RemindApproval {
  readonly approvalId: ApprovalId;
  readonly workspaceId: WorkspaceId;
  readonly escalate: boolean;
}

/** `askerTold`: the asker knows already that it is decided, so the approval's run need not tell it. */
type RecordedVote = DecisionOutcome & { readonly askerTold?: boolean };

export interface ApprovalDeps {
  readonly db: Kysely<Database>;
  readonly temporal: Client;
  readonly log: Logger;
  /** Signs decisions in the API and is checked here; nothing that only reaches Temporal has it. */
  readonly proofKey: Buffer;
}

export type ApprovalActivities = ReturnType<typeof createApprovalActivities>;

export function createApprovalActivities(deps: ApprovalDeps) {
  const { db } = deps;
  return {
    /** Idempotent: the row is found by its id, and its event by its key. */
    openApproval: (input: OpenApproval): Promise<void> => openApprovalOf(db, input),

    /** Idempotent: a vote is found by its nonce, and an approval that was decided says how. */
    async recordVote({ decision, workspaceId }: RecordVote): Promise<RecordedVote> {
      if (!isSignedBy(deps.proofKey, decision)) {
        return refuse(deps, {
          decision,
          workspaceId,
          reason: 'This decision was not made through Rookery.',
        });
      }
      const approval = await getApproval(db, decision.approvalId);
      if (approval?.workspaceId !== workspaceId) return rejected(REFUSALS.missing);
      const approver = await findApprover(db, decision, approval);
      if (approver.kind === 'denied') {
        return refuse(deps, { decision, workspaceId, reason: approver.reason });
      }
      const cast = await castVote(db, {
        workspaceId,
        decision,
        // A dialog waits for its answer; what an agent asked for by itself it looks up when it likes.
        askerStates: (await isOwnRequest(db, approval)) ? LIVE_STATES : ['blocked'],
        record: voteRecord(decision, approver.selfApproved),
      });
      if (cast.kind === 'closed') return { kind: 'already', state: cast.state };
      if (cast.kind === 'refused') return rejected(REFUSALS[cast.reason]);
      const outcome = await decide(deps, approval);
      if (outcome.kind !== 'decided') return outcome;
      return { ...outcome, askerTold: await wakeAsker(deps, approval) };
    },

    /** Idempotent: the first close stands, and this answers which it was. */
    async closeApproval(input: CloseApproval): Promise<Exclude<ApprovalState, 'open'>> {
      const closed = await closeApproval(db, {
        id: input.approvalId,
        workspaceId: input.workspaceId,
        state: input.as,
        record: recordOf(input.approvalId, input.as, {}),
      });
      // The asker of an approval that was never opened is gone, so nobody can act on it.
      return closed.kind === 'missing' ? 'voided' : closed.state;
    },

    /** Idempotent: each reminder has one key. */
    async remindApproval({ approvalId, workspaceId, escalate }: RemindApproval): Promise<void> {
      const kind = escalate ? 'escalated' : 'reminded';
      await appendRecord(db, { workspaceId, ...recordOf(approvalId, kind, {}) });
    },
  };
}

const REFUSALS = {
  missing: 'There is no such approval.',
  already_voted: 'You have voted on this approval before; the first vote stands.',
  nonce_used: 'This decision was used before. Decide again.',
  proof_expired: 'This decision came too late to be counted. Decide again.',
  digest_differs: 'What is asked is not what you saw. Look at the approval again.',
  asker_moved_on: 'The agent no longer waits for this answer.',
} as const satisfies Record<VoteRefusal, string>;

function rejected(reason: string): DecisionOutcome {
  return { kind: 'rejected', reason };
}

/** Who tries without right is on record. */
async function refuse(
  deps: ApprovalDeps,
  refusal: RecordVote & { readonly reason: string },
): Promise<DecisionOutcome> {
  const { decision, workspaceId, reason } = refusal;
  await appendRecord(deps.db, {
    workspaceId,
    audits: [
      {
        key: `${decision.approvalId}:refused:${decision.nonce}`,
        actorKind: decision.principalKind,
        actorId: decision.principalId,
        action: 'approval.vote_refused',
        subjectId: decision.approvalId,
        detail: { verdict: decision.verdict, reason },
      },
    ],
  });
  return rejected(reason);
}

/** Longer than a healthy server takes; what is late is told by the approval's own run. */
const WAKE_TIMEOUT_MS = 1_000;

/**
 * A wake-up and nothing more: the rows say what was decided. From here it goes out while the run's task is still
 * open, which brings the answer to the CLI sooner by that task's end and one hand-over in the server.
 */
async function wakeAsker({ temporal, log }: ApprovalDeps, approval: Approval): Promise<boolean> {
  try {
    await temporal.withDeadline(Date.now() + WAKE_TIMEOUT_MS, () =>
      temporal.workflow
        .getHandle(approval.askerId)
        .signal(approvalDecided, { approvalId: parseId('approval', approval.id) }),
    );
    return true;
  } catch (error) {
    log.debug({ err: error, approvalId: approval.id }, 'the asker is told by the approval itself');
    return false;
  }
}

/**
 * One refusal decides, and so does the last of the grants that are asked for. The row is locked from the count to
 * the close, so that no vote comes between them: what is on record is what the votes say.
 */
async function decide(deps: ApprovalDeps, approval: Approval): Promise<DecisionOutcome> {
  return deps.db.transaction().execute(async (tx) => {
    await lockApproval(tx, approval.id);
    const deciders = await findDeciders(tx, {
      workspaceId: approval.workspaceId,
      role: ROLE_FOR_RISK[approval.risk],
    });
    // A key that was revoked since it voted is nobody's voice any more.
    const votes = (await listVotes(tx, approval.id)).filter(({ principalId }) =>
      deciders.includes(principalId),
    );
    const tally = tallyVotes(approval, votes, deps.proofKey);
    if (tally.state === 'open') {
      return { kind: 'counted', votes: tally.grants, quorum: approval.quorum };
    }
    const closed = await closeApproval(tx, {
      id: approval.id,
      workspaceId: approval.workspaceId,
      state: tally.state,
      record: recordOf(approval.id, 'decided', { state: tally.state, digest: approval.digest }),
    });
    if (closed.kind === 'missing') return rejected(REFUSALS.missing);
    if (closed.kind === 'closed' && closed.state === 'granted') await giveAccess(tx, approval);
    return closed.state === tally.state
      ? { kind: 'decided', state: tally.state }
      : { kind: 'already', state: closed.state };
  });
}

async function isOwnRequest(db: Executor, { id, promptId }: Approval): Promise<boolean> {
  return promptId === null && (await getApprovalRequest(db, id)) !== null;
}

/** Where an agent asked for access: it has it with the vote that decided, or not at all. */
async function giveAccess(tx: Executor, approval: Approval): Promise<void> {
  if (approval.promptId !== null) return;
  const request = await getApprovalRequest(tx, approval.id);
  if (request?.kind !== 'grant' || sha256Hex(request.payload) !== approval.digest) return;
  const { agentId, grants } = request;
  await widenGrants(tx, { agentId, approvalId: approval.id, grants });
}
