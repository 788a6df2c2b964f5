import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { Kysely } from 'kysely';
import { canonicalJson } from '../domain/canonical.ts';
import { decideGrants, type AgentGrant } from '../domain/grant.ts';
import { makeId, parseId } from '../domain/id.ts';
import { AgentSpecSchema } from '../domain/schema/spawn.ts';
import type { SessionKeys } from '../domain/session.ts';
import type { Agent } from '../infra/db/queries/agent.ts';
import { insertAgentKey, revokeAgentKeys } from '../infra/db/queries/agent-key.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { insertApprovalRequest, listAgentGrants } from '../infra/db/queries/grant.ts';
import { findRole } from '../infra/db/queries/principal.ts';
import type { Database, Executor } from '../infra/db/schema.ts';
import { AGENT_KEY_USES } from '../infra/db/tables/agent-key.ts';
import { digestOf, sha256Hex } from '../infra/digest.ts';
import { sessionBinding, sessionKey } from '../infra/secrets/session-keys.ts';
import { startOnce } from '../infra/temporal/start-once.ts';
import type { ApprovalPolicy } from '../workflows/contracts/agent.ts';
import { REQUEST_APPROVAL, type RequestApprovalInput } from '../workflows/contracts/approval.ts';
import { shownApproval } from '../workflows/contracts/search.ts';
import { TASK_QUEUES } from '../workflows/contracts/task-queues.ts';

/** What every agent's keys are made by. */
export interface AccessPolicy {
  /** What an agent may do in its workspace without anybody being asked. */
  readonly grants: readonly AgentGrant[];
  /** A session that lasts longer is refused until it is resumed with new keys. */
  readonly keyTtlMs: number;
  /** Of the approvals for what goes beyond `grants`. */
  readonly approvals: ApprovalPolicy;
}

interface KeyDeps {
  readonly db: Kysely<Database>;
  readonly temporal: Client;
  readonly agentKey: Buffer;
  readonly access: AccessPolicy;
}

/**
 * The keys of an agent's present epoch; those of earlier ones end. What it asks for beyond the default is asked of
 * people, once in its life. Idempotent: keys are derived from agent and epoch and the approval's id from what is asked,
 * so a second run finds them and answers the same.
 */
export async function issueKeys(deps: KeyDeps, agent: Agent): Promise<SessionKeys> {
  const { db, agentKey, access } = deps;
  const spec = AgentSpecSchema.parse(agent.spec);
  // Where notes are off, nothing opens their tools.
  const isOpen = (grant: AgentGrant): boolean =>
    spec.memory !== false || !grant.endsWith(':memory');
  const { granted, toApprove } = decideGrants({
    role: await findRole(db, {
      principalId: agent.ownerId,
      workspaceId: agent.workspaceId,
      contextId: agent.contextId,
    }),
    asked: spec.grants === undefined ? null : spec.grants.filter(isOpen),
    byDefault: access.grants.filter(isOpen),
    approved: (await listAgentGrants(db, agent.id)).filter(isOpen),
  });
  const owner = { agentId: agent.id, epoch: agent.epoch };
  const binding = sessionBinding(agentKey, owner);
  await db.transaction().execute(async (tx) => {
    const revoked = await revokeAgentKeys(tx, { agentId: agent.id, beforeEpoch: agent.epoch });
    const issued: string[] = [];
    for (const use of AGENT_KEY_USES) {
      const { prefix, hash } = sessionKey(agentKey, owner, use);
      const id = makeId('agentKey', randomUUID());
      const isNew = await insertAgentKey(tx, {
        id,
        ...owner,
        workspaceId: agent.workspaceId,
        use,
        prefix,
        hash,
        bindingHash: sha256Hex(binding),
        grants: use === 'mcp' ? granted : [],
        ttlMs: access.keyTtlMs,
      });
      if (isNew) issued.push(id);
    }
    await recordKeys(tx, agent, { issued, revoked, granted });
  });
  await askForGrants(deps, agent, toApprove);
  return {
    gateway: sessionKey(agentKey, owner, 'gateway').secret,
    mcp: sessionKey(agentKey, owner, 'mcp').secret,
    binding,
  };
}

interface KeyChange {
  readonly issued: readonly string[];
  readonly revoked: readonly string[];
  readonly granted: readonly AgentGrant[];
}

async function recordKeys(tx: Executor, agent: Agent, change: KeyChange): Promise<void> {
  const { issued, revoked, granted } = change;
  const about = { agentId: agent.id, epoch: agent.epoch };
  const steps = [
    ...revoked.map(
      (id) => ({ id, verb: 'revoke', type: 'agent_key.revoked', data: about }) as const,
    ),
    ...issued.map((id) => {
      const data = { ...about, grants: granted };
      return { id, verb: 'issue', type: 'agent_key.issued', data } as const;
    }),
  ];
  if (steps.length === 0) return;
  await appendRecord(tx, {
    workspaceId: agent.workspaceId,
    events: steps.map(({ id, type, data }) => ({
      key: `${id}:${type}`,
      type,
      subjectId: id,
      data,
    })),
    audits: steps.map(({ id, verb, data }) => ({
      key: `${id}:${verb}`,
      actorKind: 'system',
      actorId: 'hostAgent',
      action: `agent_key.${verb}`,
      subjectId: id,
      detail: data,
    })),
  });
}

/** An approval of its own; the keys are widened in the transaction of the deciding vote. */
async function askForGrants(
  { db, temporal, access }: KeyDeps,
  agent: Agent,
  grants: readonly AgentGrant[],
): Promise<void> {
  if (grants.length === 0) return;
  const asked = { agentId: agent.id, grants, kind: 'grant' } as const;
  const approvalId = makeId('approval', digestOf(asked).slice(0, 32));
  await insertApprovalRequest(db, {
    ...asked,
    approvalId,
    workspaceId: agent.workspaceId,
    title: `${agent.name}: wider access to the workspace`,
    payload: canonicalJson(asked),
    risk: 'high',
  });
  const input: RequestApprovalInput = {
    approvalId,
    workspaceId: parseId('workspace', agent.workspaceId),
    asker: { agentId: parseId('agent', agent.id), epoch: agent.epoch },
    promptId: null,
    policy: access.approvals,
  };
  await startOnce(temporal, {
    type: REQUEST_APPROVAL,
    workflowId: approvalId,
    taskQueue: TASK_QUEUES.core,
    shown: shownApproval(input),
    args: [input],
  });
}
