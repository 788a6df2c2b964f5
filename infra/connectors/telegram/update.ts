import type { ChatPlace, ChatSender, ChatUpdate } from '../../../domain/chat.ts';
import { cutText } from '../safe-text.ts';
import { Update, type Chat, type Message, type User } from './payload.ts';

/** Who the bot is, to know which commands are for it. */
export interface Self {
  readonly botId: string;
  /** Without `@`. */
  readonly botName: string;
}

/** What Telegram sends holds 4,096; a server that sends more is not Telegram's. */
const TEXT_LENGTH_MAX = 16_384;
const TITLE_LENGTH_MAX = 256;
/** Telegram's own names have no `-`, and what it marks as a command ends before one: `/admin-channel` is read whole. */
const COMMAND = /^\/([A-Za-z0-9_-]{1,64})(?:@(\w{1,64}))?(?=\s|$)/;

/** What became of one raw update. */
export type Reading =
  | { readonly kind: 'update'; readonly key: string; readonly update: ChatUpdate }
  /** A group that goes on as a supergroup under another number. */
  | { readonly kind: 'moved'; readonly from: string; readonly to: string }
  /** Nothing that we know or that concerns us: `why` is for the log. */
  | { readonly kind: 'nothing'; readonly why: string };

export interface RawUpdate {
  /** Null where there is no number that can be trusted. */
  readonly id: number | null;
  readonly reading: Reading;
  /** Of a pressed button, which turns until it is answered. */
  readonly queryId: string | null;
}

/** Reads one update as the Bot API tells it. Never throws: whatever cannot be read is nothing. */
export function readUpdate(raw: unknown, self: Self, nowMs: number): RawUpdate {
  const id = idOf(raw);
  const parsed = Update.safeParse(raw);
  if (!parsed.success || id === null) {
    return { id, reading: { kind: 'nothing', why: 'it is malformed' }, queryId: null };
  }
  const update = parsed.data;
  const queryId = update.callback_query?.id ?? null;
  return { id, reading: read(update, self, nowMs), queryId };
}

function idOf(raw: unknown): number | null {
  if (typeof raw !== 'object' || raw === null || !('update_id' in raw)) return null;
  return typeof raw.update_id === 'number' && Number.isSafeInteger(raw.update_id)
    ? raw.update_id
    : null;
}

function read(update: Update, self: Self, nowMs: number): Reading {
  const key = String(update.update_id);
  const news = update.message ?? update.channel_post;
  const edit = update.edited_message ?? update.edited_channel_post;
  if (news?.migrate_to_chat_id !== undefined) {
    return { kind: 'moved', from: String(news.chat.id), to: String(news.migrate_to_chat_id) };
  }
  if (news !== undefined) return keyed(key, messageOf(news, 'message', self));
  if (edit !== undefined) return keyed(key, messageOf(edit, 'edit', self));
  if (update.callback_query !== undefined) return keyed(key, pressOf(update, nowMs));
  if (update.my_chat_member !== undefined) return keyed(key, membershipOf(update));
  return { kind: 'nothing', why: 'it is of a kind that is not asked for' };
}

function keyed(key: string, update: ChatUpdate | string): Reading {
  return typeof update === 'string'
    ? { kind: 'nothing', why: update }
    : { kind: 'update', key, update };
}

function messageOf(message: Message, kind: 'message' | 'edit', self: Self): ChatUpdate | string {
  const attachments = attachmentsOf(message);
  const text = cutText(message.text ?? message.caption ?? '', TEXT_LENGTH_MAX);
  if (text === '' && attachments === 0) return 'it is about the chat, and nothing was said';
  const sender = senderOf(message);
  if (sender.subject === self.botId) return 'the bot said it itself';
  const said = { place: placeOf(message), sender, at: message.date * 1_000 };
  const command = kind === 'message' ? commandOf(message, self) : null;
  const messageId = String(message.message_id);
  if (command !== null) return { kind: 'command', ...said, ...command, messageId, handle: null };
  const replyTo = message.reply_to_message;
  return {
    kind,
    ...said,
    messageId,
    text,
    replyTo: replyTo === undefined ? null : String(replyTo.message_id),
    attachments,
  };
}

/** Only what its sender typed himself: a forwarded command is another's words. */
function commandOf(
  { text = '', entities = [], forward_origin: origin }: Message,
  { botName }: Self,
): { readonly name: string; readonly args: string } | null {
  const isMarked = entities.some(({ type, offset }) => type === 'bot_command' && offset === 0);
  const typed = COMMAND.exec(text);
  if (!isMarked || typed === null || origin !== undefined) return null;
  const [whole, name = '', target] = typed;
  // Another bot's command is just something that was said.
  if (target !== undefined && !isName(target, botName)) return null;
  return { name: name.toLowerCase(), args: text.slice(whole.length).trim() };
}

function isName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function pressOf({ callback_query: query }: Update, nowMs: number): ChatUpdate | string {
  if (query?.message === undefined || query.data === undefined) return 'its button is not ours';
  return {
    kind: 'press',
    place: placeOf(query.message),
    sender: personOf(query.from),
    // Telegram does not say when somebody pressed.
    at: nowMs,
    messageId: String(query.message.message_id),
    data: query.data,
    reason: null,
    handle: null,
  };
}

const OUTSIDE = new Set(['left', 'kicked']);

function membershipOf({ my_chat_member: change }: Update): ChatUpdate | string {
  if (change === undefined) return 'nothing changed';
  const was = OUTSIDE.has(change.old_chat_member.status);
  const is = OUTSIDE.has(change.new_chat_member.status);
  if (was === is) return 'the bot neither came nor went';
  const place = placeOf({ chat: change.chat });
  return { kind: is ? 'left' : 'joined', place, at: change.date * 1_000 };
}

function placeOf({
  chat,
  is_topic_message: isTopic,
  message_thread_id: thread,
}: Pick<Message, 'chat' | 'is_topic_message' | 'message_thread_id'>): ChatPlace {
  // Replies in plain groups have a thread's number too; a place of their own have only topics.
  const threadId = isTopic === true && thread !== undefined ? String(thread) : null;
  const kind = threadId === null ? KINDS[chat.type] : 'thread';
  return { kind, chatId: String(chat.id), threadId, guildId: null, title: titleOf(chat) };
}

const KINDS = {
  private: 'dm',
  group: 'group',
  supergroup: 'group',
  channel: 'channel',
} as const satisfies Record<Chat['type'], ChatPlace['kind']>;

function titleOf({ title, first_name: first, last_name: last }: Chat): string {
  const name = title ?? [first, last].filter((part) => part !== undefined).join(' ');
  return cutText(name, TITLE_LENGTH_MAX);
}

/** Who spoke for a chat (a channel, an anonymous admin) is nobody in particular: never a person who may be linked. */
function senderOf(message: Message): ChatSender {
  const { sender_chat: chat, from } = message;
  if (chat !== undefined || from === undefined) {
    const spoke = chat ?? message.chat;
    return { subject: String(spoke.id), displayName: titleOf(spoke), isBot: true };
  }
  return personOf(from);
}

function personOf(user: User): ChatSender {
  const { id, first_name: first, last_name: last, username, is_bot: isBot } = user;
  const name = [first, last].filter((part) => part !== undefined && part !== '').join(' ');
  const displayName = cutText(name === '' ? (username ?? '') : name, TITLE_LENGTH_MAX);
  return { subject: String(id), displayName, isBot };
}

function attachmentsOf(message: Message): number {
  // A message has one; some kinds are told twice, as an animation that is a document too.
  return ATTACHMENTS.some((name) => message[name] !== undefined) ? 1 : 0;
}

const ATTACHMENTS = [
  'animation',
  'audio',
  'document',
  'photo',
  'sticker',
  'story',
  'video',
  'video_note',
  'voice',
  'contact',
  'dice',
  'game',
  'poll',
  'venue',
  'location',
  'paid_media',
  'checklist',
] as const satisfies readonly (keyof Message)[];
