import { isGateVote } from '../domain/approval.ts';
import type { Approval } from '../infra/db/queries/approval.ts';
import type { Vote } from '../infra/db/queries/vote.ts';
import { isSignedBy } from '../infra/secrets/proof.ts';

export interface Tally {
  readonly state: 'open' | 'granted' | 'refused';
  readonly grants: number;
  /** The vote whose words and option count: the refusal, or the last grant. */
  readonly deciding: Vote | null;
}

/** Counts only votes that prove themselves: a row that was put into the table by hand is worth nothing. */
export function tallyVotes(
  approval: Pick<Approval, 'id' | 'digest' | 'quorum'>,
  votes: readonly Vote[],
  proofKey: Buffer,
): Tally {
  const valid = votes.filter(
    (vote) =>
      vote.approvalId === approval.id &&
      vote.digest === approval.digest &&
      isSignedBy(proofKey, vote),
  );
  const grants = valid.filter((vote) => vote.verdict === 'grant');
  const refusal = valid.find((vote) => vote.verdict === 'refuse');
  if (refusal) return { state: 'refused', grants: grants.length, deciding: refusal };
  // A quorum is of people; the gate decides alone where it decides at all.
  const byGate = grants.find(isGateVote);
  if (byGate) return { state: 'granted', grants: grants.length, deciding: byGate };
  if (grants.length >= approval.quorum) {
    return { state: 'granted', grants: grants.length, deciding: agreed(grants) };
  }
  return { state: 'open', grants: grants.length, deciding: null };
}

/** An option that permits more counts only where everybody named it: the rest agreed to less. */
function agreed(grants: readonly Vote[]): Vote | null {
  const last = grants.at(-1);
  if (last === undefined) return null;
  const isSame = grants.every(({ optionLabel }) => optionLabel === last.optionLabel);
  return isSame ? last : { ...last, optionLabel: null };
}
