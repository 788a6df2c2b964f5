import { sql } from 'kysely';
import type { AgentState, AgentType, BodyKind } from '../../../domain/agent.ts';
import { AGENT_STATES, isTerminal, lifecycleOf } from '../../../domain/agent.ts';
import type { Executor } from '../schema.ts';
import { storableJson, storableText } from '../storable.ts';
import type { Agent } from './agent-row.ts';
import { AGENT_COLUMNS, toAgent } from './agent-row.ts';
import type { Page } from './page.ts';

export type { Agent } from './agent-row.ts';

export interface NewAgent {
  readonly id: string;
  readonly workspaceId: string;
  readonly spawnId: string;
  readonly ordinal: number;
  readonly name: string;
  readonly type: AgentType;
  readonly body: BodyKind;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly ownerId: string;
  readonly state?: AgentState;
  readonly contextId?: string | null;
  /** What it keeps from its birth; nothing where absent. */
  readonly birth?: Birth;
}

interface Birth {
  readonly definition: { readonly id: string; readonly version: number } | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  /** Limit → who set it. */
  readonly limitOrigins: Readonly<Record<string, string>>;
}

/** Idempotent: an agent that is there already stays as it is. */
export async function insertAgents(db: Executor, agents: readonly NewAgent[]): Promise<void> {
  if (agents.length === 0) return;
  const rows = agents.map(({ state = 'provisioning', ...agent }) => ({
    id: agent.id,
    workspace_id: agent.workspaceId,
    spawn_id: agent.spawnId,
    ordinal: agent.ordinal,
    name: storableText(agent.name),
    type: agent.type,
    body: agent.body,
    state,
    lifecycle: lifecycleOf(state),
    spec: storableJson(agent.spec),
    owner_id: agent.ownerId,
    context_id: agent.contextId ?? null,
    definition_id: agent.birth?.definition?.id ?? null,
    definition_version: agent.birth?.definition?.version ?? null,
    labels: storableJson(agent.birth?.labels ?? {}),
    capabilities: [...(agent.birth?.capabilities ?? [])],
    limit_origins: storableJson(agent.birth?.limitOrigins ?? {}),
  }));
  await db
    .insertInto('agent')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function getAgent(db: Executor, id: string): Promise<Agent | null> {
  const row = await db
    .selectFrom('agent')
    .select(AGENT_COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : toAgent(row);
}

export interface ListedAgent extends Agent {
  /** Place in the queue for a slot, from 1; null when it waits for none. */
  readonly queuePosition: number | null;
}

export interface AgentFilter {
  readonly workspaceId?: string;
  readonly spawnId?: string;
  readonly hostId?: string;
  readonly ids?: readonly string[];
  readonly states?: readonly AgentState[];
}

export async function listAgents(
  db: Executor,
  query: AgentFilter & Page,
): Promise<readonly ListedAgent[]> {
  let select = db
    .selectFrom('agent')
    .select(AGENT_COLUMNS)
    .select(queuePosition.as('queuePosition'))
    .where('agent.seq', '>', query.after)
    .orderBy('agent.seq')
    .limit(query.limit);
  if (query.workspaceId !== undefined)
    select = select.where('workspace_id', '=', query.workspaceId);
  if (query.spawnId !== undefined) select = select.where('spawn_id', '=', query.spawnId);
  if (query.hostId !== undefined) select = select.where('host_id', '=', query.hostId);
  if (query.ids !== undefined) select = select.where('agent.id', 'in', query.ids);
  if (query.states !== undefined) select = select.where('agent.state', 'in', query.states);
  return (await select.execute()).map(toAgent);
}

const queuePosition = sql<number | null>`(
  select (select count(*) from slot q
          where q.pool = w.pool and q.state = 'queued' and q.seq <= w.seq)
  from slot w where w.holder_id = agent.id and w.state = 'queued' order by w.seq limit 1)`;

/** Every agent that runs or should run on a host: what it is asked about when it comes back or is lost. */
export async function agentsOnHost(db: Executor, hostId: string): Promise<readonly Agent[]> {
  const rows = await db
    .selectFrom('agent')
    .select(AGENT_COLUMNS)
    .where('host_id', '=', hostId)
    .where('ended_at', 'is', null)
    .orderBy('agent.seq')
    .execute();
  return rows.map(toAgent);
}

/**
 * Notes progress that is no change of state. Fenced by the epoch; numbers only rise, so a late retry changes
 * nothing. False where the epoch has moved on.
 */
export async function noteAgent(
  db: Executor,
  note: {
    readonly agentId: string;
    readonly epoch: number;
    readonly factSeq?: number;
    readonly turn?: number;
    readonly cliSessionId?: string;
    readonly exitCode?: number;
    readonly error?: string;
  },
): Promise<boolean> {
  const result = await db
    .updateTable('agent')
    .set({
      fact_seq: sql<number>`greatest(fact_seq, ${note.factSeq ?? 0}::bigint)`,
      turn: sql<number>`greatest(turn, ${note.turn ?? 0}::integer)`,
      cli_session_id: sql<string | null>`coalesce(${note.cliSessionId ?? null}, cli_session_id)`,
      exit_code: sql<number | null>`coalesce(${note.exitCode ?? null}::integer, exit_code)`,
      error: sql<string | null>`coalesce(${storableText(note.error ?? '') || null}::text, error)`,
    })
    .where('id', '=', note.agentId)
    .where('epoch', '=', note.epoch)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

export const LIVE_STATES: readonly AgentState[] = AGENT_STATES.filter(
  (state) => !isTerminal(state),
);
