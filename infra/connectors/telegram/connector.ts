import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Api } from 'grammy';
import type { Connector } from '../contract.ts';
import type { ConnectorOptions, OfferedCommand } from '../factory.ts';
import { TELEGRAM_CAPABILITIES } from './capabilities.ts';
import { connectorErrorOf, identityError } from './errors.ts';
import { readByPolling, type Reader } from './reader.ts';
import { edit, send } from './sender.ts';
import { readTelegramSettings, type TelegramSettings } from './settings.ts';
import { readByWebhook } from './webhook.ts';

/** Answers are small; a page of a hundred updates is a few hundred kilobytes. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Shorter than servers keep idle connections, so that none is closed under a message. */
const IDLE_SOCKET_MS = 4_000;
const CALL_TIMEOUT_S = 30;
const COMMANDS_MAX = 100;

/** One bot of Telegram. The library makes the calls; reading, order and what becomes of failures are ours. */
export function createTelegramConnector(options: ConnectorOptions): Connector {
  const settings = readTelegramSettings(options.settings);
  const call = createApi(options.secret, settings, CALL_TIMEOUT_S);
  const poll = createApi(options.secret, settings, options.pollTimeoutMs / 1_000 + CALL_TIMEOUT_S);
  const closing = new AbortController();
  return {
    network: 'telegram',
    capabilities: TELEGRAM_CAPABILITIES,
    async identify() {
      const me = await call.api.getMe().catch((error: unknown) => {
        throw identityError(error);
      });
      return { botId: String(me.id), botName: me.username };
    },
    async listen(sink, signal) {
      const ends = AbortSignal.any([signal, closing.signal]);
      const me = await call.api.getMe().catch((error: unknown) => {
        throw identityError(error);
      });
      const self = { botId: String(me.id), botName: me.username };
      const reader: Reader = { ...options, api: call.api, poll: poll.api, settings, sink, self };
      await offerCommands(call.api, options.commands);
      if (settings.webhookUrl === undefined) await readByPolling(reader, ends);
      else await readByWebhook(reader, ends);
    },
    send: (_key, post) => send(call.api, post),
    edit: (messageId, post) => edit(call.api, messageId, post),
    async close() {
      closing.abort();
      call.agent.destroy();
      poll.agent.destroy();
      await Promise.resolve();
    },
  };
}

function createApi(secret: string, { apiRoot }: TelegramSettings, timeoutSeconds: number) {
  const options = { keepAlive: true, timeout: IDLE_SOCKET_MS };
  const agent = apiRoot.startsWith('https:') ? new HttpsAgent(options) : new HttpAgent(options);
  // `size` is node-fetch's: a longer answer is an error.
  const baseFetchConfig = { agent, compress: true, size: ANSWER_BYTES_MAX };
  return { api: new Api(secret, { apiRoot, timeoutSeconds, baseFetchConfig }), agent };
}

async function offerCommands(api: Api, commands: readonly OfferedCommand[]): Promise<void> {
  if (commands.length === 0) return;
  const offered = commands.slice(0, COMMANDS_MAX);
  await api
    .setMyCommands(offered.map(({ name, description }) => ({ command: name, description })))
    .catch((error: unknown) => {
      throw connectorErrorOf(error);
    });
}
