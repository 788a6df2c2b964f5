import type { AgentState } from '../../domain/agent.ts';
import type { Event } from '../../domain/event.ts';
import { getAgent } from '../../infra/db/queries/agent.ts';
import {
  findNetwork,
  findShownLogins,
  loginPostPrefix,
} from '../../infra/db/queries/chat-place.ts';
import { directChatsOf } from '../../infra/db/queries/direct-chat.ts';
import { openLoginOf } from '../../infra/db/queries/login.ts';
import { loginView } from '../login.ts';
import { agentChatSays } from './agent-notice.ts';
import { momentOf } from './card.ts';
import type { ChatDeps } from './deps.ts';
import { bold, cleanLine, code, plain } from './text.ts';
import { lines, say, type Reply } from './turn.ts';
import { shortId } from './where.ts';

/**
 * An agent waits to be logged in: whoever reads the link could use it, so it goes to the owner's direct chats and
 * nowhere else. An earlier one is not good any more. Idempotent by the event.
 */
export async function showLogin(deps: ChatDeps, event: Event): Promise<void> {
  const { db } = deps.api;
  await endShown(deps, event, 'A newer login takes its place.');
  const agent = await getAgent(db, event.subjectId);
  const login = await openLoginOf(db, event.subjectId);
  if (agent === null || login === null || login.epoch !== event.data['epoch']) return;
  const name = cleanLine(agent.name, 60);
  const view = loginView(deps.api, login);
  const chats = await directChatsOf(db, agent.ownerId);
  for (const { connectorId, chatId } of chats) {
    const found = await findNetwork(db, connectorId);
    if (found === null) continue;
    await say(deps, db, {
      ...loginWords(view, { name, short: shortId(agent.id) }),
      isPrivate: true,
      connectorId,
      network: found.network,
      workspaceId: event.workspaceId,
      context: null,
      key: `${loginPostPrefix(agent.id)}${event.seq}:${connectorId}`,
      to: { chatId, threadId: null },
    });
  }
  const how =
    chats.length > 0
      ? 'The link went to its owner alone.'
      : 'Its owner has no direct chat with me: the link is in the panel and in "rookery login".';
  await agentChatSays(deps, event, `${name} waits to be logged in. ${how}`);
}

type LoginView = ReturnType<typeof loginView>;

function loginWords(
  { url, code: deviceCode, needsPaste, expiresAt }: LoginView,
  { name, short }: { readonly name: string; readonly short: string },
): Reply {
  return lines(
    [bold(`${name} waits for you to log it in`)],
    ...(url === null ? [] : [[plain('Open: '), { text: url, href: url }]]),
    ...(deviceCode === null ? [] : [[plain('Code: '), code(deviceCode)]]),
    ...(needsPaste ? [`Then give me the code that you are shown: /login ${short} <code>`] : []),
    ...(expiresAt === null ? [] : [`Good until ${momentOf(new Date(expiresAt))}.`]),
    'Only you are shown this. Do not pass it on.',
  );
}

const WAITING: ReadonlySet<AgentState> = new Set(['login_required', 'authenticating']);

/** Logged in, or ended: the link and its code are taken off the cards. Idempotent by the event. */
export async function endLogins(deps: ChatDeps, event: Event): Promise<void> {
  const to = event.data['to'];
  if (typeof to !== 'string' || (WAITING as ReadonlySet<string>).has(to)) return;
  const words =
    to === 'ready' || to === 'busy' || to === 'blocked'
      ? 'Done: it is logged in.'
      : `It is ${to} now.`;
  await endShown(deps, event, words);
}

async function endShown(deps: ChatDeps, event: Event, words: string): Promise<void> {
  const { db } = deps.api;
  for (const { key, connectorId, place } of await findShownLogins(db, event.subjectId)) {
    // This very event's card, where it is looked at a second time.
    if (key.startsWith(`${loginPostPrefix(event.subjectId)}${event.seq}:`)) continue;
    const found = await findNetwork(db, connectorId);
    if (found === null) continue;
    await say(deps, db, {
      spans: [bold('Login of an agent'), plain(`\n${words}`)],
      isPrivate: true,
      connectorId,
      network: found.network,
      workspaceId: event.workspaceId,
      context: null,
      key: `${key}:done`,
      editsKey: key,
      to: { chatId: place, threadId: null },
    });
  }
}
