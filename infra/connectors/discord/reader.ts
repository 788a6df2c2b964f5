import type { REST } from 'discord.js';
import type { Logger } from 'pino';
import type { UpdateSink } from '../contract.ts';
import type { OfferedCommand } from '../factory.ts';
import { createDirectChats, type DirectChats } from './direct-chats.ts';
import { channelCursor, createGuilds, type Guilds } from './guilds.ts';
import { readHistory } from './history.ts';
import { acknowledge, isFormAsked, openForm } from './interaction.ts';
import { ChannelPayload, Edit, Guild, Interaction, Message, Ready } from './payload.ts';
import { createPlaces } from './places.ts';
import {
  editUpdate,
  interactionUpdate,
  isTalkedIn,
  isWritten,
  messageUpdate,
  placeOf,
} from './update.ts';
import { createLimiter, type Work } from './work.ts';

export interface ReaderOptions {
  readonly rest: REST;
  readonly sink: UpdateSink;
  readonly signal: AbortSignal;
  readonly work: Work;
  readonly commands: readonly OfferedCommand[];
  readonly log: Logger;
  /** What the library knows of a channel. */
  readonly findChannel: (channelId: string) => ChannelPayload | null;
  readonly mayRead: (channelId: string) => boolean;
}

/** Jobs of different places at once: the pool of database connections is shared with everybody. */
const STORED_AT_ONCE_MAX = 8;
/** Of channels whose history is read, so that our own requests have room beside it. */
const READ_AT_ONCE_MAX = 4;

/** Takes what the gateway dispatches, in the order in which it does. */
export interface Reader {
  ready(payload: unknown, shardId: number): void;
  guild(payload: unknown): void;
  guildGone(payload: unknown): void;
  channelGone(payload: unknown): void;
  message(payload: unknown): void;
  edit(payload: unknown): void;
  interaction(payload: unknown): void;
  /** Writes how far it came. */
  save(): Promise<void>;
}

export function createReader(options: ReaderOptions): Reader {
  const { rest, sink, signal, work, commands, log } = options;
  const storing = createLimiter(STORED_AT_ONCE_MAX);
  const reading = createLimiter(READ_AT_ONCE_MAX);
  const places = createPlaces(rest, options.findChannel);
  const positions = new Map<string, bigint>();
  /** Guilds that we are in: another one was joined. */
  const present = new Set<string>();
  let botId = '';

  async function store(message: Message, guildId: string | null): Promise<void> {
    const { id, channel_id: channelId, author } = message;
    if (author.id !== botId && isWritten(message)) {
      const place = await places.of(channelId, guildId, author.global_name ?? author.username);
      await storing(() => sink.take(`m:${id}`, messageUpdate(message, place, commands)));
    }
    const position = BigInt(id);
    // What was missed may be read again, after what is newer.
    if (position <= (positions.get(channelId) ?? 0n)) return;
    positions.set(channelId, position);
    await sink.advance(channelCursor(channelId), id);
  }

  const readMissed = (guildId: string | null) => (channelId: string, after: bigint) =>
    reading(async () => {
      for await (const message of readHistory(rest, channelId, { after, signal })) {
        await store(message, guildId);
      }
    });

  const direct: DirectChats = createDirectChats(sink, readMissed(null));
  const guilds: Guilds = createGuilds({
    sink,
    mayRead: options.mayRead,
    readMissed,
  });

  return {
    ready(payload, shardId) {
      const { user, guilds: here } = Ready.parse(payload);
      botId = user.id;
      for (const { id } of here) present.add(id);
      // Direct chats are of the first shard.
      if (shardId !== 0) return;
      direct.begin();
      work.inOrder('direct', () => direct.catchUp(work));
    },
    guild(payload) {
      const guild = Guild.parse(payload);
      if (guild.unavailable === true) return;
      const opened = guilds.begin(guild, !present.has(guild.id));
      present.add(guild.id);
      work.inOrder(`guild:${guild.id}`, () => opened.catchUp(work));
    },
    guildGone(payload) {
      const guild = Guild.parse(payload);
      // Without the mark it is there, and Discord has a disturbance.
      if (guild.unavailable !== undefined) return;
      present.delete(guild.id);
      work.inOrder(`guild:${guild.id}`, () => guilds.leave(guild));
    },
    channelGone(payload) {
      const channel = ChannelPayload.parse(payload);
      const guildId = channel.guild_id ?? null;
      if (guildId === null || !isTalkedIn(channel)) return;
      const at = Date.now();
      const place = placeOf(channel, guildId);
      work.inOrder(channel.id, () =>
        storing(() => sink.take(`l:${channel.id}:${at}`, { kind: 'left', place, at })),
      );
    },
    message(payload) {
      const message = Message.parse(payload);
      const guildId = message.guild_id ?? null;
      const done = guildId === null ? null : guilds.markOf(guildId).begin(BigInt(message.id));
      work.inOrder(message.channel_id, async () => {
        if (guildId === null) await direct.met(message.channel_id);
        else await guilds.caughtUp(guildId, message.channel_id);
        await store(message, guildId);
        done?.();
        if (guildId !== null) await guilds.saveSometimes(guildId);
      });
    },
    edit(payload) {
      const read = Edit.safeParse(payload);
      if (!read.success || read.data.author.id === botId || !isWritten(read.data)) return;
      const { data } = read;
      const key = `e:${data.id}:${Date.parse(data.edited_timestamp)}`;
      work.inOrder(data.channel_id, async () => {
        const name = data.author.global_name ?? data.author.username;
        const place = await places.of(data.channel_id, data.guild_id ?? null, name);
        await storing(() => sink.take(key, editUpdate(data, place)));
      });
    },
    interaction(payload) {
      const read = Interaction.safeParse(payload);
      if (!read.success) return;
      const asked = read.data;
      if (isFormAsked(asked)) {
        work.atOnce(() => openForm(rest, asked, log));
        return;
      }
      const update = interactionUpdate(asked);
      work.atOnce(async () => {
        // First it is ours, then Discord hears that we have it.
        if (update !== null) await sink.take(`i:${asked.id}`, update);
        await acknowledge(rest, asked, log);
      });
    },
    save: () => guilds.save(),
  };
}
