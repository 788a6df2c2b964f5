import { ChannelType, Routes, type REST } from 'discord.js';
import type { ChatPlace } from '../../../domain/chat.ts';
import { ChannelPayload } from './payload.ts';
import { codeOf, readError } from './rest.ts';
import { placeOf } from './update.ts';

export interface Places {
  /** `name`: of the other one, where it is a direct chat. */
  of(channelId: string, guildId: string | null, name: string): Promise<ChatPlace>;
}

/** Where a message was said: a message names its channel only, and not which channel a thread belongs to. */
export function createPlaces(
  rest: REST,
  findChannel: (channelId: string) => ChannelPayload | null,
): Places {
  async function ask(channelId: string): Promise<ChannelPayload> {
    try {
      return ChannelPayload.parse(await rest.get(Routes.channel(channelId)));
    } catch (error) {
      // Deleted meanwhile, or hidden from us: what was said is kept for the channel that it names.
      if (codeOf(error) === null) throw readError(error);
      return { id: channelId, type: ChannelType.GuildText, name: '' };
    }
  }

  return {
    async of(channelId, guildId, name) {
      if (guildId === null) return placeOf({ id: channelId, type: ChannelType.DM, name }, null);
      return placeOf(findChannel(channelId) ?? (await ask(channelId)), guildId);
    },
  };
}
