import { Routes } from 'discord.js';
import type { Connector } from '../contract.ts';
import type { ConnectorOptions } from '../factory.ts';
import { DISCORD_CAPABILITIES } from './capabilities.ts';
import { listenToGateway } from './gateway.ts';
import { BotUser } from './payload.ts';
import { createRest, readError } from './rest.ts';
import { createSender } from './sender.ts';
import { readSettings } from './settings.ts';

/** One Discord bot. Throws `ConnectorError` where its settings cannot be used. */
export function createDiscordConnector(options: ConnectorOptions): Connector {
  const { apiRoot } = readSettings(options.settings);
  const token = options.secret.replace(/^Bot\s+/i, '').trim();
  const rest = createRest(apiRoot, token);
  const closing = new AbortController();
  const sender = createSender(rest);
  return {
    network: 'discord',
    capabilities: DISCORD_CAPABILITIES,
    async identify() {
      try {
        // After a refusal the library forgets the token.
        rest.setToken(token);
        const { id, username } = BotUser.parse(await rest.get(Routes.user()));
        return { botId: id, botName: username };
      } catch (error) {
        throw readError(error);
      }
    },
    async listen(sink, signal) {
      const { commands, log } = options;
      rest.setToken(token);
      const ends = AbortSignal.any([signal, closing.signal]);
      await listenToGateway({ apiRoot, token, rest, commands, log }, sink, ends);
    },
    send(key, post) {
      rest.setToken(token);
      return sender.send(key, post);
    },
    edit(messageId, post) {
      rest.setToken(token);
      return sender.edit(messageId, post);
    },
    async close() {
      closing.abort();
      rest.clearHandlerSweeper();
      rest.clearHashSweeper();
    },
  };
}
