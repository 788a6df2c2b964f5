import { isTerminal } from '../../../domain/agent.ts';
import { AgentSchema } from '../../../domain/schema/agent.ts';
import { stateWords } from '../../agent-view.ts';
import type { Agent } from '../../resolve.ts';
import type { Model, Page, Row } from '../model.ts';
import { agentActions } from './agent-actions.ts';
import { agentTone, cell, timeCell, to, workspacePath } from './part.ts';

/** More than anybody reads; the filter finds the others of a workspace only in `rookery agents`. */
const ROWS_MAX = 5_000;

export const agentsPage: Page = {
  title: 'Agents',
  listener: 'public',
  events: ['spawn.', 'agent.', 'host.'],
  pollMs: 60_000,
  load: async (api) => {
    const path = `${workspacePath(api)}/agents`;
    return agentsModel(await api.client.list({ path, item: AgentSchema, limit: ROWS_MAX }));
  },
};

export function agentsModel(agents: readonly Agent[]): Model {
  return {
    title: 'Agents',
    blocks: [],
    table: {
      columns: [
        { title: 'NAME', cut: true },
        { title: 'STATE' },
        { title: 'TYPE', drop: 2 },
        { title: 'TURN', drop: 1 },
        { title: 'STARTED', drop: 3 },
        { title: 'DETAIL', cut: true, drop: 4 },
        { title: 'HOST', cut: true, drop: 0 },
      ],
      rows: agents.toSorted(byWeight).map(rowOf),
      empty: ['No agents.', '', 'Start one: rookery spawn gemini'],
    },
    actions: [],
  };
}

/** Those that need a person first, then the living, the newest of each first. */
function byWeight(left: Agent, right: Agent): number {
  const difference = weightOf(left) - weightOf(right);
  return difference === 0 ? right.createdAt.localeCompare(left.createdAt) : difference;
}

function weightOf({ state }: Agent): number {
  if (state === 'blocked' || state === 'login_required') return 0;
  return isTerminal(state) ? 2 : 1;
}

function rowOf(agent: Agent): Row {
  const { id, name, state, type, turn, createdAt, stateDetail, hostId } = agent;
  return {
    id,
    cells: [
      cell(name),
      cell(stateWords(agent), agentTone(state)),
      cell(type),
      cell(String(turn)),
      timeCell(createdAt),
      cell(stateDetail, 'dim'),
      cell(hostId ?? '', 'dim'),
    ],
    open: to('agent', { id }),
    actions: agentActions(agent),
  };
}
