import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  objectOf,
  Refusal,
  TelegramMessages,
  textOf,
  type Params,
  type TelegramMessage,
} from './telegram-messages.ts';

export type { TelegramMessage } from './telegram-messages.ts';

/** What goes wrong with the next call of a method. */
export type Fault =
  /** Told to wait, and not done. */
  | { readonly kind: 'limit'; readonly retryAfterS: number }
  /** Done, and the connection breaks before the answer. */
  | { readonly kind: 'break-after' }
  /** The connection breaks before anything is done. */
  | { readonly kind: 'break-before' }
  /** The server says that it failed. */
  | { readonly kind: 'fail'; readonly code: number; readonly description: string }
  /** Done, and answered only when `release` is called. */
  | { readonly kind: 'hold'; readonly held: Promise<void> }
  /** Something that is no answer of the Bot API. */
  | { readonly kind: 'garbage' };

interface Bot {
  readonly id: number;
  readonly username: string;
  token: string | null;
}

interface Webhook {
  readonly url: string;
  readonly secret: string;
  lastError: string;
}

export interface Call {
  readonly method: string;
  readonly params: Params;
  readonly atMs: number;
}

/** What somebody does in a chat. */
export interface Saying {
  readonly chat?: Readonly<Record<string, unknown>> & { readonly id: number };
  readonly from?: Readonly<Record<string, unknown>>;
  readonly text?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
}

export const GROUP = { id: -1_001_234_567_890, type: 'supergroup', title: 'Team' } as const;
export const ADA = {
  id: 4_242_424_242,
  is_bot: false,
  first_name: 'Ada',
  username: 'ada',
} as const;
export const TOKEN = '123456:test-token-of-the-bot';

const LONG_POLL_MS_MAX = 30_000;
const PUSH_RETRY_MS = 50;

/** A Bot API server of one bot: real HTTP, offsets, redelivery, conflicts, markup, webhooks, and faults on request. */
export class TelegramServer {
  readonly messages = new TelegramMessages();
  readonly calls: Call[] = [];
  readonly answeredPresses: string[] = [];
  /** What was pushed, and how it was answered. */
  readonly pushes: { readonly status: number; readonly secret: string }[] = [];
  commands: unknown[] = [];
  /** Messages that the bot handed over, and who hears of each. */
  sends = 0;
  onSend: (sends: number) => void = () => undefined;
  readonly bot: Bot = { id: 123_456, username: 'RookeryTestBot', token: TOKEN };
  readonly #updates: Record<string, unknown>[] = [];
  #nextUpdateId = 100_001;
  #waiting: { readonly answer: (refusal?: Refusal) => void } | null = null;
  #webhook: Webhook | null = null;
  #isPushing = false;
  #isClosed = false;
  readonly #faults: { readonly method: string; readonly fault: Fault }[] = [];
  readonly #server = createServer((request, response) => {
    void this.#serve(request, response).catch(() => response.destroy());
  });

  static async start(): Promise<TelegramServer> {
    const server = new TelegramServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get apiRoot(): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('Not listening.');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Updates that no reader has confirmed yet. */
  get unconfirmed(): number {
    return this.#updates.length;
  }

  get webhookUrl(): string | null {
    return this.#webhook?.url ?? null;
  }

  fail(method: string, fault: Fault): void {
    this.#faults.push({ method, fault });
  }

  revoke(token: string | null = null): void {
    this.bot.token = token;
    this.#waiting?.answer(new Refusal(401, 'Unauthorized'));
  }

  /** Puts an update in line as it is; answers its number. */
  push(update: Readonly<Record<string, unknown>>): number {
    const id = this.#nextUpdateId;
    this.#nextUpdateId += 1;
    this.#updates.push({ update_id: id, ...update });
    this.#waiting?.answer();
    void this.#pushAll();
    return id;
  }

  /** Somebody says something; answers the message as Telegram tells it. */
  say({ chat = GROUP, from = ADA, text, extra = {} }: Saying): Record<string, unknown> {
    const message = {
      message_id: this.messages.nextId(chat.id),
      date: Math.floor(Date.now() / 1_000),
      chat,
      from,
      ...(text === undefined ? {} : { text, ...commandEntity(text) }),
      ...extra,
    };
    this.push({ message });
    return message;
  }

  press(messageId: number, data: string, from: Readonly<Record<string, unknown>> = ADA): string {
    const shown = this.messages.all.find((message) => message.messageId === messageId);
    const id = String(this.#nextUpdateId * 1_000_003);
    const chat = shown === undefined ? GROUP : { ...GROUP, id: shown.chatId };
    this.push({
      callback_query: {
        id,
        from,
        chat_instance: '1',
        data,
        message: { message_id: messageId, date: Math.floor(Date.now() / 1_000), chat },
      },
    });
    return id;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting?.answer();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, token = '', method = ''] = /^\/bot([^/]+)\/(\w+)$/.exec(request.url ?? '') ?? [];
    const params = await readParams(request);
    this.calls.push({ method, params, atMs: performance.now() });
    if (method === 'sendMessage' || method === 'sendDocument') {
      this.sends += 1;
      this.onSend(this.sends);
    }
    const index = this.#faults.findIndex((each) => each.method === method);
    const [{ fault } = { fault: null }] = index < 0 ? [] : this.#faults.splice(index, 1);
    if (fault?.kind === 'break-before') return void response.destroy();
    if (fault?.kind === 'garbage') {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway</html>');
      return;
    }
    try {
      if (token === '' || token !== this.bot.token) throw new Refusal(401, 'Unauthorized');
      if (fault?.kind === 'limit') {
        const retry_after = fault.retryAfterS;
        throw new Refusal(429, `Too Many Requests: retry after ${retry_after}`, { retry_after });
      }
      if (fault?.kind === 'fail') throw new Refusal(fault.code, fault.description);
      const result = await this.#do(method.toLowerCase(), params, response);
      if (fault?.kind === 'break-after') return void response.destroy();
      if (fault?.kind === 'hold') await fault.held;
      answer(response, 200, { ok: true, result });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { code, message: description, parameters } = error;
      answer(response, code, {
        ok: false,
        error_code: code,
        description,
        ...(parameters === undefined ? {} : { parameters }),
      });
    }
  }

  // One line for each method that there is.
  #do(method: string, params: Params, response: ServerResponse): unknown {
    switch (method) {
      case 'getme':
        return this.#me();
      case 'getupdates':
        return this.#getUpdates(params, response);
      case 'setwebhook':
        return this.#setWebhook(params);
      case 'deletewebhook':
        this.#webhook = null;
        return true;
      case 'getwebhookinfo':
        return {
          url: this.#webhook?.url ?? '',
          has_custom_certificate: false,
          pending_update_count: this.#updates.length,
          ...(this.#webhook?.lastError ? { last_error_message: this.#webhook.lastError } : {}),
        };
      case 'setmycommands':
        this.commands = Array.isArray(params['commands']) ? params['commands'] : [];
        return true;
      case 'answercallbackquery':
        this.answeredPresses.push(String(params['callback_query_id']));
        return true;
      default:
        return this.messages.call(method, params, this.#me());
    }
  }

  #me() {
    const { id, username } = this.bot;
    return { id, is_bot: true, first_name: 'Rookery', username, can_join_groups: true };
  }

  async #getUpdates(params: Params, response: ServerResponse): Promise<unknown> {
    if (this.#webhook !== null) {
      throw new Refusal(
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
      );
    }
    this.#waiting?.answer(
      new Refusal(
        409,
        'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
      ),
    );
    const offset = Number(params['offset'] ?? 0);
    if (offset > 0) {
      while (Number(this.#updates[0]?.['update_id'] ?? Infinity) < offset) this.#updates.shift();
    }
    const waitMs = Math.min(Number(params['timeout'] ?? 0) * 1_000, LONG_POLL_MS_MAX);
    if (this.#updates.length === 0 && waitMs > 0 && !this.#isClosed) {
      await this.#news(waitMs, response);
    }
    return this.#updates.slice(0, Math.min(Number(params['limit'] ?? 100), 100));
  }

  #news(waitMs: number, response: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = {
        answer: (refusal?: Refusal): void => {
          clearTimeout(timer);
          if (this.#waiting === waiting) this.#waiting = null;
          if (refusal === undefined) resolve();
          else reject(refusal);
        },
      };
      const timer = setTimeout(() => waiting.answer(), waitMs);
      response.once('close', () => waiting.answer());
      this.#waiting = waiting;
    });
  }

  #setWebhook(params: Params): true {
    const url = textOf(params['url']);
    this.#webhook =
      url === '' ? null : { url, secret: textOf(params['secret_token']), lastError: '' };
    this.#waiting?.answer();
    void this.#pushAll();
    return true;
  }

  /** One at a time, the same until it is taken, as `max_connections: 1` makes it. */
  async #pushAll(): Promise<void> {
    if (this.#isPushing) return;
    this.#isPushing = true;
    try {
      for (;;) {
        const webhook = this.#webhook;
        const [update] = this.#updates;
        if (webhook === null || update === undefined || this.#isClosed) return;
        const status = await this.#pushOne(webhook, update);
        if (status >= 200 && status < 300) this.#updates.shift();
        else {
          webhook.lastError = `Wrong response from the webhook: ${status}`;
          await sleep(PUSH_RETRY_MS);
        }
      }
    } finally {
      this.#isPushing = false;
    }
  }

  async #pushOne({ url, secret }: Webhook, update: Record<string, unknown>): Promise<number> {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(secret === '' ? {} : { 'x-telegram-bot-api-secret-token': secret }),
        },
        body: JSON.stringify(update),
      });
      const reply: unknown = await response.json().catch(() => null);
      this.pushes.push({ status: response.status, secret });
      // The answer to a push may itself be a call.
      if (response.ok && typeof reply === 'object' && reply !== null && 'method' in reply) {
        const { method, ...params } = reply as Record<string, unknown>;
        if (method === 'answerCallbackQuery')
          this.answeredPresses.push(String(params['callback_query_id']));
      }
      return response.status;
    } catch {
      return 0;
    }
  }

  /** What the bot has said, as people read it. */
  get shown(): readonly TelegramMessage[] {
    return this.messages.all;
  }
}

function commandEntity(text: string) {
  const command = /^\/[A-Za-z0-9_]+(?:@[A-Za-z0-9_]+)?/.exec(text)?.[0];
  if (command === undefined) return {};
  return { entities: [{ type: 'bot_command', offset: 0, length: command.length }] };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readParams(request: IncomingMessage): Promise<Params> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const body = Buffer.concat(chunks);
  const type = request.headers['content-type'] ?? '';
  if (body.length === 0) return {};
  if (type.startsWith('application/json')) return objectOf(body.toString()) ?? {};
  const form = await new Response(body, { headers: { 'content-type': type } }).formData();
  const params: Record<string, unknown> = {};
  for (const [name, value] of form) {
    params[name] =
      typeof value === 'string' ? value : { name: value.name, text: await value.text() };
  }
  return params;
}
