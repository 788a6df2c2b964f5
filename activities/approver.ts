import type { Kysely } from 'kysely';
import { isGateVote, type SignedDecision } from '../domain/approval.ts';
import { policyVoter } from '../domain/gate.ts';
import { covers, type Role } from '../domain/principal.ts';
import { greaterRisk, type RiskTable } from '../domain/risk.ts';
import type { Approval } from '../infra/db/queries/approval.ts';
import { makersSince, personsOf } from '../infra/db/queries/person.ts';
import { findDeciders } from '../infra/db/queries/principal.ts';
import { getStandingApproval } from '../infra/db/queries/standing-approval.ts';
import { listVotes } from '../infra/db/queries/vote.ts';
import type { Database } from '../infra/db/schema.ts';
import { mayStillMake, STANDING_ROLE } from '../infra/gate/gate.ts';

export type Approver =
  | { readonly kind: 'allowed'; readonly selfApproved: boolean }
  | { readonly kind: 'denied'; readonly reason: string };

type Asked = Pick<
  Approval,
  | 'id'
  | 'workspaceId'
  | 'contextId'
  | 'risk'
  | 'role'
  | 'requestedBy'
  | 'requestedAt'
  | 'quorum'
  | 'gate'
>;

export interface Deciding {
  readonly decision: SignedDecision;
  readonly approval: Asked;
  readonly risks: RiskTable;
}

const ALLOWED = { kind: 'allowed', selfApproved: false } as const;

/**
 * Whether this principal may decide this approval now: it still holds the role that the risk takes, there, and for a
 * high risk it is not the person who asks — unless nobody else could decide, as in a workspace of one person.
 */
export function findApprover(db: Kysely<Database>, deciding: Deciding): Promise<Approver> {
  if (isGateVote(deciding.decision)) return findGate(db, deciding);
  if (deciding.decision.principalKind === 'user') return findPerson(db, deciding);
  return Promise.resolve(findTemporalUi(deciding));
}

/** It has no name for whoever uses it, so it counts as an operator, and as one person only. */
function findTemporalUi({ decision, approval }: Deciding): Approver {
  if (approval.risk === 'high' || approval.role !== 'operator') {
    return denied(
      'This is not decided in the Temporal Web UI: its risk wants somebody with a name.',
    );
  }
  if (decision.optionLabel !== null) {
    return denied('The Temporal Web UI grants or refuses, and chooses no other option.');
  }
  return deniedByPolicy({ decision, approval }) ?? ALLOWED;
}

/** What the policy denies nobody grants. */
function deniedByPolicy({
  decision,
  approval: { gate },
}: Pick<Deciding, 'decision' | 'approval'>): Approver | null {
  if (gate?.verdict !== 'deny' || decision.verdict !== 'grant') return null;
  return denied(`The policy denies this (rule ${gate.rule}), so nobody can grant it.`);
}

/** What a vote needs beside the approval's own role: an option that permits more is a high risk of its own. */
function roleNeeded(
  approval: Pick<Approval, 'role'>,
  { optionLabel, standingId }: Pick<SignedDecision, 'optionLabel' | 'standingId'>,
  { terms }: RiskTable,
): Role {
  const needed: Role[] = [approval.role];
  if (optionLabel !== null) needed.push(terms.high.role);
  if (standingId !== undefined) needed.push(STANDING_ROLE);
  return needed.reduce((one, other) => (covers(one, other) ? one : other));
}

async function findPerson(
  db: Kysely<Database>,
  { decision, approval, risks }: Deciding,
): Promise<Approver> {
  const { workspaceId, contextId } = approval;
  const refusal = deniedByPolicy({ decision, approval });
  if (refusal !== null) return refusal;
  const risk = decision.optionLabel === null ? approval.risk : greaterRisk(approval.risk, 'high');
  const role = roleNeeded(approval, decision, risks);
  const deciders = await findDeciders(db, { workspaceId, contextId, role });
  const voters = (await listVotes(db, approval.id)).map(({ principalId }) => principalId);
  const ids = [decision.principalId, approval.requestedBy, ...voters];
  const persons = await personsOf(db, ids);
  const [decider = '', requester = '', ...others] = ids.map((id) => persons.get(id) ?? id);
  if (!deciders.includes(decider)) {
    return denied(`A decision of ${risk} risk needs the role ${role}.`);
  }
  const isRequester = decider === requester;
  if (risk === 'high' && isRequester && deciders.some((id) => id !== decider)) {
    return denied('Whoever asked for something of high risk cannot approve it: ask another admin.');
  }
  // A repeated message of somebody who has voted finds his vote; a second vote of his by another key is none.
  if (others.some((voter, index) => voter === decider && voters[index] !== decision.principalId)) {
    return denied('You have voted on this approval before, by another key.');
  }
  const isFourEyes = risk === 'high' || approval.quorum > 1 || decision.standingId !== undefined;
  if (isFourEyes && !isRequester) {
    const makers = await makersSince(db, decider, approval.requestedAt);
    const parties = [requester, ...others].filter((party) => party !== decider);
    if (parties.some((party) => makers.includes(party))) {
      return denied(
        'A party to this approval has made this key or account, or given it its role or identity, after it had been asked for.',
      );
    }
  }
  return { kind: 'allowed', selfApproved: isRequester };
}

/** The gate's own vote says what the gate answered when this was asked, and nothing else. */
async function findGate(
  db: Kysely<Database>,
  { decision, approval, risks }: Deciding,
): Promise<Approver> {
  const { gate } = approval;
  const verdict = decision.verdict === 'grant' ? 'allow' : 'deny';
  if (gate?.verdict !== verdict) return denied('The gate has not decided this.');
  if (gate.by === 'policy') {
    const isIts = decision.principalKind === 'policy' && decision.principalId === policyVoter(gate);
    return isIts ? ALLOWED : denied('The gate has not decided this.');
  }
  if (decision.principalKind !== 'standing' || decision.principalId !== gate.standingId)
    return denied('The gate has not decided this.');
  if (approval.risk === 'high' && !risks.standing.highRisk)
    return denied('What has a high risk is not approved for ever here.');
  const standing = await getStandingApproval(db, decision.principalId);
  if (standing === null || !(await mayStillMake(db, standing)))
    return denied('Whoever approved this for ever may not do so any more.');
  return ALLOWED;
}

function denied(reason: string): Approver {
  return { kind: 'denied', reason };
}
