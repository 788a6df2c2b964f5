import { AGENT_TYPES } from '../../domain/agent.ts';
import { AppError } from '../../domain/error.ts';
import { CommandedSchema, QueuedInputSchema } from '../../domain/schema/agent.ts';
import { MessageSchema } from '../../domain/schema/message.ts';
import { pageOf } from '../../domain/schema/page.ts';
import { SpawnedSchema } from '../../domain/schema/spawn.ts';
import { noteChatSpawn } from '../../infra/db/queries/chat-spawn.ts';
import { firstWord, nothingMore, UsageError, type ChatCommand } from './command.ts';
import { bold, cleanLine, code, plain } from './text.ts';
import { ask, line, lines, requestKey, type KnownTurn, type Reply } from './turn.ts';
import { findAgent, liveAgents, roomOf, shortId, type AgentView } from './where.ts';

const SHOWN_MAX = 30;

export const agentCommands: readonly ChatCommand[] = [
  {
    name: 'agents',
    usage: '[@workspace]',
    help: 'lists the agents that are there',
    action: 'listAgents',
    where: 'anywhere',
    async run(turn, args) {
      const room = await roomOf(turn, args);
      nothingMore(room.rest);
      const agents = await liveAgents(turn, room);
      if (agents.length === 0) return line(`No agents in ${room.slug}. /spawn starts one.`);
      const shown = agents.slice(0, SHOWN_MAX).map(agentLine);
      const more = agents.length - shown.length;
      return lines(...shown, ...(more > 0 ? [`… and ${more} more.`] : []));
    },
  },
  {
    name: 'agent',
    usage: '[@workspace] <name or id>',
    help: 'shows one agent',
    action: 'getAgent',
    where: 'anywhere',
    async run(turn, args) {
      const { room, word, rest } = await roomAndWord(turn, args, 'Say which agent.');
      nothingMore(rest);
      return agentFacts(await findAgent(turn, room, word));
    },
  },
  {
    name: 'spawn',
    usage: '[@workspace] <type or definition> [name] [-- task]',
    help: 'starts an agent, which reports here',
    action: 'spawnAgents',
    where: 'anywhere',
    run: spawn,
  },
  {
    name: 'stop',
    usage: '[@workspace] <agent>',
    help: 'ends an agent for good',
    action: 'stopAgent',
    where: 'anywhere',
    async run(turn, args) {
      const { room, word, rest } = await roomAndWord(turn, args, 'Say which agent.');
      nothingMore(rest);
      const agent = await findAgent(turn, room, word);
      const { status } = await ask(turn, {
        method: 'POST',
        path: `/v1/agents/${agent.id}/stop`,
        answer: CommandedSchema,
      });
      const name = cleanLine(agent.name, 80);
      return line(
        status === 'pending' ? `${name} will stop; no worker answered yet.` : `${name} stops.`,
      );
    },
  },
  {
    name: 'send',
    usage: '[@workspace] <agent> <text>',
    help: 'types a text to an agent',
    action: 'sendInput',
    where: 'anywhere',
    async run(turn, args) {
      const { room, word, rest } = await roomAndWord(
        turn,
        args,
        'Say which agent, and what to type.',
      );
      if (rest === '') throw new UsageError('Say what to type.');
      const agent = await findAgent(turn, room, word);
      await ask(turn, {
        method: 'POST',
        path: `/v1/agents/${agent.id}/input`,
        body: { text: rest },
        answer: QueuedInputSchema,
      });
      return line(`It is on its way to ${cleanLine(agent.name, 80)}.`);
    },
  },
  {
    name: 'answer',
    usage: '[@workspace] <agent> <text>',
    help: 'answers the question that an agent asked',
    action: 'answerMessage',
    where: 'anywhere',
    run: answer,
  },
  {
    name: 'login',
    usage: '[@workspace] <agent> <code>',
    help: 'gives an agent of yours the code that its login shows; in a direct chat',
    action: 'answerLogin',
    where: 'direct',
    async run(turn, args) {
      const { room, word, rest } = await roomAndWord(turn, args, 'Say which agent, and the code.');
      if (rest === '') throw new UsageError('Say the code.');
      const agent = await findAgent(turn, room, word);
      await ask(turn, {
        method: 'POST',
        path: `/v1/agents/${agent.id}/login`,
        body: { code: rest },
        answer: QueuedInputSchema,
      });
      return line(`The code is on its way to ${cleanLine(agent.name, 80)}.`);
    },
  },
];

async function roomAndWord(turn: KnownTurn, args: string, missing: string) {
  if (args.trim() === '') throw new UsageError(missing);
  const room = await roomOf(turn, args);
  const { word, rest } = firstWord(room.rest);
  if (word === '') throw new UsageError(missing);
  return { room, word, rest };
}

const NO_ROOM = 'Say what to start: a type of agent, or a definition.';

async function spawn(turn: KnownTurn, args: string): Promise<Reply> {
  const { room, word, rest } = await roomAndWord(turn, args, NO_ROOM);
  // Phones make a dash of two hyphens.
  const [, before = '', task = ''] =
    /^([^]*?)(?:(?:^|\s)(?:--|—|–)(?:\s+([^]*))?)?$/.exec(rest) ?? [];
  const name = before.trim();
  const type = AGENT_TYPES.find((each) => each === word);
  if (word === 'custom') {
    throw new UsageError(
      'A custom agent needs a program: spawn it by a definition, or from the command line.',
    );
  }
  const body = {
    ...(type === undefined ? { definition: word } : { type }),
    ...(name === '' ? {} : { name }),
    ...(task.trim() === '' ? {} : { task: task.trim() }),
  };
  await noteChatSpawn(turn.deps.api.db, {
    // As the API names the request: by who asks, and his key.
    requestId: `${turn.principal.id}:${requestKey(turn.key)}`,
    workspaceId: room.id,
    connectorId: turn.connectorId,
    chatId: turn.place.chatId,
    threadId: turn.place.threadId,
  });
  const { agents, spawn: made } = await ask(turn, {
    method: 'POST',
    path: `/v1/workspaces/${room.id}/spawns`,
    body,
    answer: SpawnedSchema,
  });
  const isAsked = (made.state as string) === 'asked';
  const [agent] = agents;
  if (agent === undefined || isAsked) {
    return line(
      'It waits for an approval, which is shown in the admin hub. It starts when it is granted.',
    );
  }
  return lines(
    [
      plain('Started '),
      bold(cleanLine(agent.name, 80)),
      plain(` (${agent.type}) as `),
      code(shortId(agent.id)),
    ],
    `It reports here. /agent ${shortId(agent.id)} shows it, /stop ${shortId(agent.id)} ends it.`,
  );
}

const Questions = pageOf(MessageSchema);

async function answer(turn: KnownTurn, args: string): Promise<Reply> {
  const { room, word, rest } = await roomAndWord(
    turn,
    args,
    'Say which agent, and what to answer.',
  );
  if (rest === '') throw new UsageError('Say what to answer.');
  const agent = await findAgent(turn, room, word);
  const { items } = await ask(turn, {
    method: 'GET',
    path: `/v1/workspaces/${room.id}/messages?state=open&agent=${agent.id}&limit=1`,
    answer: Questions,
  });
  const [question] = items;
  const name = cleanLine(agent.name, 80);
  if (question === undefined) throw new AppError('conflict', `${name} waits for no answer.`);
  await ask(turn, {
    method: 'POST',
    path: `/v1/messages/${question.id}/answer`,
    body: { text: rest },
    answer: MessageSchema,
  });
  return line(`${name} has your answer.`);
}

function agentLine(agent: AgentView) {
  const waits = agent.queuePosition === null ? '' : `, ${agent.queuePosition}. in the queue`;
  return [
    bold(cleanLine(agent.name, 60)),
    plain(` ${agent.type} · ${agent.state}${waits} · `),
    code(shortId(agent.id)),
  ];
}

function agentFacts(agent: AgentView): Reply {
  const detail = cleanLine(agent.stateDetail, 200);
  return lines(
    [bold(cleanLine(agent.name, 80)), plain(` (${agent.type})`)],
    `State: ${agent.state}${detail === '' ? '' : `: ${detail}`}`,
    `Turn: ${agent.turn} · since ${agent.createdAt}`,
    ...(agent.error === null ? [] : [`Error: ${cleanLine(agent.error, 300)}`]),
    [plain('Id: '), code(agent.id)],
  );
}
