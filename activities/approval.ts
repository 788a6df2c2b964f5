import type { Client } from '@temporalio/client';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import {
  isGateVote,
  TEMPORAL_UI,
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
import { getApprovalRequest } from '../infra/db/queries/grant.ts';
import { personsOf } from '../infra/db/queries/person.ts';
import { findDeciders } from '../infra/db/queries/principal.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import {
  activateStandingApproval,
  useStandingApproval,
} from '../infra/db/queries/standing-approval.ts';
import { castVote, listVotes, type Vote, type VoteRefusal } from '../infra/db/queries/vote.ts';
import type { Database, Executor } from '../infra/db/schema.ts';
import type { GateDeps } from '../infra/gate/gate.ts';
import { sha256Hex } from '../infra/digest.ts';
import { isSignedBy, signDecision } from '../infra/secrets/proof.ts';
import { approvalDecided } from '../workflows/contracts/agent.ts';
import type { SpawnAgentsInput } from '../workflows/contracts/spawn.ts';
import { applyEffect, effectOf, startedSpawn } from './approval-effect.ts';
import { recordOf, standingRecord, voterOf, voteRecord } from './approval-record.ts';
import { openApprovalOf, type ApprovalOpened, type OpenApproval } from './approval-request.ts';
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

export type AskPeople = Omit<RemindApproval, 'escalate'>;

/** `askerTold`: the asker knows already that it is decided, so the approval's run need not tell it. */
type RecordedVote = DecisionOutcome & { readonly askerTold?: boolean };

export interface ApprovalDeps extends GateDeps {
  readonly db: Kysely<Database>;
  readonly temporal: Client;
  readonly log: Logger;
  /** Signs decisions in the API and is checked here; nothing that only reaches Temporal has it. */
  readonly proofKey: Buffer;
  /** For what a row may hold until it is delivered. */
  readonly seal: (plain: string) => Buffer;
  /** Whether whoever reaches Temporal's Web UI may decide what is not of high risk. Absent: nobody there may. */
  readonly trustsTemporalUi?: boolean;
}

export type ApprovalActivities = ReturnType<typeof createApprovalActivities>;

export function createApprovalActivities(deps: ApprovalDeps) {
  const { db } = deps;
  return {
    /** Idempotent: the row is found by its id, and its event by its key; what the gate decided is read from the row. */
    openApproval: (input: OpenApproval): Promise<ApprovalOpened> => openApprovalOf(deps, input),

    /** Idempotent: a vote is found by its nonce, and an approval that was decided says how. */
    async recordVote({ decision: message, workspaceId }: RecordVote): Promise<RecordedVote> {
      const decision = proved(deps, message);
      if (decision === null) {
        return refuse(deps, {
          decision: message,
          workspaceId,
          reason: 'This decision was not made through Rookery.',
        });
      }
      const approval = await getApproval(db, decision.approvalId);
      if (approval?.workspaceId !== workspaceId) return rejected(REFUSALS.missing);
      const approver = await findApprover(db, { decision, approval, risks: deps.risks });
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
      if (outcome.kind !== 'decided' || approval.askerKind !== 'agent') return outcome;
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

    /** Idempotent: its event has one key. What the gate was to decide, and may not any more, is asked of people. */
    async askPeople({ approvalId, workspaceId }: AskPeople): Promise<void> {
      const approval = await getApproval(db, approvalId);
      if (approval?.state !== 'open') return;
      const { risk, role, askerKind, askerId } = approval;
      const asker = askerKind === 'agent' ? { agentId: askerId } : {};
      const { events = [] } = recordOf(approvalId, 'requested', { ...asker, risk, role });
      await appendRecord(db, { workspaceId, events });
    },

    /** Idempotent: each reminder has one key. */
    async remindApproval({ approvalId, workspaceId, escalate }: RemindApproval): Promise<void> {
      const kind = escalate ? 'escalated' : 'reminded';
      const approval = await getApproval(db, approvalId);
      if (approval?.state !== 'open') return;
      const { risk, role } = approval;
      // Level 1 tells the same people again, 2 everybody who may decide, wherever they can be reached.
      const data = { risk, role, level: escalate ? 2 : 1 };
      await appendRecord(db, { workspaceId, ...recordOf(approvalId, kind, data) });
    },

    /** Idempotent: reads. The spawn that a granted approval lets start; null for an approval of something else. */
    findApprovedSpawn: ({
      approvalId,
    }: {
      readonly approvalId: ApprovalId;
    }): Promise<Pick<SpawnAgentsInput, 'spawnId' | 'agentIds'> | null> =>
      startedSpawn(db, approvalId),
  };
}

/**
 * The decision, if it proves itself. One from Temporal's Web UI cannot: where configuration trusts that UI it is signed
 * here, in the UI's name and with nothing but its verdict, once for each approval.
 */
function proved(deps: ApprovalDeps, decision: SignedDecision): SignedDecision | null {
  if (isSignedBy(deps.proofKey, decision)) return decision;
  if (decision.principalKind !== TEMPORAL_UI || deps.trustsTemporalUi !== true) return null;
  const { approvalId, digest, verdict, optionLabel } = decision;
  return signDecision(deps.proofKey, {
    approvalId,
    digest,
    verdict,
    optionLabel,
    note: null,
    principalKind: TEMPORAL_UI,
    principalId: TEMPORAL_UI,
    issuedAtMs: Date.now(),
    nonce: `${TEMPORAL_UI}:${approvalId}`,
  });
}

const REFUSALS = {
  missing: 'There is no such approval.',
  already_voted: 'You have voted on this approval before; the first vote stands.',
  nonce_used: 'This decision was used before. Decide again.',
  proof_expired: 'This decision came too late to be counted. Decide again.',
  digest_differs: 'What is asked is not what you saw. Look at the approval again.',
  asker_moved_on: 'The agent no longer waits for this answer.',
  standing_gone: 'What was approved for ever is so no more: people decide.',
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
        ...voterOf(decision),
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
 * the close, so that no vote comes between them: what is on record is what the votes say. What a grant does happens in
 * the same transaction.
 */
async function decide(deps: ApprovalDeps, approval: Approval): Promise<DecisionOutcome> {
  return deps.db.transaction().execute(async (tx) => {
    await lockApproval(tx, approval.id);
    const votes = await countable(tx, approval, deps.trustsTemporalUi === true);
    const tally = tallyVotes(approval, votes, deps.proofKey);
    if (tally.state === 'open') {
      return { kind: 'counted', votes: tally.grants, quorum: approval.quorum };
    }
    const effect = tally.state === 'granted' ? await effectOf(tx, approval) : NO_EFFECT;
    if (effect.kind === 'void') return voidIt(tx, approval, effect.reason);
    const by = tally.deciding === null || !isGateVote(tally.deciding) ? 'people' : 'gate';
    const closed = await closeApproval(tx, {
      id: approval.id,
      workspaceId: approval.workspaceId,
      state: tally.state,
      record: recordOf(approval.id, 'decided', {
        state: tally.state,
        digest: approval.digest,
        by,
        rule: approval.gate?.rule ?? '',
      }),
    });
    if (closed.kind === 'missing') return rejected(REFUSALS.missing);
    if (closed.kind === 'closed' && closed.state === 'granted') {
      await applyEffect(tx, deps.seal, { approval, effect });
      await makeStanding(tx, approval, tally.deciding);
    }
    return closed.state === tally.state
      ? { kind: 'decided', state: tally.state }
      : { kind: 'already', state: closed.state };
  });
}

const NO_EFFECT = { kind: 'none' } as const;

async function voidIt(tx: Executor, approval: Approval, reason: string): Promise<DecisionOutcome> {
  const { id, workspaceId } = approval;
  const record = recordOf(id, 'voided', { reason });
  const closed = await closeApproval(tx, { id, workspaceId, state: 'voided', record });
  return closed.kind === 'missing'
    ? rejected(REFUSALS.missing)
    : { kind: 'already', state: closed.state };
}

/** A key that was revoked since it voted, and a user who was disabled, is nobody's voice any more. */
async function countable(
  tx: Executor,
  approval: Approval,
  trustsTemporalUi: boolean,
): Promise<readonly Vote[]> {
  const { workspaceId, contextId, role } = approval;
  const votes = await listVotes(tx, approval.id);
  const deciders = await findDeciders(tx, { workspaceId, contextId, role });
  const persons = await personsOf(
    tx,
    votes.map(({ principalId }) => principalId),
  );
  const counted: Vote[] = [];
  for (const vote of votes) {
    const isCounted = isGateVote(vote)
      ? await isBacked(tx, approval, vote)
      : deciders.includes(persons.get(vote.principalId) ?? vote.principalId);
    const isFromUi = vote.principalKind === TEMPORAL_UI && trustsTemporalUi;
    if (isCounted || isFromUi) counted.push(vote);
  }
  return counted;
}

/** What was approved for ever has to be so until the end of this transaction. */
async function isBacked(tx: Executor, approval: Approval, vote: Vote): Promise<boolean> {
  if (vote.principalKind !== 'standing' || approval.state !== 'open') return true;
  const { workspaceId, template, recipients, risk } = approval;
  if (template === null) return false;
  const templateHash = sha256Hex(template);
  const query = { id: vote.principalId, workspaceId, templateHash, recipients, risk };
  return (await useStandingApproval(tx, query)) !== null;
}

/** The last grant may say that this holds for ever; it does from here on. */
async function makeStanding(tx: Executor, approval: Approval, vote: Vote | null): Promise<void> {
  if (vote?.standingId === undefined) return;
  const { principalId: createdBy, standingId: id } = vote;
  const standing = await activateStandingApproval(tx, { id, approvalId: approval.id, createdBy });
  if (standing !== null) await appendRecord(tx, standingRecord(standing));
}

async function isOwnRequest(db: Executor, { id, promptId }: Approval): Promise<boolean> {
  return promptId === null && (await getApprovalRequest(db, id)) !== null;
}
