import type { REST } from 'discord.js';
import type { Logger } from 'pino';
import type { UpdateSink } from '../contract.ts';
import type { OfferedCommand } from '../factory.ts';
import { createDirectChats } from './direct-chats.ts';
import { createGuilds } from './guilds.ts';
import { acknowledge, isFormAsked, openForm } from './interaction.ts';
import { createMessageStore } from './message-store.ts';
import { ChannelPayload, Edit, Guild, Interaction, Message, Ready } from './payload.ts';
import { interactionUpdate, placeOf } from './update.ts';
import type { Work } from './work.ts';

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
  const { rest, sink, work, log } = options;
  const store = createMessageStore(options);
  const direct = createDirectChats(sink, store.readMissed(null));
  const guilds = createGuilds({ sink, mayRead: options.mayRead, readMissed: store.readMissed });
  /** Guilds that we are in: another one was joined. */
  const present = new Set<string>();

  return {
    ready(payload, shardId) {
      const { user, guilds: here } = Ready.parse(payload);
      store.isBot(user.id);
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
      // With the mark we are in there still, and Discord has a disturbance.
      if (guild.unavailable !== undefined) return;
      present.delete(guild.id);
      work.inOrder(`guild:${guild.id}`, () => guilds.leave(guild));
    },
    channelGone(payload) {
      const channel = ChannelPayload.parse(payload);
      const guildId = channel.guild_id ?? null;
      if (guildId === null) return;
      const at = Date.now();
      const place = placeOf(channel, guildId);
      work.inOrder(channel.id, () =>
        store.take(`l:${channel.id}:${at}`, { kind: 'left', place, at }),
      );
    },
    message(payload) {
      const message = Message.parse(payload);
      const { channel_id: channelId } = message;
      const guildId = message.guild_id ?? null;
      const done = guildId === null ? null : guilds.markOf(guildId).begin(BigInt(message.id));
      work.inOrder(channelId, async () => {
        if (guildId === null) await direct.met(channelId);
        else await guilds.caughtUp(guildId, channelId);
        await store.message(message, guildId);
        done?.();
        if (guildId !== null) await guilds.saveSometimes(guildId);
      });
    },
    edit(payload) {
      const read = Edit.safeParse(payload);
      if (read.success) work.inOrder(read.data.channel_id, () => store.edit(read.data));
    },
    interaction(payload) {
      const read = Interaction.safeParse(payload);
      if (!read.success) return;
      const asked = read.data;
      work.atOnce(() =>
        isFormAsked(asked) ? openForm(rest, asked, log) : storeInteraction(asked, options),
      );
    },
    save: () => guilds.save(),
  };
}

/** First it is ours, then Discord hears that we have it. */
async function storeInteraction(
  asked: Interaction,
  { rest, sink, log }: ReaderOptions,
): Promise<void> {
  const update = interactionUpdate(asked);
  if (update !== null) await sink.take(`i:${asked.id}`, update);
  await acknowledge(rest, asked, log);
}
