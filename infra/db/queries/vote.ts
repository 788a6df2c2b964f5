import { sql } from 'kysely';
import type { AgentState } from '../../../domain/agent.ts';
import type { ApprovalState, SignedDecision } from '../../../domain/approval.ts';
import { DECISION_TTL_MS } from '../../../domain/approval.ts';
import { AppError } from '../../../domain/error.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { NewRecord } from './record.ts';
import { appendCall } from './record.ts';

/** A decision as it was signed, so that whoever acts on it can check the MAC again. */
export type Vote = SignedDecision;

/** A signer's clock may run ahead of the database's by this much. */
const CLOCK_SKEW_MS = 5_000;

export interface CastVote {
  readonly workspaceId: string;
  /** Its MAC has been checked by the caller. */
  readonly decision: SignedDecision;
  /** The states in which an agent waits for the answer. An asker that is no agent has none to check. */
  readonly askerStates: readonly AgentState[];
  readonly record: Omit<NewRecord, 'workspaceId'>;
}

/** Anything but `recorded` left no trace, save that `repeated` was recorded by the call before. */
export type VoteCast =
  | { readonly kind: 'recorded' | 'repeated' }
  | { readonly kind: 'closed'; readonly state: Exclude<ApprovalState, 'open'> }
  | { readonly kind: 'refused'; readonly reason: VoteRefusal };

export type VoteRefusal =
  | 'missing'
  | 'already_voted'
  | 'nonce_used'
  | 'proof_expired'
  | 'digest_differs'
  | 'asker_moved_on'
  | 'standing_gone';

/**
 * Inserts the vote, its event and audit in one statement, and only if at that moment the approval is open for
 * this very payload, the proof is fresh by the database's clock and unused, and the asking agent still waits in
 * the same epoch. Both rows are locked, so a close or a change of state comes before or after, never between.
 */
export async function castVote(db: Executor, cast: CastVote): Promise<VoteCast> {
  const { decision } = cast;
  requireStorable(decision);
  const record = appendCall({ workspaceId: cast.workspaceId, ...cast.record });
  const { rows } = await sql`
    with asking_agent as (
      select a.id from approval a join agent g on g.id = a.asker_id
      where ${isVotable(cast)} and a.asker_kind = 'agent'
        and (g.epoch = a.asker_epoch
          or exists (select from approval_request r where r.approval_id = a.id))
        and g.state = any(${cast.askerStates}::text[])
        and ${isBacked(cast)}
      for update of a for share of g
    ), asking_system as (
      select a.id from approval a where ${isVotable(cast)} and a.asker_kind <> 'agent'
        and ${isBacked(cast)} for update
    ), waiting as (
      select id from asking_agent union all select id from asking_system
    ), voted as (
      insert into vote (approval_id, principal_id, principal_kind, verdict, option_label, digest,
        nonce, at, note, mac, standing_id)
      select waiting.id, ${decision.principalId}::text, ${decision.principalKind}::text,
        ${decision.verdict}::text, ${decision.optionLabel}::text, ${decision.digest}::text,
        ${decision.nonce}::text, to_timestamp(${decision.issuedAtMs}::double precision / 1000),
        ${decision.note}::text, ${decision.mac}::text,
        ${decision.standingId ?? null}::text
      from waiting
      on conflict do nothing returning approval_id
    )
    select voted.approval_id from voted cross join lateral ${record} as written
  `.execute(db);
  return rows.length > 0 ? { kind: 'recorded' } : whyNot(db, cast);
}

/** Open, for this payload, with a proof that is fresh by the database's clock. */
function isVotable({ decision, workspaceId }: CastVote): ReturnType<typeof sql> {
  return sql`a.id = ${decision.approvalId} and a.workspace_id = ${workspaceId}
    and a.state = 'open' and a.digest = ${decision.digest}
    and (a.expires_at is null or a.expires_at > now()) and ${isFresh(decision)}`;
}

/**
 * The vote of a standing approval counts only while that one holds for this very template, for these recipients and
 * this risk. Its row is shared until the vote is in, so that whoever revokes it comes before or after.
 */
function isBacked({ decision }: CastVote): ReturnType<typeof sql> {
  if (decision.principalKind !== 'standing') return sql`true`;
  return sql`exists (select from standing_approval s
    where s.id = ${decision.principalId} and s.workspace_id = a.workspace_id
      and s.activated_at is not null and s.revoked_at is null and s.expires_at > now()
      and s.template_hash = encode(sha256(convert_to(a.template, 'UTF8')), 'hex')
      and a.recipients <@ s.recipients
      and array_position(array['low', 'medium', 'high'], a.risk)
        <= array_position(array['low', 'medium', 'high'], s.risk)
    for share of s)`;
}

function isFresh({ issuedAtMs }: SignedDecision): ReturnType<typeof sql> {
  return sql`to_timestamp(${issuedAtMs}::double precision / 1000) between
    now() - ${DECISION_TTL_MS}::double precision * interval '1 millisecond'
    and now() + ${CLOCK_SKEW_MS}::double precision * interval '1 millisecond'`;
}

/** The MAC covers these words, so they are stored as they are or not at all. */
function requireStorable({ note, optionLabel, principalId, nonce }: SignedDecision): void {
  const texts = [note ?? '', optionLabel ?? '', principalId, nonce];
  if (texts.every((text) => storableText(text) === text)) return;
  throw new AppError('invalid_input', 'A decision must not contain U+0000 or broken characters.');
}

async function whyNot(db: Executor, { decision, workspaceId }: CastVote): Promise<VoteCast> {
  const { rows } = await sql<{
    state: ApprovalState;
    digest: string;
    ownNonce: string | null;
    nonceUsed: boolean;
    expired: boolean;
    stale: boolean;
  }>`
    select a.state, a.digest, v.nonce as "ownNonce",
      exists (select from vote where nonce = ${decision.nonce}) as "nonceUsed",
      coalesce(a.expires_at <= now(), false) as expired,
      not (${isFresh(decision)}) as stale
    from approval a
    left join vote v on v.approval_id = a.id and v.principal_id = ${decision.principalId}
    where a.id = ${decision.approvalId} and a.workspace_id = ${workspaceId}
  `.execute(db);
  const row = rows[0];
  if (row === undefined) return { kind: 'refused', reason: 'missing' };
  if (row.ownNonce === decision.nonce) return { kind: 'repeated' };
  if (row.state !== 'open') return { kind: 'closed', state: row.state };
  if (row.expired) return { kind: 'closed', state: 'expired' };
  const refusal = refusalOf(row, decision.digest);
  const isStanding = refusal === 'asker_moved_on' && decision.principalKind === 'standing';
  return { kind: 'refused', reason: isStanding ? 'standing_gone' : refusal };
}

function refusalOf(
  row: {
    readonly digest: string;
    readonly ownNonce: string | null;
    readonly nonceUsed: boolean;
    readonly stale: boolean;
  },
  digest: string,
): VoteRefusal {
  if (row.digest !== digest) return 'digest_differs';
  if (row.ownNonce !== null) return 'already_voted';
  if (row.nonceUsed) return 'nonce_used';
  return row.stale ? 'proof_expired' : 'asker_moved_on';
}

/** In the order they were signed. */
export async function listVotes(db: Executor, approvalId: string): Promise<readonly Vote[]> {
  const rows = await db
    .selectFrom('vote')
    .select([
      'approval_id as approvalId',
      'principal_id as principalId',
      'principal_kind as principalKind',
      'verdict',
      'option_label as optionLabel',
      'digest',
      'nonce',
      'at',
      'note',
      'mac',
      'standing_id as standingId',
    ])
    .where('approval_id', '=', approvalId)
    .orderBy('at')
    .orderBy('principal_id')
    .execute();
  return rows.map(({ at, standingId, ...vote }) => ({
    ...vote,
    issuedAtMs: at.getTime(),
    // The MAC covers it where it is there, and it alone.
    ...(standingId === null ? {} : { standingId }),
  }));
}
