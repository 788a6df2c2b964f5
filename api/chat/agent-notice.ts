import { AGENT_STATES } from '../../domain/agent.ts';
import type { Event } from '../../domain/event.ts';
import { getAgent } from '../../infra/db/queries/agent.ts';
import { findNetwork } from '../../infra/db/queries/chat-place.ts';
import { findChatOfAgent } from '../../infra/db/queries/chat-spawn.ts';
import { findContextOfChat } from '../../infra/db/queries/context.ts';
import { getMessage } from '../../infra/db/queries/message.ts';
import type { ChatDeps } from './deps.ts';
import { bold, cleanLine, cleanText, plain } from './text.ts';
import { line, say, type Reply } from './turn.ts';
import { shortId } from './where.ts';

/** Says something where an agent was asked for; nothing, where that was in no chat. Idempotent by the event. */
export async function agentChatSays(
  deps: ChatDeps,
  event: Pick<Event, 'workspaceId' | 'seq' | 'subjectId'>,
  words: string | Reply,
): Promise<void> {
  const { db } = deps.api;
  const spot = await findChatOfAgent(db, event.subjectId);
  if (spot === null) return;
  const found = await findNetwork(db, spot.connectorId);
  if (found === null) return;
  const context = await findContextOfChat(db, spot);
  await say(deps, db, {
    ...(typeof words === 'string' ? line(words) : words),
    connectorId: spot.connectorId,
    network: found.network,
    workspaceId: event.workspaceId,
    // A chat that was given to another workspace meanwhile keeps no record of this one.
    context: context?.workspaceId === event.workspaceId ? context : null,
    key: `event:${event.workspaceId}:${event.seq}:agent`,
    to: spot,
  });
}

const STARTING: ReadonlySet<string> = new Set([
  'provisioning',
  'starting',
  'login_required',
  'authenticating',
  'resuming',
]);

/** What people want to hear of; null for what passes by. */
function stateWords(from: unknown, to: unknown, detail: string): string | null {
  const why = detail === '' ? '.' : `: ${detail}`;
  switch (AGENT_STATES.find((state) => state === to)) {
    case 'ready':
      return typeof from === 'string' && STARTING.has(from) ? 'is ready.' : null;
    case 'suspended':
      return `is suspended${why}`;
    case 'stopped':
      return `has stopped${why}`;
    case 'failed':
      return `has failed${why}`;
    case 'lost':
      return 'is on a host that does not answer. It goes on when the host is back, or on another one.';
    case 'provisioning':
    case 'starting':
    case 'login_required':
    case 'authenticating':
    case 'busy':
    case 'blocked':
    case 'stopping':
    case 'resuming':
    case undefined:
      return null;
  }
}

export async function tellState(deps: ChatDeps, event: Event): Promise<void> {
  const { from, to, detail } = event.data;
  const words = stateWords(from, to, typeof detail === 'string' ? cleanLine(detail, 300) : '');
  if (words !== null) await tellOf(deps, event, words);
}

/** Where an agent was asked for, that people are asked; not in the hub, which shows what they are asked. */
export async function tellAsked(deps: ChatDeps, event: Event): Promise<void> {
  const { agentId } = event.data;
  if (typeof agentId !== 'string') return;
  const { db } = deps.api;
  const spot = await findChatOfAgent(db, agentId);
  if (spot === null || (await findContextOfChat(db, spot))?.kind === 'admin_hub') return;
  const words = 'waits for a decision, which is asked for in the admin hub.';
  await tellOf(deps, { ...event, subjectId: agentId }, words);
}

export async function tellTurn(deps: ChatDeps, event: Event): Promise<void> {
  await tellOf(deps, event, `has finished turn ${String(event.data['turn'])}.`);
}

async function tellOf(deps: ChatDeps, event: Event, words: string): Promise<void> {
  const agent = await getAgent(deps.api.db, event.subjectId);
  if (agent === null) return;
  await agentChatSays(deps, event, {
    spans: [bold(cleanLine(agent.name, 60)), plain(` ${words}`)],
  });
}

const MESSAGE_CHARS_MAX = 16_000;

/** What an agent says to people by itself. */
export async function tellMessage(deps: ChatDeps, event: Event): Promise<void> {
  const { db } = deps.api;
  const message = await getMessage(db, event.subjectId);
  const agent = message === null ? null : await getAgent(db, message.agentId);
  if (message === null || agent === null) return;
  const isQuestion = message.kind === 'question';
  const said: Reply = {
    spans: [
      bold(cleanLine(agent.name, 60)),
      plain(`${isQuestion ? ' asks' : ''}: ${cleanText(message.text, MESSAGE_CHARS_MAX)}`),
      ...(isQuestion ? [plain(`\nAnswer with /answer ${shortId(agent.id)} <text>`)] : []),
    ],
  };
  await agentChatSays(deps, { ...event, subjectId: agent.id }, said);
}
