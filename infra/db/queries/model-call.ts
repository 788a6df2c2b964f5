import { sql } from 'kysely';
import type {
  ModelCallFlag,
  ModelCallState,
  ModelProtocol,
  TokenCounts,
} from '../../../domain/model.ts';
import type { UsageEntry, UsageKind } from '../../metering/usage.ts';
import type { Executor } from '../schema.ts';
import { storableJson } from '../storable.ts';
import { addUsage } from './usage.ts';

export interface NewModelCall {
  readonly id: string;
  readonly workspaceId: string;
  readonly agentId: string;
  readonly epoch: number;
  readonly keyId: string;
  readonly protocol: ModelProtocol;
  readonly operation: string;
  readonly askedModel: string;
  readonly provider: string;
  readonly model: string;
  readonly streamed: boolean;
  readonly requestBytes: number;
}

/**
 * Before anything is sent. Idempotent by its id; answers whether it is new. The commit is not waited for, since an
 * answer should not wait for a disk: a row that is lost with the database's machine is written when the call ends.
 */
export async function beginModelCall(db: Executor, call: NewModelCall): Promise<boolean> {
  const result = await sql`
    insert into model_call (id, workspace_id, agent_id, epoch, key_id, protocol, operation, asked_model,
      provider, model, streamed, request_bytes)
    select ${call.id}, ${call.workspaceId}, ${call.agentId}, ${call.epoch}, ${call.keyId},
      ${call.protocol}, ${call.operation}, ${call.askedModel}, ${call.provider}, ${call.model},
      ${call.streamed}, ${call.requestBytes}
    from (select set_config('synchronous_commit', 'off', true)) as unhurried
    on conflict (id) do nothing
  `.execute(db);
  return (result.numAffectedRows ?? 0n) > 0n;
}

/** What a call that was begun may come to. */
export async function reserveForModelCall(
  db: Executor,
  call: { readonly id: string; readonly tokens: number; readonly microdollars: number },
): Promise<void> {
  await db
    .updateTable('model_call')
    .set({ reserved_tokens: call.tokens, reserved_microdollars: call.microdollars })
    .where('id', '=', call.id)
    .execute();
}

/** Takes back one that was begun and is not let in. Idempotent. */
export async function dropModelCall(db: Executor, id: string): Promise<void> {
  await db.deleteFrom('model_call').where('id', '=', id).where('ended_at', 'is', null).execute();
}

/** What calls that run now may come to, of one agent and of its whole workspace. */
export interface Reserved {
  readonly agentTokens: number;
  readonly agentMicrodollars: number;
  readonly workspaceTokens: number;
  readonly workspaceMicrodollars: number;
}

/**
 * In a transaction, before a budget is read: until it ends no other call of this workspace is let in, in whatever
 * process, so that two calls never take the same rest of a budget.
 */
export async function holdModelBudget(db: Executor, workspaceId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`model:${workspaceId}`}, 0))`.execute(
    db,
  );
}

export async function reservedByModelCalls(
  db: Executor,
  query: { readonly workspaceId: string; readonly agentId: string },
): Promise<Reserved> {
  const { rows } = await sql<Reserved>`
    select coalesce(sum(reserved_tokens) filter (where agent_id = ${query.agentId}), 0)::bigint
        as "agentTokens",
      coalesce(sum(reserved_microdollars) filter (where agent_id = ${query.agentId}), 0)::bigint
        as "agentMicrodollars",
      coalesce(sum(reserved_tokens), 0)::bigint as "workspaceTokens",
      coalesce(sum(reserved_microdollars), 0)::bigint as "workspaceMicrodollars"
    from model_call where workspace_id = ${query.workspaceId} and ended_at is null
  `.execute(db);
  const none = {
    agentTokens: 0,
    agentMicrodollars: 0,
    workspaceTokens: 0,
    workspaceMicrodollars: 0,
  };
  return rows[0] ?? none;
}

export interface EndedModelCall {
  readonly id: string;
  readonly state: Exclude<ModelCallState, 'running'>;
  readonly status: number | null;
  readonly provider: string;
  readonly model: string;
  readonly attempts: number;
  readonly flags: readonly ModelCallFlag[];
  readonly responseBytes: number;
  readonly events: number;
  readonly tokens: TokenCounts;
  readonly costMicrodollars: number;
  readonly firstByteMs: number | null;
  readonly totalMs: number | null;
}

/**
 * Closes a call and counts it as usage, together. Idempotent: a call that is closed stays as it is, so that of a process
 * that was only slow and the sweep that took it for dead one counts. Answers whether it was this one.
 */
export async function endModelCall(
  db: Executor,
  call: EndedModelCall,
  begun?: NewModelCall,
): Promise<boolean> {
  const end = async (tx: Executor): Promise<boolean> => {
    const row = await close(tx, call);
    if (row === undefined) {
      // Gone with a crash of the database, unless somebody else has closed it.
      return begun !== undefined && (await beginModelCall(tx, begun)) && end(tx);
    }
    await addUsage(tx, usageOf(call, { ...row, at: row.endedAt ?? new Date() }));
    return true;
  };
  return db.isTransaction ? end(db) : db.transaction().execute(end);
}

function close(tx: Executor, call: EndedModelCall) {
  return tx
    .updateTable('model_call')
    .set({
      state: call.state,
      status: call.status,
      provider: call.provider,
      model: call.model,
      attempts: call.attempts,
      flags: [...call.flags],
      response_bytes: call.responseBytes,
      events: call.events,
      input_tokens: call.tokens.inputTokens,
      output_tokens: call.tokens.outputTokens,
      cache_read_tokens: call.tokens.cacheReadTokens,
      cache_write_tokens: call.tokens.cacheWriteTokens,
      long_cache_write_tokens: call.tokens.longCacheWriteTokens,
      reasoning_tokens: call.tokens.reasoningTokens,
      cost_microdollars: call.costMicrodollars,
      first_byte_ms: call.firstByteMs,
      total_ms: call.totalMs,
      ended_at: sql<Date>`now()`,
    })
    .where('id', '=', call.id)
    .where('ended_at', 'is', null)
    .returning(['workspace_id as workspaceId', 'agent_id as agentId', 'ended_at as endedAt'])
    .executeTakeFirst();
}

function usageOf(
  { id, tokens, costMicrodollars, totalMs, model }: EndedModelCall,
  owner: { readonly workspaceId: string; readonly agentId: string; readonly at: Date },
): readonly UsageEntry[] {
  const quantities: Partial<Record<UsageKind, number>> = {
    model_calls_count: 1,
    model_wall_ms: totalMs ?? 0,
    model_input_tokens: tokens.inputTokens,
    model_output_tokens: tokens.outputTokens,
    model_cache_read_tokens: tokens.cacheReadTokens,
    model_cache_write_tokens: tokens.cacheWriteTokens,
    model_cost_microdollars: costMicrodollars,
  };
  const { workspaceId, agentId, at } = owner;
  return Object.entries(quantities)
    .filter(([kind, quantity]) => quantity > 0 || kind === 'model_calls_count')
    .map(([kind, quantity]) => ({
      workspaceId,
      agentId,
      at,
      model,
      quantity,
      // The keys of the record above; the compiler forgets them.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      kind: kind as UsageKind,
      key: `model:${id}:${kind}`,
    }));
}

/** What is known of a call while it runs. */
export interface ModelCallProgress {
  readonly id: string;
  readonly status: number | null;
  readonly responseBytes: number;
  readonly events: number;
  readonly tokens: TokenCounts | null;
}

/** Says that these calls are under way and how far they are, in one statement. Idempotent. */
export async function noteModelCalls(
  db: Executor,
  calls: readonly ModelCallProgress[],
): Promise<void> {
  if (calls.length === 0) return;
  const rows = calls.map(({ tokens, ...call }) => ({ ...call, ...tokens }));
  await sql`
    update model_call c set seen_at = now(), status = p.status,
      response_bytes = p."responseBytes", events = p.events,
      input_tokens = coalesce(p."inputTokens", 0), output_tokens = coalesce(p."outputTokens", 0),
      cache_read_tokens = coalesce(p."cacheReadTokens", 0),
      cache_write_tokens = coalesce(p."cacheWriteTokens", 0),
      long_cache_write_tokens = coalesce(p."longCacheWriteTokens", 0),
      reasoning_tokens = coalesce(p."reasoningTokens", 0)
    from jsonb_to_recordset(${storableJson(rows)}::jsonb) as p (id text, status integer,
      "responseBytes" bigint, events bigint, "inputTokens" bigint, "outputTokens" bigint,
      "cacheReadTokens" bigint, "cacheWriteTokens" bigint, "longCacheWriteTokens" bigint,
      "reasoningTokens" bigint)
    where c.id = p.id and c.ended_at is null
  `.execute(db);
}
