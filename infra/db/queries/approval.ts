import { randomInt } from 'node:crypto';
import type { SqlBool } from 'kysely';
import { sql } from 'kysely';
import { z } from 'zod';
import type { GateNote } from '../../../domain/gate.ts';
import { POLICY_ENGINES, POLICY_VERDICTS } from '../../../domain/policy.ts';
import { covers, ROLES } from '../../../domain/principal.ts';
import type { DecidingRole } from '../../../domain/risk.ts';
import { ROLE_FOR_RISK, type ApprovalState, type Risk } from '../../../domain/approval.ts';
import { AGENT_STATES, isTerminal } from '../../../domain/agent.ts';
import { fromNow } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableJson, storableText } from '../storable.ts';
import type { NewRecord } from './record.ts';
import { appendCall } from './record.ts';
import type { Page } from './page.ts';
import { bindingHolds } from './principal.ts';

export interface Approval {
  readonly id: string;
  readonly seq: number;
  readonly workspaceId: string;
  readonly askerKind: 'agent' | 'system';
  readonly askerId: string;
  readonly askerEpoch: number;
  readonly promptId: string | null;
  readonly title: string;
  /** Canonical JSON text; `digest` is its SHA-256 or the prompt's. */
  readonly payload: string;
  readonly digest: string;
  readonly risk: Risk;
  readonly state: ApprovalState;
  readonly code: string;
  readonly quorum: number;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly remindAt: Date | null;
  readonly escalateAt: Date | null;
  readonly expiresAt: Date | null;
  readonly decidedAt: Date | null;
  /** What became of the answer: `DeliveryOutcome`, null until delivered. */
  readonly delivery: unknown;
  /** Whose roles there count too, beside those of the whole workspace. */
  readonly contextId: string | null;
  /** Who decides it. */
  readonly role: DecidingRole;
  /** What the gate said to it; null for what was asked before there was one. */
  readonly gate: GateNote | null;
  /** What may be approved for ever; null where it may not. */
  readonly template: string | null;
  readonly recipients: readonly string[];
}

const COLUMNS = [
  'approval.id',
  'approval.seq',
  'approval.workspace_id as workspaceId',
  'approval.asker_kind as askerKind',
  'approval.asker_id as askerId',
  'approval.asker_epoch as askerEpoch',
  'approval.prompt_id as promptId',
  'approval.title',
  'approval.payload',
  'approval.digest',
  'approval.risk',
  'approval.state',
  'approval.code',
  'approval.quorum',
  'approval.requested_by as requestedBy',
  'approval.requested_at as requestedAt',
  'approval.remind_at as remindAt',
  'approval.escalate_at as escalateAt',
  'approval.expires_at as expiresAt',
  'approval.decided_at as decidedAt',
  'approval.delivery',
  'approval.context_id as contextId',
  'approval.role',
  'approval.gate',
  'approval.template',
  'approval.recipients',
] as const;

const Gate = z.object({
  verdict: z.enum(POLICY_VERDICTS),
  by: z.enum(['policy', 'standing']),
  rule: z.string(),
  engine: z.enum(POLICY_ENGINES),
  version: z.int(),
  reason: z.string(),
  standingId: z.string().nullable(),
});

export function parseGate(value: unknown): GateNote | null {
  return value === null ? null : Gate.parse(value);
}

type Row = Omit<Approval, 'gate' | 'role'> & {
  readonly gate: unknown;
  readonly role: DecidingRole | null;
};

function toApproval({ gate, role, ...row }: Row): Approval {
  return { ...row, gate: parseGate(gate), role: role ?? ROLE_FOR_RISK[row.risk] };
}

export interface NewApproval {
  readonly id: string;
  readonly workspaceId: string;
  readonly askerKind: 'agent' | 'system';
  readonly askerId: string;
  readonly askerEpoch: number;
  readonly promptId: string | null;
  readonly title: string;
  readonly payload: string;
  readonly digest: string;
  readonly risk: Risk;
  readonly quorum: number;
  readonly requestedBy: string;
  /** From now by the database's clock; null: never. */
  readonly remindAfterMs: number | null;
  readonly escalateAfterMs: number | null;
  readonly expireAfterMs: number | null;
  readonly contextId?: string | null;
  readonly role?: DecidingRole;
  readonly gate?: GateNote | null;
  readonly template?: string | null;
  readonly recipients?: readonly string[];
  /** Written with it. The code is left out of events: who may see the approval reads it there. */
  readonly record: Omit<NewRecord, 'workspaceId'>;
}

/** Without 0 O, 1 I L, and U, which is taken for V: people read these out and type them from a phone. */
const CODE_ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_LENGTH = 6;
/** One in 729 million per open approval: the second try is a formality, the fifth cannot happen. */
const CODE_ATTEMPTS = 5;

export function newApprovalCode(): string {
  let code = '';
  while (code.length < CODE_LENGTH) code += CODE_ALPHABET.charAt(randomInt(CODE_ALPHABET.length));
  return code;
}

/** Opens it with a code that no open approval has, and its record, in one statement. Idempotent by the id. */
export async function openApproval(
  db: Executor,
  approval: NewApproval,
  newCode: () => string = newApprovalCode,
): Promise<{ readonly kind: 'opened' | 'existing'; readonly approval: Approval }> {
  for (let attempt = 1; attempt <= CODE_ATTEMPTS; attempt += 1) {
    const opened = await insertApproval(db, { ...approval, code: newCode() });
    const row = await getApproval(db, approval.id);
    if (row !== null) return { kind: opened ? 'opened' : 'existing', approval: row };
  }
  throw new Error('No free approval code was found.');
}

async function insertApproval(
  db: Executor,
  approval: NewApproval & { readonly code: string },
): Promise<boolean> {
  const record = appendCall({ workspaceId: approval.workspaceId, ...approval.record });
  const { rows } = await sql`
    with opened as (
      insert into approval (id, workspace_id, asker_kind, asker_id, asker_epoch, prompt_id, title,
        payload, digest, risk, code, quorum, requested_by, remind_at, escalate_at, expires_at,
        context_id, role, gate, template, recipients)
      values (${approval.id}, ${approval.workspaceId}, ${approval.askerKind}, ${approval.askerId},
        ${approval.askerEpoch}, ${approval.promptId}, ${storableText(approval.title)},
        ${storableText(approval.payload)}, ${approval.digest}, ${approval.risk}, ${approval.code},
        ${approval.quorum}, ${approval.requestedBy}, ${fromNow(approval.remindAfterMs)},
        ${fromNow(approval.escalateAfterMs)}, ${fromNow(approval.expireAfterMs)},
        ${approval.contextId ?? null}, ${approval.role ?? null},
        ${approval.gate ? storableJson(approval.gate) : null}::jsonb,
        ${textOrNull(approval.template)}, ${[...(approval.recipients ?? [])]}::text[])
      on conflict do nothing returning id
    )
    select opened.id from opened cross join lateral ${record} as written
  `.execute(db);
  return rows.length > 0;
}

export async function getApproval(db: Executor, id: string): Promise<Approval | null> {
  const row = await db
    .selectFrom('approval')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : toApproval(row);
}

function textOrNull(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : storableText(text);
}

/** Until the end of the transaction no vote is cast on it and nobody closes it. */
export async function lockApproval(tx: Executor, id: string): Promise<void> {
  await tx.selectFrom('approval').select('id').where('id', '=', id).forUpdate().execute();
}

/** The open approval a person means by its code, however they spelled it. */
export async function findApprovalByCode(db: Executor, code: string): Promise<Approval | null> {
  const row = await db
    .selectFrom('approval')
    .select(COLUMNS)
    .where('code', '=', code.replaceAll(/[\s-]/g, '').toUpperCase())
    .where('state', '=', 'open')
    .executeTakeFirst();
  return row === undefined ? null : toApproval(row);
}

export async function listApprovals(
  db: Executor,
  query: Page & {
    readonly workspaceId?: string;
    readonly states?: readonly ApprovalState[];
    readonly askerId?: string;
    readonly contextId?: string;
  },
): Promise<readonly Approval[]> {
  let select = db
    .selectFrom('approval')
    .select(COLUMNS)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.workspaceId !== undefined)
    select = select.where('workspace_id', '=', query.workspaceId);
  if (query.states !== undefined) select = select.where('state', 'in', query.states);
  if (query.askerId !== undefined) select = select.where('asker_id', '=', query.askerId);
  if (query.contextId !== undefined) select = select.where('context_id', '=', query.contextId);
  return (await select.execute()).map(toApproval);
}

/** `already`: it was closed before, this way (a retry) or another; the first close stands. */
export type ApprovalClosed =
  | { readonly kind: 'closed' | 'already'; readonly state: Exclude<ApprovalState, 'open'> }
  | { readonly kind: 'missing' };

/** Closes an open approval, and the spawn that waits for it, and writes its record, in one statement. Idempotent. */
export async function closeApproval(
  db: Executor,
  close: {
    readonly id: string;
    readonly workspaceId: string;
    readonly state: Exclude<ApprovalState, 'open'>;
    readonly record: Omit<NewRecord, 'workspaceId'>;
  },
): Promise<ApprovalClosed> {
  const record = appendCall({ workspaceId: close.workspaceId, ...close.record });
  const { rows } = await sql`
    with closed as (
      update approval set state = ${close.state}, decided_at = now()
      where id = ${close.id} and workspace_id = ${close.workspaceId} and state = 'open'
      returning id
    ), unstarted as (
      update spawn set state = 'refused' from closed
      where spawn.approval_id = closed.id and spawn.state = 'asked' and ${close.state} <> 'granted'
    )
    select closed.id from closed cross join lateral ${record} as written
  `.execute(db);
  if (rows.length > 0) return { kind: 'closed', state: close.state };
  const found = await getApproval(db, close.id);
  if (found === null || found.state === 'open') return { kind: 'missing' };
  return { kind: 'already', state: found.state };
}

/** Notes what became of the answer. The first outcome stands. */
export async function setApprovalDelivery(
  db: Executor,
  note: { readonly id: string; readonly delivery: Readonly<Record<string, unknown>> },
): Promise<void> {
  await db
    .updateTable('approval')
    .set({ delivery: storableJson(note.delivery) })
    .where('id', '=', note.id)
    .where('delivery', 'is', null)
    .execute();
}

const ENDED_STATES = AGENT_STATES.filter(isTerminal);

/** May start agents, and so may ask that some be started. */
const SPAWNERS = ROLES.filter((role) => covers(role, 'operator'));

/**
 * Open approvals whose asker has ended or lives in a later epoch, and spawns whose asker may start none any more:
 * nobody waits for their answer. For the sweep.
 */
export async function findOrphanedApprovals(
  db: Executor,
  limit: number,
): Promise<readonly Approval[]> {
  const rows = await db
    .selectFrom('approval')
    .leftJoin('agent', 'agent.id', 'approval.asker_id')
    .select(COLUMNS)
    .where('approval.state', '=', 'open')
    .where(
      sql<SqlBool>`((approval.asker_kind = 'agent' and (agent.id is null
        or (agent.epoch > approval.asker_epoch
          and not exists (select from approval_request r where r.approval_id = approval.id))
        or agent.state = any(${ENDED_STATES}::text[])))
        or (approval.asker_kind = 'system' and not exists (
          select from live_binding b where b.principal_id = approval.requested_by
            and b.role = any(${SPAWNERS}::text[])
            and ${bindingHolds('b', { workspaceId: sql`approval.workspace_id`, contextId: sql`approval.context_id` })})))`,
    )
    .orderBy('approval.seq')
    .limit(limit)
    .execute();
  return rows.map(toApproval);
}
