import { ChannelType } from 'discord.js';
import type { ChatPlace, ChatSender, ChatUpdate } from '../../../domain/chat.ts';
import type { OfferedCommand } from '../factory.ts';
import { cutText } from '../safe-text.ts';
import { writeHandle } from './answer.ts';
import { readCustomId } from './message.ts';
import type { ChannelPayload, Guild, Interaction, InteractionOption, Message } from './payload.ts';
import { timeOf } from './snowflake.ts';

const NAME_MAX = 128;
/** The field of a form in which a reason is typed. */
export const REASON_FIELD = 'reason';

const THREADS: readonly number[] = [
  ChannelType.AnnouncementThread,
  ChannelType.PublicThread,
  ChannelType.PrivateThread,
];
/** Where messages are said. In forums only their threads have some. */
const TALKED_IN: readonly number[] = [
  ...THREADS,
  ChannelType.GuildText,
  ChannelType.GuildAnnouncement,
  ChannelType.GuildVoice,
  ChannelType.GuildStageVoice,
  ChannelType.DM,
];

export function isTalkedIn({ type }: ChannelPayload): boolean {
  return TALKED_IN.includes(type);
}

/** A thread is a place in its channel, as a topic is one in a Telegram group. */
export function placeOf(channel: ChannelPayload, guildId: string | null): ChatPlace {
  const title = cutText(channel.name ?? '', NAME_MAX);
  const parent = channel.parent_id ?? null;
  if (guildId === null) {
    return { kind: 'dm', chatId: channel.id, threadId: null, guildId, title };
  }
  return THREADS.includes(channel.type) && parent !== null
    ? { kind: 'thread', chatId: parent, threadId: channel.id, guildId, title }
    : { kind: 'channel', chatId: channel.id, threadId: null, guildId, title };
}

/** A guild as a whole: it is joined and left, and nothing is said in it but in its channels. */
export function placeOfGuild({ id, name }: Pick<Guild, 'id' | 'name'>): ChatPlace {
  const title = cutText(name, NAME_MAX);
  return { kind: 'group', chatId: id, threadId: null, guildId: id, title };
}

/** What people write themselves. All else are notices of Discord's, such as that somebody joined. */
const WRITTEN: readonly number[] = [0, 19];
/** A message of somebody else that was passed on is none of the sender's own. */
const FORWARD = 1;

export function isWritten({ type, message_reference }: Message): boolean {
  return WRITTEN.includes(type) && message_reference?.type !== FORWARD;
}

function senderOf(
  user: Message['author'],
  member: Message['member'],
  isBot = user.bot === true,
): ChatSender {
  const name = member?.nick ?? user.global_name ?? user.username;
  return { subject: user.id, displayName: cutText(name, NAME_MAX), isBot };
}

/** `commands`: what was typed as a command is one, also where Discord offers none, as in direct chats. */
export function messageUpdate(
  message: Message,
  place: ChatPlace,
  commands: readonly OfferedCommand[],
): ChatUpdate {
  const { author, member, content, id } = message;
  const isBot = author.bot === true || (message.webhook_id ?? null) !== null;
  const said = {
    place,
    sender: senderOf(author, member, isBot),
    at: Date.parse(message.timestamp),
  };
  const typed = /^\/([\w-]{1,32})(?:\s+([\s\S]*))?$/.exec(content.trim());
  const name = typed?.[1]?.toLowerCase() ?? '';
  if (!isBot && commands.some((command) => command.name === name.replaceAll('-', '_'))) {
    const args = typed?.[2]?.trim() ?? '';
    return { ...said, kind: 'command', name, args, messageId: id, handle: null };
  }
  return { ...said, kind: 'message', ...contentOf(message) };
}

export function editUpdate(message: Message, place: ChatPlace): ChatUpdate {
  const isBot = message.author.bot === true || (message.webhook_id ?? null) !== null;
  const sender = senderOf(message.author, message.member, isBot);
  const at = Date.parse(message.edited_timestamp ?? message.timestamp);
  return { kind: 'edit', place, sender, at, ...contentOf(message) };
}

function contentOf({ id, content, message_reference, attachments, sticker_items }: Message) {
  return {
    messageId: id,
    text: content,
    replyTo: message_reference?.message_id ?? null,
    attachments: attachments.length + sticker_items.length,
  };
}

/** Null for what is to be answered by a form, or was nothing of ours. */
export function interactionUpdate(asked: Interaction): ChatUpdate | null {
  const user = asked.member?.user ?? asked.user ?? null;
  if (user === null) return null;
  const said = {
    place: placeOf(asked.channel, asked.guild_id ?? null),
    sender: senderOf(user, asked.member),
    at: timeOf(asked.id),
  };
  const ids = { applicationId: asked.application_id, interactionId: asked.id, token: asked.token };
  if (asked.type === 2) {
    const args = argsOf(asked.data.options);
    const handle = writeHandle({ kind: 'command', ...ids });
    const name = asked.data.name.toLowerCase();
    return { ...said, kind: 'command', name, args, messageId: null, handle };
  }
  const custom = readCustomId(asked.data.custom_id);
  const messageId = asked.message?.id ?? null;
  if (custom === null || custom.custom === 'ask' || messageId === null) return null;
  const reason = asked.type === 5 ? reasonOf(asked.data.components) : null;
  const handle = writeHandle({ kind: 'press', ...ids });
  return { ...said, kind: 'press', messageId, data: custom.data, reason, handle };
}

/** As if they had been typed behind the name: names of options are for reading. */
function argsOf(options: readonly InteractionOption[]): string {
  return options
    .map(({ name, value, options: inner }) =>
      value === undefined ? `${name} ${argsOf(inner ?? [])}` : String(value),
    )
    .join(' ')
    .trim();
}

type Fields = Extract<Interaction, { type: 5 }>['data']['components'];

function reasonOf(fields: Fields): string | null {
  for (const { component, components } of fields) {
    const typed = [...(component === undefined ? [] : [component]), ...(components ?? [])];
    const value = typed.find(({ custom_id }) => custom_id === REASON_FIELD)?.value?.trim() ?? '';
    if (value !== '') return value;
  }
  return null;
}
