import { AppError } from '../domain/error.ts';
import { parseId } from '../domain/id.ts';
import { covers } from '../domain/principal.ts';
import { getSpawn, releaseSpawn } from '../infra/db/queries/spawn.ts';
import { insertAgents, listAgents } from '../infra/db/queries/agent.ts';
import type { Approval } from '../infra/db/queries/approval.ts';
import {
  getApprovalRequest,
  widenGrants,
  type ApprovalRequest,
} from '../infra/db/queries/grant.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { personOf } from '../infra/db/queries/person.ts';
import { enqueuePost, type SealText } from '../infra/db/queries/post.ts';
import { findRole } from '../infra/db/queries/principal.ts';
import type { Executor } from '../infra/db/schema.ts';
import { sha256Hex } from '../infra/digest.ts';
import {
  agentsOfSpawn,
  PostPayload,
  postOf,
  recipientOf,
  SpawnPayload,
} from '../infra/gate/effects.ts';
import { postRecord, spawnRecord } from '../infra/gate/effect-record.ts';
import type { SpawnAgentsInput } from '../workflows/contracts/spawn.ts';

/** What a grant does, if anything; a dialog's answer is delivered elsewhere. */
export type Effect =
  | { readonly kind: 'none' }
  | { readonly kind: 'do'; readonly request: ApprovalRequest };

const NONE = { kind: 'none' } as const;

/**
 * What is to be done is what was approved: its text is hashed again. Where it may not be done any more the answer is why,
 * and the approval is void.
 */
export async function effectOf(
  tx: Executor,
  approval: Approval,
): Promise<Effect | { readonly kind: 'void'; readonly reason: string }> {
  if (approval.promptId !== null) return NONE;
  const request = await getApprovalRequest(tx, approval.id);
  if (request === null || request.kind === 'request') return NONE;
  if (sha256Hex(request.payload) !== approval.digest)
    return { kind: 'void', reason: 'What is stored is not what was asked for.' };
  if (request.kind === 'spawn' && !(await maySpawn(tx, approval)))
    return { kind: 'void', reason: 'Whoever asked may start no agents any more.' };
  return { kind: 'do', request };
}

async function maySpawn(tx: Executor, { requestedBy, ...at }: Approval): Promise<boolean> {
  const { workspaceId, contextId } = at;
  const principalId = await personOf(tx, requestedBy);
  const role = await findRole(tx, { principalId, workspaceId, contextId });
  return role !== null && covers(role, 'operator');
}

/** Done in the transaction of the deciding vote, or not at all; a second time changes nothing. */
export async function applyEffect(
  tx: Executor,
  seal: SealText,
  { approval, effect }: { readonly approval: Approval; readonly effect: Effect },
): Promise<void> {
  if (effect.kind === 'none') return;
  const { request } = effect;
  switch (request.kind) {
    case 'request':
      return;
    case 'grant':
      if (request.agentId === null) return;
      return widenGrants(tx, {
        agentId: request.agentId,
        approvalId: approval.id,
        grants: request.grants,
      });
    case 'post':
      return say(tx, seal, { approval, payload: PostPayload.parse(JSON.parse(request.payload)) });
    case 'spawn':
      return start(tx, approval, SpawnPayload.parse(JSON.parse(request.payload)));
  }
}

async function say(
  tx: Executor,
  seal: SealText,
  { approval, payload }: { readonly approval: Approval; readonly payload: PostPayload },
): Promise<void> {
  const { id, workspaceId, digest, recipients } = approval;
  const [recipient] = recipients;
  if (recipient !== recipientOf(payload))
    throw new AppError('internal', 'A post goes to whom it was approved for.');
  await enqueuePost(tx, seal, {
    connectorId: payload.connectorId,
    workspaceId,
    key: `post:${id}`,
    post: postOf(payload),
  });
  await appendRecord(tx, postRecord({ workspaceId, id, digest, payload }));
}

async function start(tx: Executor, approval: Approval, payload: SpawnPayload): Promise<void> {
  const { workspaceId, requestedBy, id, digest } = approval;
  if (!(await releaseSpawn(tx, payload.spawnId))) return;
  const agents = agentsOfSpawn(payload, { workspaceId, ownerId: requestedBy });
  await insertAgents(tx, agents);
  const { spawnId, count, spec, definition } = payload;
  await appendRecord(
    tx,
    spawnRecord({
      workspaceId,
      spawnId,
      requestedBy,
      definition,
      count,
      type: spec.type,
      agentIds: agents.map((agent) => agent.id),
      specDigest: digest,
      approvalId: id,
    }),
  );
}

/** The spawn that an approval has let start; null for an approval of something else. */
export async function startedSpawn(
  db: Executor,
  approvalId: string,
): Promise<Pick<SpawnAgentsInput, 'spawnId' | 'agentIds'> | null> {
  const request = await getApprovalRequest(db, approvalId);
  if (request?.kind !== 'spawn') return null;
  const { spawnId } = SpawnPayload.parse(JSON.parse(request.payload));
  const spawn = await getSpawn(db, spawnId);
  if (spawn === null || spawn.state === 'asked' || spawn.state === 'refused') return null;
  const agents = await listAgents(db, { spawnId, after: 0, limit: spawn.count });
  return {
    spawnId: parseId('spawn', spawnId),
    agentIds: agents.map(({ id }) => parseId('agent', id)),
  };
}
