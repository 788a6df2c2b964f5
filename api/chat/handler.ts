import type { ChatUpdate } from '../../domain/chat.ts';
import { AppError } from '../../domain/error.ts';
import type { ConnectorId } from '../../domain/id.ts';
import { CHAT_SCOPES } from '../../domain/principal.ts';
import type { ChatHandler } from '../../infra/connectors/inbox.ts';
import { findNetwork } from '../../infra/db/queries/chat-place.ts';
import { findContextOfChat } from '../../infra/db/queries/context.ts';
import { noteDirectChat } from '../../infra/db/queries/direct-chat.ts';
import { findUserByIdentity } from '../../infra/db/queries/identity.ts';
import { principalOfUser } from '../middleware/auth.ts';
import { refuseHere } from './approval-commands.ts';
import { UsageError, type ChatCommand } from './command.ts';
import type { ChatDeps } from './deps.ts';
import { mirror } from './mirror.ts';
import { pair } from './pair.ts';
import { press } from './press.ts';
import { recordMessage } from './record.ts';
import { findCommand, helpReply, unknownCommand, usageOf } from './registry.ts';
import { line, reply, usageReply, type KnownTurn, type Reply, type Turn } from './turn.ts';

type Heard = Extract<ChatUpdate, { readonly sender: unknown }>;

/**
 * What people say and press on chat networks, in the same words for all of them. Handling an update again is harmless:
 * what it asks of the API and what it says carries a key made from the update's.
 */
export function createChatHandler(deps: ChatDeps): ChatHandler {
  return {
    async handle(connectorId, key, update) {
      // A bot that hears itself, or another one, would talk for ever.
      if (!isHeard(update) || update.sender.isBot) return;
      const turn = await recognise(deps, { connectorId, key, update });
      if (turn !== null) await hear(turn, update);
    },
  };
}

function isHeard(update: ChatUpdate): update is Heard {
  return 'sender' in update;
}

interface Arrived {
  readonly connectorId: ConnectorId;
  readonly key: string;
  readonly update: Heard;
}

/** By the network's number alone. Null for a connector that was removed meanwhile. */
async function recognise(
  deps: ChatDeps,
  { connectorId, key, update }: Arrived,
): Promise<Turn | null> {
  const { db } = deps.api;
  const found = await findNetwork(db, connectorId);
  if (found === null) return null;
  const { network } = found;
  const { place, sender } = update;
  const [user, context] = await Promise.all([
    findUserByIdentity(db, { kind: network, issuer: '', subject: sender.subject }),
    findContextOfChat(db, { connectorId, chatId: place.chatId, threadId: place.threadId }),
  ]);
  return {
    deps,
    connectorId,
    network,
    key: `chat:${connectorId}:${key}`,
    place,
    sender,
    principal: user === null ? null : principalOfUser(user, 'chat', CHAT_SCOPES),
    context,
    handle: update.kind === 'command' || update.kind === 'press' ? update.handle : null,
    messageId: update.messageId,
  };
}

async function hear(turn: Turn, update: Heard): Promise<void> {
  switch (update.kind) {
    case 'press':
      await reply(turn, await press(turn, update));
      return;
    case 'command':
      if (!SECRET_COMMANDS.has(update.name)) await recordMessage(turn, asMessage(turn, update));
      await mirror(turn, `/${update.name} ${update.args}`);
      await obey(turn, update);
      return;
    case 'message':
      await recordMessage(turn, update);
      await mirror(turn, update.text);
      if (turn.place.kind === 'dm') await hearDirect(turn, update.text);
      return;
    case 'edit':
      await recordMessage(turn, update);
      await mirror(turn, `(changed) ${update.text}`);
  }
}

/** A command is part of what was said, where it was typed as a message. */
function asMessage(turn: Turn, update: Extract<Heard, { readonly kind: 'command' }>) {
  const { place, sender, at } = update;
  return {
    kind: 'message' as const,
    place,
    sender,
    at,
    messageId: update.messageId ?? turn.key,
    text: `/${update.name} ${update.args}`.trimEnd(),
    replyTo: null,
    attachments: 0,
  };
}

/** In a direct chat everything is said to us; `pair` needs no slash. */
async function hearDirect(turn: Turn, text: string): Promise<void> {
  if (isPair(text)) return pair(turn);
  if (turn.principal === null) return greetStranger(turn);
  // It looks like a command and is none of ours: the network says which are.
  await reply(
    turn,
    line('I take commands: /help lists them. Texts for an agent go with /send <agent> <text>.'),
  );
}

function isPair(text: string): boolean {
  const word = text.slice(0, 100).trim().toLowerCase();
  return text.length < 100 && (word === 'pair' || word === 'pair.');
}

/** A code that logs an agent in belongs into no record. */
const SECRET_COMMANDS: ReadonlySet<string> = new Set(['login', 'pair']);

type Command = Extract<Heard, { readonly kind: 'command' }>;

async function obey(turn: Turn, { name, args }: Command): Promise<void> {
  const wanted = name.toLowerCase();
  if (wanted === 'pair') {
    if (turn.place.kind === 'dm') return pair(turn);
    return reply(turn, line('Write me "pair" in a direct chat: what I answer is for you alone.'));
  }
  if (turn.principal === null) return greetStranger(turn);
  if (wanted === 'help' || wanted === 'start')
    return reply(turn, helpReply(wanted === 'start' ? '' : args));
  const command = findCommand(wanted);
  if (command === null) return reply(turn, unknownCommand(name));
  await noteOwnChat(turn);
  await reply(turn, await run({ ...turn, principal: turn.principal }, command, args));
}

/** So that login cards and notices reach somebody who was linked in another way than by `pair`. */
async function noteOwnChat({ deps, connectorId, place, sender }: Turn): Promise<void> {
  if (place.kind !== 'dm') return;
  const chat = { connectorId, subject: sender.subject, chatId: place.chatId };
  await noteDirectChat(deps.api.db, chat);
}

async function run(turn: KnownTurn, command: ChatCommand, args: string): Promise<Reply> {
  try {
    if (!isAllowedHere(turn, command)) {
      if (command.where === 'staff') return await refuseHere(turn, command.name, args);
      throw new AppError('policy_denied', `/${command.name} is for direct chats.`);
    }
    return await command.run(turn, args);
  } catch (error) {
    if (error instanceof UsageError) return usageReply(error.message, usageOf(command));
    if (error instanceof AppError) return line(error.message);
    throw error;
  }
}

function isAllowedHere({ place, context }: Turn, { where }: ChatCommand): boolean {
  if (where === 'anywhere' || place.kind === 'dm') return true;
  return where === 'staff' && context?.kind === 'admin_hub';
}

const HOUR_MS = 60 * 60 * 1_000;

/** Once an hour in each chat, however much is said; an answer that the network waits for is given each time. */
async function greetStranger(turn: Turn): Promise<void> {
  const words =
    turn.place.kind === 'dm'
      ? 'I do not know you yet. Write "pair": I answer with a token, which you give to an admin of Rookery. Then you can ask me things.'
      : 'I do not know you yet. Write me "pair" in a direct chat, and give the token that I answer with to an admin of Rookery.';
  if (turn.handle !== null) return reply(turn, line(words));
  const hour = Math.floor(turn.deps.api.clock.now() / HOUR_MS);
  const { connectorId, place } = turn;
  const key = `chat:${connectorId}:${place.chatId}:${place.threadId ?? ''}:stranger:${hour}`;
  await reply({ ...turn, key }, line(words));
}
