import { sql } from 'kysely';
import type { Executor } from '../schema.ts';

/** How long finished records are kept. Idempotency keys carry their own `purge_after`. */
export interface Retention {
  /** Of events that carry no `purge_after` of their own; by age, so that a changed setting holds for old ones too. */
  readonly eventDays: number;
  readonly factDays: number;
  readonly inputDays: number;
  readonly loginDays: number;
  readonly promptDays: number;
  readonly slotDays: number;
  readonly usageDays: number;
  /** Of updates and posts of chats, from when they were done. */
  readonly chatDays: number;
}

export const PURGE_KINDS = [
  'event',
  'idempotency',
  'fact',
  'input',
  'login',
  'prompt',
  'slot',
  'usage',
  'model_call',
  'webhook_delivery',
  'webhook_receipt',
  'message',
  'memory_note',
  'chat_update',
  'post',
  'policy_request',
] as const;
export type PurgeKind = (typeof PURGE_KINDS)[number];

const isOfNoWebhook = sql`not exists (select from webhook w where w.id = t.webhook_id)`;

/**
 * What may go, per kind. Audit, approvals, votes, agents and spawns stay. Nothing of a living agent goes, and
 * no event that a named reader of the workspace has not read.
 */
const CONDITIONS = {
  event: ({ eventDays }) => sql`(t.purge_after < now()
    or (t.purge_after is null and t.at < ${before(eventDays)})) and not exists (select from cursor c
    where c.workspace_id = t.workspace_id and c.seq < t.seq)`,
  idempotency: () => sql`t.purge_after < now()`,
  fact: ({ factDays }) => sql`exists (select from agent g where g.id = t.agent_id
    and (g.ended_at < ${before(factDays)} or (g.epoch > t.epoch and t.at < ${before(factDays)})))`,
  input: ({ inputDays }) => sql`t.state <> 'queued' and t.delivered_at < ${before(inputDays)}`,
  login: ({ loginDays }) => sql`t.closed_at < ${before(loginDays)}`,
  prompt: ({ promptDays }) => sql`t.closed_at < ${before(promptDays)}`,
  slot: ({ slotDays }) => sql`t.state = 'released' and t.released_at < ${before(slotDays)}`,
  webhook_delivery: ({ eventDays }) => sql`t.updated_at < ${before(eventDays)} or ${isOfNoWebhook}`,
  webhook_receipt: () => sql`t.purge_after < now() or ${isOfNoWebhook}`,
  model_call: ({ usageDays }) => sql`t.ended_at < ${before(usageDays)}`,
  usage: ({ usageDays }) => sql`t.day < (${before(usageDays)})::date`,
  // What agents told is kept as long as the events that say so; nobody reads the own notes of one that has ended.
  message: ({ eventDays }) => sql`t.state <> 'open'
    and coalesce(t.answered_at, t.created_at) < ${before(eventDays)}`,
  // What was given up keeps what was said until a person has had that long to have it handled.
  chat_update: ({ chatDays }) => sql`t.state <> 'received' and t.handled_at < ${before(chatDays)}`,
  // Not one whose message may still be changed by what waits.
  post: ({ chatDays }) => sql`t.state in ('sent', 'failed', 'uncertain')
    and t.created_at < ${before(chatDays)} and not exists (select from post e
    where e.edits_key = t.key and e.state in ('queued', 'sending'))`,
  memory_note: ({ eventDays }) => sql`t.scope = 'agent' and exists (select from agent g
    where g.id = t.agent_id and g.ended_at < ${before(eventDays)})`,
  policy_request: ({ eventDays }) => sql`t.at < ${before(eventDays)}`,
} satisfies Record<PurgeKind, (retention: Retention) => ReturnType<typeof sql>>;

function before(days: number): ReturnType<typeof sql> {
  return sql`now() - ${days}::double precision * interval '1 day'`;
}

/** Deletes at most `limit` rows of one kind and answers how many: fewer than `limit` means that it is done. */
export async function purgeBatch(
  db: Executor,
  purge: { readonly kind: PurgeKind; readonly retention: Retention; readonly limit: number },
): Promise<number> {
  const table = sql.table(purge.kind);
  const result = await sql`
    delete from ${table} where ctid = any(array(
      select t.ctid from ${table} t where ${CONDITIONS[purge.kind](purge.retention)}
      limit ${purge.limit} for update skip locked))
  `.execute(db);
  return Number(result.numAffectedRows ?? 0n);
}

const BATCH = 1_000;

/** Purges every kind, batch by batch, so that no statement holds locks for long. Answers the counts. */
export async function purgeAll(
  db: Executor,
  retention: Retention,
  signal?: AbortSignal,
): Promise<Readonly<Record<PurgeKind, number>>> {
  const counts = {
    event: 0,
    idempotency: 0,
    fact: 0,
    input: 0,
    login: 0,
    prompt: 0,
    slot: 0,
    usage: 0,
    model_call: 0,
    webhook_delivery: 0,
    webhook_receipt: 0,
    message: 0,
    memory_note: 0,
    chat_update: 0,
    post: 0,
    policy_request: 0,
  };
  for (const kind of PURGE_KINDS) {
    for (;;) {
      const deleted = await purgeBatch(db, { kind, retention, limit: BATCH });
      counts[kind] += deleted;
      if (deleted < BATCH || signal?.aborted === true) break;
    }
  }
  return counts;
}
