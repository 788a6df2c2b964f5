import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { Api, GrammyError } from 'grammy';
import type { ChatPost } from '../../../domain/chat.ts';
import {
  ConnectorError,
  type Connector,
  type ConnectorCapabilities,
  type SentMessage,
  type UpdateSink,
} from '../contract.ts';
import type { ConnectorOptions, OfferedCommand } from '../factory.ts';
import { connectorErrorOf, isConflict, isTokenRefused } from './errors.ts';
import { UPDATE_KINDS } from './payload.ts';
import { renderEdit, renderPost, TEXT_MAX } from './post.ts';
import { readTelegramSettings, type TelegramSettings } from './settings.ts';
import { readUpdate, type Self } from './update.ts';

export const TELEGRAM_CAPABILITIES: ConnectorCapabilities = {
  textMax: TEXT_MAX,
  edits: true,
  buttons: true,
  forms: false,
  files: true,
  threads: true,
  // The Bot API has no key of a message: what was sent twice is there twice.
  detectsDoubles: false,
};

/** Answers are small; a page of a hundred updates is a few hundred kilobytes. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Shorter than servers keep idle connections, so that none is closed under a message. */
const IDLE_SOCKET_MS = 4_000;
const CALL_TIMEOUT_S = 30;
const PAGE = 100;
/** Somebody else reads for this bot: until he stops, nothing else helps. */
const CONFLICT_PAUSE_MS = 3_000;
const BROKEN_PAUSE_MS = 1_000;
const WEBHOOK_LOOK_EVERY_MS = 60_000;
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

function identityError(error: unknown): ConnectorError {
  if (!isTokenRefused(error)) return connectorErrorOf(error);
  return new ConnectorError(
    'rejected',
    'Telegram does not take this token: it is wrong or revoked.',
  );
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

interface Reader extends ConnectorOptions {
  readonly api: Api;
  /** Whose calls may take as long as a question for news stays open. */
  readonly poll: Api;
  readonly settings: TelegramSettings;
  readonly sink: UpdateSink;
  readonly self: Self;
}

/** Asks for news and says with the next question that the last were stored: not before. */
async function readByPolling(reader: Reader, signal: AbortSignal): Promise<void> {
  // While a webhook is set, questions are refused. What waits is kept.
  await reader.api.deleteWebhook({ drop_pending_updates: false }).catch((error: unknown) => {
    throw connectorErrorOf(error);
  });
  // Where to go on is not remembered here: Telegram repeats what was not confirmed, and its numbers begin anew after a
  // quiet week.
  let offset = 0;
  // The first answer comes at once: only then is it known that nobody else reads.
  let waitMs = 0;
  while (!signal.aborted) {
    const updates = await ask(reader, { offset, waitMs }, signal);
    waitMs = updates === null ? 0 : reader.pollTimeoutMs;
    if (updates === null) continue;
    for (const raw of updates) {
      const id = await takeUpdate(reader, raw);
      if (id !== null) offset = Math.max(offset, id + 1);
    }
    if (updates.length > 0 && offset === 0) {
      throw new ConnectorError('retry', 'Telegram tells updates without numbers.');
    }
  }
}

/** Null where it has to be asked again. */
async function ask(
  { poll, sink }: Reader,
  { offset, waitMs }: { readonly offset: number; readonly waitMs: number },
  signal: AbortSignal,
): Promise<readonly unknown[] | null> {
  try {
    const updates: readonly unknown[] = await poll.getUpdates(
      {
        offset,
        limit: PAGE,
        timeout: Math.round(waitMs / 1_000),
        allowed_updates: UPDATE_KINDS,
      },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library types an older polyfill of it
      signal as unknown as Parameters<Api['getUpdates']>[1],
    );
    sink.changed('connected', '');
    return Array.isArray(updates) ? updates : [];
  } catch (error) {
    if (signal.aborted) return null;
    if (isTokenRefused(error)) throw identityError(error);
    if (isConflict(error)) {
      sink.changed('conflict', 'Somebody else reads for this bot: stop him, or make a new token.');
      await pause(CONFLICT_PAUSE_MS, signal);
      return null;
    }
    const { kind, message, retryAfterMs } = connectorErrorOf(error);
    if (kind === 'rejected') throw new ConnectorError('retry', message);
    sink.changed('connecting', message);
    await pause(retryAfterMs ?? BROKEN_PAUSE_MS, signal);
    return null;
  }
}

/** Stores what one update says; answers its number, which may then be confirmed. */
async function takeUpdate(reader: Reader, raw: unknown): Promise<number | null> {
  const { sink, log, connectorId, self } = reader;
  const { id, reading, queryId } = readUpdate(raw, self, Date.now());
  switch (reading.kind) {
    case 'update':
      await sink.take(reading.key, reading.update);
      break;
    case 'moved':
      await sink.moved(reading.from, reading.to);
      break;
    case 'nothing':
      log.debug({ connectorId, updateId: id, why: reading.why }, 'an update was passed over');
  }
  if (queryId !== null) answerPress(reader, queryId);
  return id;
}

/** The button turns until then. Nobody waits for it: an old press cannot be answered, and need not be. */
function answerPress({ api, log, connectorId }: Reader, queryId: string): void {
  api.answerCallbackQuery(queryId).catch((error: unknown) => {
    const { message } = connectorErrorOf(error);
    log.debug({ connectorId, reason: message }, 'a press was not answered');
  });
}

/** Where updates are pushed to; the route of the API stores them. */
async function readByWebhook(reader: Reader, signal: AbortSignal): Promise<void> {
  const { api, sink, settings, connectorId, webhookSecret } = reader;
  if (webhookSecret === null || settings.webhookUrl === undefined) {
    throw new ConnectorError('rejected', 'This connector has no secret for its webhook.');
  }
  const url = webhookAddress(settings.webhookUrl, connectorId);
  await api
    .setWebhook(url, {
      secret_token: webhookSecret,
      allowed_updates: UPDATE_KINDS,
      // One at a time, so that they come in order.
      max_connections: 1,
    })
    .catch((error: unknown) => {
      throw isTokenRefused(error) ? identityError(error) : connectorErrorOf(error);
    });
  sink.changed('connected', 'Updates are pushed.');
  while (!signal.aborted) {
    await pause(WEBHOOK_LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    const info = await api.getWebhookInfo().catch((error: unknown) => {
      throw isTokenRefused(error) ? identityError(error) : connectorErrorOf(error);
    });
    if (info.url === url) {
      const { last_error_message: failed = '', pending_update_count: waiting } = info;
      sink.changed(
        'connected',
        waiting > 0 && failed !== '' ? `Pushing fails: ${failed}` : 'Updates are pushed.',
      );
    } else {
      sink.changed('conflict', 'Somebody else has set this bot another webhook.');
      throw new ConnectorError('retry', 'The webhook was set elsewhere and is set again.');
    }
  }
}

export function webhookAddress(base: string, connectorId: string): string {
  return `${base}/v1/connectors/${connectorId}/telegram`;
}

async function send(api: Api, post: ChatPost): Promise<SentMessage> {
  const { text, document, keyboard } = renderPost(post);
  const common = {
    parse_mode: 'MarkdownV2',
    ...threadOf(post),
    ...(keyboard === null ? {} : { reply_markup: keyboard }),
    ...(post.replyTo === null ? {} : { reply_parameters: replyOf(post.replyTo) }),
  } as const;
  try {
    const chatId = numberOf(post.to.chatId);
    const sent =
      document === null
        ? await api.sendMessage(chatId, text, { ...common, link_preview_options: NO_PREVIEW })
        : await api.sendDocument(chatId, document, { ...common, caption: text });
    return { messageId: String(sent.message_id) };
  } catch (error) {
    throw connectorErrorOf(error);
  }
}

/** A preview is fetched by Telegram as soon as somebody writes a link: it would tell strangers that it was read. */
const NO_PREVIEW = { is_disabled: true } as const;

async function edit(api: Api, messageId: string, post: ChatPost): Promise<void> {
  const where = [numberOf(post.to.chatId), numberOf(messageId)] as const;
  const optionsOf = (keyboard: ReturnType<typeof renderEdit>['keyboard']) =>
    ({
      parse_mode: 'MarkdownV2',
      ...(keyboard === null ? {} : { reply_markup: keyboard }),
    }) as const;
  try {
    const { text, keyboard } = renderEdit(post, 'text');
    const options = { ...optionsOf(keyboard), link_preview_options: NO_PREVIEW };
    await api.editMessageText(...where, text, options).catch(async (error: unknown) => {
      if (!says(error, 'there is no text in the message')) throw error;
      // It was sent as a document.
      const caption = renderEdit(post, 'caption');
      await api.editMessageCaption(...where, {
        ...optionsOf(caption.keyboard),
        caption: caption.text,
      });
    });
  } catch (error) {
    // An edit that was made before, and whose answer was lost.
    if (!says(error, 'message is not modified')) throw connectorErrorOf(error);
  }
}

function says(error: unknown, words: string): boolean {
  return error instanceof GrammyError && error.description.toLowerCase().includes(words);
}

/** The general topic of a forum has the number 1 and must not be named. */
function threadOf({ to }: ChatPost): { readonly message_thread_id?: number } {
  const { threadId } = to;
  return threadId === null || threadId === '1' ? {} : { message_thread_id: numberOf(threadId) };
}

function replyOf(messageId: string) {
  return { message_id: numberOf(messageId), allow_sending_without_reply: true };
}

/** Names are never taken for numbers: a name can be somebody else's tomorrow. */
function numberOf(id: string): number {
  const number = Number(id);
  if (/^-?\d{1,16}$/.test(id) && Number.isSafeInteger(number)) return number;
  throw new ConnectorError('rejected', 'Chats and messages of Telegram are named by numbers.');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
