import { sql } from 'kysely';
import { z } from 'zod';
import type {
  PolicyDecision,
  PolicyEngineName,
  PolicyRequest,
  PolicyRule,
} from '../../../domain/policy.ts';
import { PolicyRequestSchema, PolicyRuleSchema } from '../../../domain/schema/policy.ts';
import type { Executor } from '../schema.ts';
import { storableJson } from '../storable.ts';
import type { Page } from './page.ts';

export interface PolicyVersion {
  readonly id: string;
  readonly seq: number;
  readonly workspaceId: string;
  readonly version: number;
  readonly engine: PolicyEngineName;
  readonly digest: string;
  readonly note: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  /** Null where another one holds. */
  readonly activatedBy: string | null;
  readonly activatedAt: Date | null;
}

export interface Policy extends PolicyVersion {
  readonly text: string;
  readonly rules: readonly PolicyRule[];
}

const Rules = z.array(PolicyRuleSchema);

function select(db: Executor) {
  return db
    .selectFrom('policy as p')
    .leftJoin('active_policy as a', 'a.policy_id', 'p.id')
    .select([
      'p.id',
      'p.seq',
      'p.workspace_id as workspaceId',
      'p.version',
      'p.engine',
      'p.digest',
      'p.note',
      'p.created_by as createdBy',
      'p.created_at as createdAt',
      'a.activated_by as activatedBy',
      'a.activated_at as activatedAt',
    ]);
}

/** Oldest first. */
export function listPolicies(
  db: Executor,
  { workspaceId, after, limit }: Page & { readonly workspaceId: string },
): Promise<PolicyVersion[]> {
  return select(db)
    .where('p.workspace_id', '=', workspaceId)
    .where('p.seq', '>', after)
    .orderBy('p.seq')
    .limit(limit)
    .execute();
}

export async function getPolicy(db: Executor, id: string): Promise<Policy | null> {
  const row = await select(db)
    .select(['p.text', 'p.rules'])
    .where('p.id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : { ...row, rules: Rules.parse(row.rules) };
}

export async function findPolicyVersion(
  db: Executor,
  { workspaceId, version }: { readonly workspaceId: string; readonly version: number },
): Promise<Policy | null> {
  const row = await select(db)
    .select(['p.text', 'p.rules'])
    .where('p.workspace_id', '=', workspaceId)
    .where('p.version', '=', version)
    .executeTakeFirst();
  return row === undefined ? null : { ...row, rules: Rules.parse(row.rules) };
}

/** Which version holds; null for the built-in policy. Small, since each process asks several times a second. */
export async function findActivePolicyId(
  db: Executor,
  workspaceId: string,
): Promise<string | null> {
  const row = await db
    .selectFrom('active_policy')
    .select('policy_id')
    .where('workspace_id', '=', workspaceId)
    .executeTakeFirst();
  return row?.policy_id ?? null;
}

/**
 * Adds a version and answers it. In a transaction. Idempotent: by the id; and a text that is the newest version's
 * already is that version.
 */
export async function insertPolicy(
  db: Executor,
  policy: {
    readonly id: string;
    readonly workspaceId: string;
    readonly engine: PolicyEngineName;
    readonly text: string;
    readonly rules: readonly PolicyRule[];
    readonly digest: string;
    readonly note: string;
    readonly createdBy: string;
  },
): Promise<{ readonly policy: Policy; readonly isNew: boolean }> {
  const { workspaceId } = policy;
  // Numbers without gaps: one proposal of a workspace after the other.
  await lockPolicies(db, workspaceId);
  const newest = await select(db)
    .select(['p.text', 'p.rules'])
    .where('p.workspace_id', '=', workspaceId)
    .orderBy('p.version', 'desc')
    .limit(1)
    .executeTakeFirst();
  const known = (await getPolicy(db, policy.id)) ?? null;
  if (known !== null) return { policy: known, isNew: false };
  if (newest?.digest === policy.digest) {
    return { policy: { ...newest, rules: Rules.parse(newest.rules) }, isNew: false };
  }
  await db
    .insertInto('policy')
    .values({
      id: policy.id,
      workspace_id: workspaceId,
      version: (newest?.version ?? 0) + 1,
      engine: policy.engine,
      text: policy.text,
      rules: storableJson(policy.rules),
      digest: policy.digest,
      note: policy.note,
      created_by: policy.createdBy,
    })
    .execute();
  const made = await getPolicy(db, policy.id);
  if (made === null) throw new Error('A version that was just made is there.');
  return { policy: made, isNew: true };
}

/** Makes a version hold and answers the one before, null for the built-in. In a transaction. Idempotent. */
export async function activatePolicy(
  db: Executor,
  {
    id,
    workspaceId,
    by,
  }: { readonly id: string; readonly workspaceId: string; readonly by: string },
): Promise<Policy | null> {
  await lockPolicies(db, workspaceId);
  const beforeId = await findActivePolicyId(db, workspaceId);
  const before = beforeId === null ? null : await getPolicy(db, beforeId);
  if (before?.id === id) return before;
  const values = { policy_id: id, activated_by: by, activated_at: sql<Date>`now()` };
  await db
    .insertInto('active_policy')
    .values({ workspace_id: workspaceId, ...values })
    .onConflict((conflict) => conflict.column('workspace_id').doUpdateSet(values))
    .execute();
  return before;
}

async function lockPolicies(db: Executor, workspaceId: string): Promise<void> {
  await sql`select from workspace where id = ${workspaceId} for no key update`.execute(db);
}

export interface RecordedRequest {
  readonly request: PolicyRequest;
  readonly at: Date;
  /** False where subject and intent were left out. */
  readonly hasText: boolean;
}

/** Keeps requests and their answers, and of each workspace only the latest `keep`. Not idempotent: twice is two rows. */
export async function recordPolicyRequests(
  db: Executor,
  rows: readonly {
    readonly request: PolicyRequest;
    readonly decision: PolicyDecision;
    readonly hasText: boolean;
    readonly at: Date;
  }[],
  keep: number,
): Promise<void> {
  if (rows.length === 0) return;
  await db
    .insertInto('policy_request')
    .values(
      rows.map(({ request, decision, hasText, at }) => ({
        workspace_id: request.workspaceId,
        at,
        request: storableJson(request),
        has_text: hasText,
        verdict: decision.verdict,
        rule: decision.rule,
        version: decision.version,
      })),
    )
    .execute();
  for (const workspaceId of new Set(rows.map(({ request }) => request.workspaceId))) {
    await sql`
      delete from policy_request where workspace_id = ${workspaceId} and seq <= (
        select seq from policy_request where workspace_id = ${workspaceId}
        order by seq desc offset ${keep} limit 1)
    `.execute(db);
  }
}

/** Newest first. */
export async function listPolicyRequests(
  db: Executor,
  { workspaceId, limit }: { readonly workspaceId: string; readonly limit: number },
): Promise<RecordedRequest[]> {
  const rows = await db
    .selectFrom('policy_request')
    .select(['request', 'at', 'has_text as hasText'])
    .where('workspace_id', '=', workspaceId)
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ request, at, hasText }) => ({
    request: PolicyRequestSchema.parse(request),
    at,
    hasText,
  }));
}
