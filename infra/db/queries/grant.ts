import { sql } from 'kysely';
import type { Risk } from '../../../domain/approval.ts';
import type { GateNote } from '../../../domain/gate.ts';
import type { AgentGrant } from '../../../domain/grant.ts';
import type { Executor } from '../schema.ts';
import { storableJson, storableText } from '../storable.ts';
import { parseGate } from './approval.ts';

export interface ApprovalRequest {
  readonly approvalId: string;
  readonly workspaceId: string;
  /** Null for a spawn, which `requestedBy` asks for. */
  readonly agentId: string | null;
  readonly kind: 'request' | 'grant' | 'post' | 'spawn';
  readonly title: string;
  /** Canonical JSON text. */
  readonly payload: string;
  readonly risk: Risk;
  readonly grants: readonly AgentGrant[];
  readonly requestedBy: string | null;
  readonly contextId: string | null;
  /** Where the gate was asked before; null where it is asked when the approval is opened. */
  readonly gate: GateNote | null;
  readonly template: string | null;
  readonly recipients: readonly string[];
}

type NewApprovalRequest = Omit<ApprovalRequest, OnlySome> &
  Partial<Pick<ApprovalRequest, OnlySome>>;
type OnlySome = 'requestedBy' | 'contextId' | 'gate' | 'template' | 'recipients';

/** Idempotent by the approval's id. */
export async function insertApprovalRequest(
  db: Executor,
  request: NewApprovalRequest,
): Promise<void> {
  const { gate = null, template = null } = request;
  await db
    .insertInto('approval_request')
    .values({
      approval_id: request.approvalId,
      workspace_id: request.workspaceId,
      agent_id: request.agentId,
      kind: request.kind,
      title: storableText(request.title),
      payload: storableText(request.payload),
      risk: request.risk,
      grants: [...request.grants],
      requested_by: request.requestedBy ?? null,
      context_id: request.contextId ?? null,
      gate: gate === null ? null : storableJson(gate),
      template: template === null ? null : storableText(template),
      recipients: [...(request.recipients ?? [])],
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function getApprovalRequest(
  db: Executor,
  approvalId: string,
): Promise<ApprovalRequest | null> {
  const row = await db
    .selectFrom('approval_request')
    .select([
      'approval_id as approvalId',
      'workspace_id as workspaceId',
      'agent_id as agentId',
      'kind',
      'title',
      'payload',
      'risk',
      'grants',
      'requested_by as requestedBy',
      'context_id as contextId',
      'gate',
      'template',
      'recipients',
    ])
    .where('approval_id', '=', approvalId)
    .executeTakeFirst();
  return row === undefined ? null : { ...row, gate: parseGate(row.gate) };
}

/** How many approvals that an agent asked for itself are open. */
export async function countOpenRequests(db: Executor, agentId: string): Promise<number> {
  const row = await db
    .selectFrom('approval')
    .select((from) => from.fn.countAll<number>().as('count'))
    .where('asker_id', '=', agentId)
    .where('prompt_id', 'is', null)
    .where('state', '=', 'open')
    .executeTakeFirstOrThrow();
  return row.count;
}

export async function listAgentGrants(
  db: Executor,
  agentId: string,
): Promise<readonly AgentGrant[]> {
  const rows = await db
    .selectFrom('agent_grant')
    .select('permission')
    .where('agent_id', '=', agentId)
    .execute();
  return rows.map(({ permission }) => permission);
}

/** Widens an agent's access, for the session it has and for later ones. Idempotent. */
export async function widenGrants(
  tx: Executor,
  grant: {
    readonly agentId: string;
    readonly approvalId: string;
    readonly grants: readonly AgentGrant[];
  },
): Promise<void> {
  if (grant.grants.length === 0) return;
  await tx
    .insertInto('agent_grant')
    .values(
      grant.grants.map((permission) => ({
        agent_id: grant.agentId,
        permission,
        approval_id: grant.approvalId,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await sql`
    update agent_key set grants = array(
      select distinct unnest(grants || ${[...grant.grants]}::text[]) order by 1)
    where agent_id = ${grant.agentId} and use = 'mcp' and revoked_at is null
  `.execute(tx);
}
