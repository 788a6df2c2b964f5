import { sql, type Kysely } from 'kysely';
import { ROLE_FOR_RISK, type Risk, type SignedDecision } from '../domain/approval.ts';
import type { Approval } from '../infra/db/queries/approval.ts';
import { findDeciders } from '../infra/db/queries/principal.ts';
import { listVotes } from '../infra/db/queries/vote.ts';
import type { Database } from '../infra/db/schema.ts';

export type Approver =
  | { readonly kind: 'allowed'; readonly selfApproved: boolean }
  | { readonly kind: 'denied'; readonly reason: string };

/**
 * Whether this principal may decide this approval now: their key still holds, its role covers the risk, and for
 * high risk they are not the requester — unless nobody else could decide, as in a workspace of one person.
 */
export async function findApprover(
  db: Kysely<Database>,
  decision: SignedDecision,
  approval: Pick<
    Approval,
    'id' | 'workspaceId' | 'risk' | 'requestedBy' | 'requestedAt' | 'quorum'
  >,
): Promise<Approver> {
  if (decision.principalKind !== 'user') {
    return denied('The Temporal Web UI may not decide approvals here.');
  }
  // An option other than allow once or deny can permit more than this one request.
  const risk: Risk = decision.optionLabel === null ? approval.risk : 'high';
  const deciders = await findDeciders(db, {
    workspaceId: approval.workspaceId,
    role: ROLE_FOR_RISK[risk],
  });
  if (!deciders.includes(decision.principalId)) {
    return denied(`A decision of ${risk} risk needs the role ${ROLE_FOR_RISK[risk]}.`);
  }
  const isRequester = decision.principalId === approval.requestedBy;
  if (risk === 'high' && isRequester && deciders.length > 1) {
    return denied('Whoever asked for something of high risk cannot approve it: ask another admin.');
  }
  if ((risk === 'high' || approval.quorum > 1) && !isRequester) {
    const makers = await makersSince(db, decision.principalId, approval.requestedAt);
    const parties = [approval.requestedBy, ...(await votersOf(db, approval.id))];
    if (parties.some((party) => makers.includes(party))) {
      return denied('This key was made by a party to this approval, after it had been asked for.');
    }
  }
  return { kind: 'allowed', selfApproved: isRequester };
}

/**
 * Who made this key, and who made that one, as far as it happened after the question. Nobody becomes a second person
 * by making a key for it; older keys are taken for what they were given out as.
 */
async function makersSince(db: Kysely<Database>, keyId: string, since: Date): Promise<string[]> {
  const { rows } = await sql<{ readonly maker: string }>`
    with recursive line (id, maker) as (
      select id, created_by from api_key where id = ${keyId} and created_at >= ${since}
      union
      select k.id, k.created_by from api_key k join line on k.id = line.maker
      where k.created_at >= ${since}
    )
    select maker from line`.execute(db);
  return rows.map(({ maker }) => maker);
}

async function votersOf(db: Kysely<Database>, approvalId: string): Promise<string[]> {
  const votes = await listVotes(db, approvalId);
  return votes.map(({ principalId }) => principalId);
}

function denied(reason: string): Approver {
  return { kind: 'denied', reason };
}
