import { randomUUID } from 'node:crypto';
import type { Decision, SignedDecision } from '../../domain/approval.ts';
import { parseId, type WorkspaceId } from '../../domain/id.ts';
import type { Approval } from '../../infra/db/queries/approval.ts';
import { signDecision } from '../../infra/secrets/proof.ts';

/** What `recordVote` takes: a fresh grant of a user, unless `more` says otherwise. */
export function signedVote(
  proofKey: Buffer,
  approval: Pick<Approval, 'id' | 'digest' | 'workspaceId'>,
  more: Pick<Decision, 'principalId'> & Partial<Decision>,
): { readonly decision: SignedDecision; readonly workspaceId: WorkspaceId } {
  const decision = signDecision(proofKey, {
    approvalId: approval.id,
    digest: approval.digest,
    verdict: 'grant',
    optionLabel: null,
    note: null,
    principalKind: 'user',
    issuedAtMs: Date.now(),
    nonce: randomUUID(),
    ...more,
  });
  return { decision, workspaceId: parseId('workspace', approval.workspaceId) };
}
