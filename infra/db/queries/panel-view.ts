import { sql } from 'kysely';
import type { AgentState, AgentType } from '../../../domain/agent.ts';
import type { ApprovalState, Risk } from '../../../domain/approval.ts';
import type { Executor } from '../schema.ts';

/** What a page shows of one agent. */
export interface PanelAgent {
  readonly id: string;
  readonly name: string;
  readonly type: AgentType;
  readonly state: AgentState;
  readonly stateDetail: string;
  readonly hostId: string | null;
  readonly epoch: number;
  readonly turn: number;
  readonly leaseUntil: Date | null;
  readonly ownerId: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly error: string | null;
  readonly queuePosition: number | null;
  readonly tokens: number;
  readonly costMicrodollars: number;
}

export interface PanelAgentQuery {
  readonly workspaceId: string;
  readonly states?: readonly AgentState[];
  readonly type?: AgentType;
  /** In the name or the id. */
  readonly text?: string;
  readonly id?: string;
  readonly limit: number;
}

/** Newest first: what somebody just started is at the top. */
export async function panelAgents(
  db: Executor,
  query: PanelAgentQuery,
): Promise<readonly PanelAgent[]> {
  let select = db
    .selectFrom('agent')
    .leftJoin('agent_spend', 'agent_spend.agent_id', 'agent.id')
    .select([
      'agent.id',
      'agent.name',
      'agent.type',
      'agent.state',
      'agent.state_detail as stateDetail',
      'agent.host_id as hostId',
      'agent.epoch',
      'agent.turn',
      'agent.lease_until as leaseUntil',
      'agent.owner_id as ownerId',
      'agent.created_at as createdAt',
      'agent.ended_at as endedAt',
      'agent.error',
      queuePosition.as('queuePosition'),
      sql<number>`coalesce(agent_spend.tokens, 0)`.as('tokens'),
      sql<number>`coalesce(agent_spend.cost_microdollars, 0)`.as('costMicrodollars'),
    ])
    .where('agent.workspace_id', '=', query.workspaceId)
    .orderBy('agent.seq', 'desc')
    .limit(query.limit);
  if (query.states !== undefined) select = select.where('agent.state', 'in', query.states);
  if (query.type !== undefined) select = select.where('agent.type', '=', query.type);
  if (query.id !== undefined) select = select.where('agent.id', '=', query.id);
  if (query.text !== undefined) {
    const { text } = query;
    select = select.where(
      sql<boolean>`(position(lower(${text}) in lower(agent.name)) > 0 or agent.id = ${text})`,
    );
  }
  return select.execute();
}

/** Only what may wait is looked for in the queues. */
const queuePosition = sql<number | null>`case when agent.state = 'provisioning' then (
  select (select count(*) from slot q
          where q.pool = w.pool and q.state = 'queued' and q.seq <= w.seq)
  from slot w where w.holder_id = agent.id and w.state = 'queued' order by w.seq limit 1) end`;

export interface PanelApproval {
  readonly id: string;
  readonly title: string;
  readonly askerId: string;
  /** Null for what no agent asked. */
  readonly agentName: string | null;
  readonly risk: Risk;
  readonly state: ApprovalState;
  readonly code: string;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly expiresAt: Date | null;
  readonly decidedAt: Date | null;
}

/** Open ones oldest first, since they wait; the others newest first. */
export async function panelApprovals(
  db: Executor,
  query: {
    readonly workspaceId: string;
    readonly states: readonly ApprovalState[];
    readonly askerId?: string;
    readonly order: 'asc' | 'desc';
    readonly limit: number;
  },
): Promise<readonly PanelApproval[]> {
  let select = db
    .selectFrom('approval')
    .leftJoin('agent', 'agent.id', 'approval.asker_id')
    .select([
      'approval.id',
      'approval.title',
      'approval.asker_id as askerId',
      'agent.name as agentName',
      'approval.risk',
      'approval.state',
      'approval.code',
      'approval.requested_by as requestedBy',
      'approval.requested_at as requestedAt',
      'approval.expires_at as expiresAt',
      'approval.decided_at as decidedAt',
    ])
    .where('approval.workspace_id', '=', query.workspaceId)
    .where('approval.state', 'in', query.states)
    .orderBy('approval.seq', query.order)
    .limit(query.limit);
  if (query.askerId !== undefined) select = select.where('asker_id', '=', query.askerId);
  return select.execute();
}

export async function countOpenApprovals(db: Executor, workspaceId: string): Promise<number> {
  const { open } = await db
    .selectFrom('approval')
    .select((count) => count.fn.countAll<number>().as('open'))
    .where('workspace_id', '=', workspaceId)
    .where('state', '=', 'open')
    .executeTakeFirstOrThrow();
  return open;
}

export async function namesOfAgents(
  db: Executor,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('agent').select(['id', 'name']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
