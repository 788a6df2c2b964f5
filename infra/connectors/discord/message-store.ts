import type { REST } from 'discord.js';
import type { ChatUpdate } from '../../../domain/chat.ts';
import type { UpdateSink } from '../contract.ts';
import type { OfferedCommand } from '../factory.ts';
import { channelCursor } from './guilds.ts';
import { readHistory } from './history.ts';
import type { ChannelPayload, Message } from './payload.ts';
import { createPlaces } from './places.ts';
import { editUpdate, isWritten, messageUpdate } from './update.ts';
import { createLimiter } from './work.ts';

/** Of different places at once: the pool of database connections is shared with everybody. */
const STORED_AT_ONCE_MAX = 8;
/** Of channels whose history is read, so that our own requests have room beside it. */
const READ_AT_ONCE_MAX = 4;

export interface MessageStore {
  /** What is said by this number was said by us. */
  isBot(id: string): void;
  take(key: string, update: ChatUpdate): Promise<void>;
  /** Takes a message and remembers that its channel was read so far. */
  message(message: Message, guildId: string | null): Promise<void>;
  edit(message: Message): Promise<void>;
  /** Takes what was said in a channel after a message. */
  readonly readMissed: (
    guildId: string | null,
  ) => (channelId: string, after: bigint) => Promise<void>;
}

export function createMessageStore(options: {
  readonly rest: REST;
  readonly sink: UpdateSink;
  readonly signal: AbortSignal;
  readonly commands: readonly OfferedCommand[];
  readonly findChannel: (channelId: string) => ChannelPayload | null;
}): MessageStore {
  const { rest, sink, signal, commands } = options;
  const storing = createLimiter(STORED_AT_ONCE_MAX);
  const reading = createLimiter(READ_AT_ONCE_MAX);
  const places = createPlaces(rest, options.findChannel);
  const positions = new Map<string, bigint>();
  let botId = '';

  const take = (key: string, update: ChatUpdate) => storing(() => sink.take(key, update));
  const isOurs = ({ author }: Message) => author.id === botId;
  const placeFor = ({ channel_id: channelId, author }: Message, guildId: string | null) =>
    places.of(channelId, guildId, author.global_name ?? author.username);

  async function store(message: Message, guildId: string | null): Promise<void> {
    const { id, channel_id: channelId } = message;
    if (!isOurs(message) && isWritten(message)) {
      const place = await placeFor(message, guildId);
      await take(`m:${id}`, messageUpdate(message, place, commands));
    }
    const position = BigInt(id);
    // What was missed may be read again, after what is newer.
    if (position <= (positions.get(channelId) ?? 0n)) return;
    positions.set(channelId, position);
    await storing(() => sink.advance(channelCursor(channelId), id));
  }

  return {
    isBot(id) {
      botId = id;
    },
    take,
    message: store,
    async edit(message) {
      if (isOurs(message) || !isWritten(message)) return;
      const place = await placeFor(message, message.guild_id ?? null);
      const editedAt = Date.parse(message.edited_timestamp ?? message.timestamp);
      await take(`e:${message.id}:${editedAt}`, editUpdate(message, place));
    },
    readMissed: (guildId) => (channelId, after) =>
      reading(async () => {
        for await (const message of readHistory(rest, channelId, { after, signal })) {
          await store(message, guildId);
        }
      }),
  };
}
