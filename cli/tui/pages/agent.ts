import type { z } from 'zod';
import { isTerminal } from '../../../domain/agent.ts';
import { AgentSchema, ScreenSchema } from '../../../domain/schema/agent.ts';
import { adviceOf, stateWords } from '../../agent-view.ts';
import { CliError } from '../../exit.ts';
import type { Agent } from '../../resolve.ts';
import { plainLine } from '../../text.ts';
import type { Api, Block, Model, Page } from '../model.ts';
import { agentActions } from './agent-actions.ts';
import { agentTone, fact, timeFact } from './part.ts';

export const agentPage: Page = {
  title: 'Agent',
  listener: 'public',
  events: ['agent.', 'approval.'],
  // The screen is in no event: it is looked at as often as a person can follow.
  pollMs: 1_000,
  load: async ({ client }, { id = '' }) => {
    const path = `/v1/agents/${encodeURIComponent(id)}`;
    const agent = await client.get(path, AgentSchema);
    const isOver = isTerminal(agent.state) || agent.state === 'suspended';
    const screen = isOver ? null : await screenOf({ client }, path);
    return agentModel(agent, screen);
  },
};

type Screen = z.output<typeof ScreenSchema> | string | null;

/** What it shows, or why that cannot be seen: the rest of the page is good without it. */
async function screenOf({ client }: Pick<Api, 'client'>, path: string): Promise<Screen> {
  try {
    const { body } = await client.send({
      method: 'GET',
      path: `${path}/screen`,
      schema: ScreenSchema,
      retryDelaysMs: [],
    });
    return body;
  } catch (error) {
    if (error instanceof CliError && error.exit !== 'unavailable') return error.message;
    throw error;
  }
}

export function agentModel(agent: Agent, screen: Screen): Model {
  const { name, state, type, turn, epoch, hostId, stateDetail, error } = agent;
  const advice = adviceOf(agent);
  return {
    title: plainLine(name),
    blocks: [
      ...fact('State', stateWords(agent), agentTone(state)),
      ...fact('Detail', stateDetail),
      ...fact('Error', error, 'bad'),
      ...fact(
        'Runs',
        `${type}, turn ${turn}, epoch ${epoch}${hostId === null ? '' : `, on ${hostId}`}`,
      ),
      ...timeFact('Created', agent.createdAt),
      ...timeFact('Ended', agent.endedAt),
      ...fact('To do', advice),
      ...screenBlocks(screen),
    ],
    table: null,
    actions: agentActions(agent),
  };
}

function screenBlocks(screen: Screen): readonly Block[] {
  if (screen === null) return [];
  if (typeof screen === 'string') return fact('Screen', screen, 'dim');
  const { lines, cols, title } = screen;
  const last = lines.findLastIndex((line) => line.trim() !== '');
  const name = title === '' ? '' : ` · ${plainLine(title)}`;
  return [
    { kind: 'heading', text: `Its screen now${name}` },
    { kind: 'screen', lines: lines.slice(0, last + 1), cols },
  ];
}
