import { sql } from 'kysely';
import type {
  ModelCallFlag,
  ModelCallState,
  ModelProtocol,
  TokenCounts,
} from '../../../domain/model.ts';
import type { Executor } from '../schema.ts';
import type { Page } from './page.ts';

export type ModelCall = ReturnType<typeof callOf>;

const COLUMNS = [
  'id',
  'seq',
  'workspace_id',
  'agent_id',
  'epoch',
  'protocol',
  'operation',
  'asked_model',
  'provider',
  'model',
  'state',
  'status',
  'streamed',
  'attempts',
  'flags',
  'request_bytes',
  'response_bytes',
  'events',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'long_cache_write_tokens',
  'reasoning_tokens',
  'cost_microdollars',
  'first_byte_ms',
  'total_ms',
  'started_at',
] as const;

/** Calls that nobody has said anything of for this long: their process is gone. */
export async function lostModelCalls(
  db: Executor,
  query: { readonly silentMs: number; readonly limit: number },
): Promise<readonly ModelCall[]> {
  const rows = await db
    .selectFrom('model_call')
    .select(COLUMNS)
    .where('ended_at', 'is', null)
    .where(
      sql<boolean>`seen_at < now() - ${query.silentMs}::double precision * interval '1 millisecond'`,
    )
    .limit(query.limit)
    .execute();
  return rows.map(callOf);
}

export async function listModelCalls(
  db: Executor,
  query: Page & { readonly workspaceId: string; readonly agentId?: string },
): Promise<readonly ModelCall[]> {
  let select = db
    .selectFrom('model_call')
    .select(COLUMNS)
    .where('workspace_id', '=', query.workspaceId)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.agentId !== undefined) select = select.where('agent_id', '=', query.agentId);
  return (await select.execute()).map(callOf);
}

interface Row {
  id: string;
  seq: number;
  workspace_id: string;
  agent_id: string;
  epoch: number;
  protocol: ModelProtocol;
  operation: string;
  asked_model: string;
  provider: string;
  model: string;
  state: ModelCallState;
  status: number | null;
  streamed: boolean;
  attempts: number;
  flags: ModelCallFlag[];
  request_bytes: number;
  response_bytes: number;
  events: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  long_cache_write_tokens: number;
  reasoning_tokens: number;
  cost_microdollars: number;
  first_byte_ms: number | null;
  total_ms: number | null;
  started_at: Date;
}

function callOf(row: Row) {
  const tokens: TokenCounts = {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cacheReadTokens: row.cache_read_tokens,
    cacheWriteTokens: row.cache_write_tokens,
    longCacheWriteTokens: row.long_cache_write_tokens,
    reasoningTokens: row.reasoning_tokens,
  };
  return {
    id: row.id,
    seq: row.seq,
    workspaceId: row.workspace_id,
    agentId: row.agent_id,
    epoch: row.epoch,
    protocol: row.protocol,
    operation: row.operation,
    askedModel: row.asked_model,
    provider: row.provider,
    model: row.model,
    state: row.state,
    status: row.status,
    streamed: row.streamed,
    attempts: row.attempts,
    flags: row.flags,
    requestBytes: row.request_bytes,
    responseBytes: row.response_bytes,
    events: row.events,
    tokens,
    costMicrodollars: row.cost_microdollars,
    firstByteMs: row.first_byte_ms,
    totalMs: row.total_ms,
    startedAt: row.started_at.toISOString(),
  };
}
