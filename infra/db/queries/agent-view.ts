import type { AgentState, AgentType } from '../../../domain/agent.ts';
import type { Executor } from '../schema.ts';
import { listAgents, type ListedAgent } from './agent.ts';
import type { Page } from './page.ts';

export interface AgentPageQuery extends Page {
  readonly workspaceId: string;
  readonly states?: readonly AgentState[];
  readonly types?: readonly AgentType[];
  readonly spawnId?: string;
  readonly contextId?: string;
}

/** The agents of a workspace as people list them, with the place of each in its queue. */
export async function pageAgents(
  db: Executor,
  query: AgentPageQuery,
): Promise<readonly ListedAgent[]> {
  let select = db
    .selectFrom('agent')
    .select('id')
    .where('workspace_id', '=', query.workspaceId)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.states !== undefined) select = select.where('state', 'in', query.states);
  if (query.types !== undefined) select = select.where('type', 'in', query.types);
  if (query.spawnId !== undefined) select = select.where('spawn_id', '=', query.spawnId);
  if (query.contextId !== undefined) select = select.where('context_id', '=', query.contextId);
  const ids = (await select.execute()).map(({ id }) => id);
  if (ids.length === 0) return [];
  return listAgents(db, { ids, after: query.after, limit: query.limit });
}

export async function findListedAgent(db: Executor, id: string): Promise<ListedAgent | null> {
  const [found] = await listAgents(db, { ids: [id], after: 0, limit: 1 });
  return found ?? null;
}

/** Names by id, of those that there are. */
export async function agentNames(
  db: Executor,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('agent').select(['id', 'name']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
