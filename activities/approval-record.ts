import { isGateVote, type SignedDecision } from '../domain/approval.ts';
import type { AuditEntry } from '../infra/audit/entry.ts';
import type { StandingApproval } from '../infra/db/queries/standing-approval.ts';
import type { NewRecord } from '../infra/db/queries/event.ts';

type ApprovalRecord = Pick<NewRecord, 'events' | 'audits'>;

type RecordKind = 'requested' | 'reminded' | 'escalated' | 'decided' | 'expired' | 'voided';

/** Event and audit entry of one step in an approval's life; each happens once. */
export function recordOf(
  approvalId: string,
  kind: RecordKind,
  data: Readonly<Record<string, string | number>>,
): ApprovalRecord {
  const key = `${approvalId}:${kind}`;
  return {
    events: [{ key, type: `approval.${kind}`, subjectId: approvalId, data }],
    audits: [
      {
        key,
        actorKind: 'system',
        actorId: 'requestApproval',
        action: `approval.${kind}`,
        subjectId: approvalId,
        detail: data,
      },
    ],
  };
}

export function voteRecord(decision: SignedDecision, selfApproved: boolean): ApprovalRecord {
  const { approvalId, principalId, principalKind, verdict, digest } = decision;
  const key = `${approvalId}:vote:${principalId}`;
  return {
    events: [
      {
        key,
        type: 'approval.voted',
        subjectId: approvalId,
        data: { principalId, principalKind, verdict },
      },
    ],
    audits: [
      {
        key,
        ...voterOf(decision),
        action: 'approval.vote',
        subjectId: approvalId,
        detail: { verdict, digest, selfApproved, ...moreOf(decision) },
      },
    ],
  };
}

function moreOf({ optionLabel, standingId }: SignedDecision) {
  return { optionLabel, ...(standingId === undefined ? {} : { standingId }) };
}

/** Who is on record for a vote: the gate votes as a part of the system. */
export function voterOf(decision: SignedDecision): Pick<AuditEntry, 'actorKind' | 'actorId'> {
  const { principalKind, principalId } = decision;
  if (isGateVote(decision)) return { actorKind: 'system', actorId: principalId };
  const actorKind = principalKind === 'temporal-ui' ? principalKind : 'user';
  return { actorKind, actorId: principalId };
}

/** A standing approval from the moment on which it holds. */
export function standingRecord(standing: StandingApproval): NewRecord {
  const { id, workspaceId, approvalId, templateHash, createdBy, risk } = standing;
  const recipients = [...standing.recipients];
  const expiresAt = standing.expiresAt.toISOString();
  const key = `${id}:created`;
  return {
    workspaceId,
    events: [
      {
        key,
        type: 'standing_approval.created',
        subjectId: id,
        data: { approvalId, createdBy, expiresAt },
      },
    ],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: createdBy,
        action: 'standing_approval.create',
        subjectId: id,
        detail: { approvalId, templateHash, recipients, risk, expiresAt },
      },
    ],
  };
}
