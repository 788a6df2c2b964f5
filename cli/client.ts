import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, fetch, type Response } from 'undici';
import type { z } from 'zod';
import { parseJson } from '../domain/json.ts';
import { pageOf } from '../domain/schema/page.ts';
import type { Connection } from './connection.ts';
import { CliError } from './exit.ts';
import { checkTime } from './profile.ts';
import { errorOfAnswer, errorOfNetwork, networkCode, type FailedAnswer } from './problem.ts';

type Query = Readonly<Record<string, string | number | undefined>>;

export interface ApiRequest<S extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly schema: S;
  /** Of a POST; one is made where the caller has none, so every request here may be repeated. */
  readonly idempotencyKey?: string;
  /** Waits between tries. */
  readonly retryDelaysMs?: readonly number[];
}

export interface ApiAnswer<T> {
  readonly status: number;
  readonly body: T;
}

export interface OpenRequest {
  readonly path: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface PageRequest<T extends z.ZodType> {
  readonly path: string;
  readonly query?: Query;
  readonly item: T;
  /** Items wanted at most, over all pages. */
  readonly limit?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** The API itself gives up on Temporal after 5 s and on a terminal's confirmation after some more. */
const ANSWER_TIMEOUT_MS = 60_000;
/** Event streams say something every 15 s; three misses are a dead line. */
const STREAM_SILENCE_MS = 45_000;
/** A runtime that is just restarting is back in about this time; a person waits no longer for a message. */
const RETRY_DELAYS_MS = [150, 400] as const;
/** Asked to wait longer, a person decides by himself. */
const RETRY_AFTER_MAX_S = 5;
const PAGE_SIZE = 200;
/** The first byte of a later answer would otherwise not fit: our largest documents are a few megabytes. */
const BODY_BYTES_MAX = 64 * 1_024 * 1_024;

/** The API over HTTP. Every failure is a `CliError` with words for a person. */
export class ApiClient {
  readonly #connection: Connection;
  readonly #agent: Agent;
  readonly #signal: AbortSignal;

  constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
    this.#agent = new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS, ...tlsOptions(connection) },
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: STREAM_SILENCE_MS,
    });
  }

  get origin(): string {
    return this.#connection.url.origin;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async get<S extends z.ZodType>(path: string, schema: S, query: Query = {}) {
    return (await this.send({ method: 'GET', path, schema, query })).body;
  }

  async send<S extends z.ZodType>(request: ApiRequest<S>): Promise<ApiAnswer<z.output<S>>> {
    const key = request.idempotencyKey ?? crypto.randomUUID();
    const { text, status } = await this.#tryUntilAnswered(request, key);
    return { status, body: this.#parse(request, text) };
  }

  /** All items of a list, page by page. */
  async *pages<T extends z.ZodType>(request: PageRequest<T>): AsyncGenerator<z.output<T>, void> {
    const schema = pageOf(request.item);
    let cursor: string | undefined;
    let left = request.limit ?? Number.POSITIVE_INFINITY;
    while (left > 0) {
      const query = { ...request.query, cursor, limit: Math.min(left, PAGE_SIZE) };
      const page = await this.get(request.path, schema, query);
      const items: readonly z.output<T>[] = page.items;
      yield* items;
      left -= items.length;
      if (page.next === null || items.length === 0) return;
      cursor = page.next;
    }
  }

  async list<T extends z.ZodType>(request: PageRequest<T>): Promise<readonly z.output<T>[]> {
    const items: z.output<T>[] = [];
    for await (const item of this.pages(request)) items.push(item);
    return items;
  }

  /** An answer of bytes or a stream, not retried: whoever reads it knows where to go on. */
  async open({ path, query = {}, headers = {}, signal }: OpenRequest): Promise<Response> {
    const url = this.#urlOf(path, query);
    const stop = signal === undefined ? this.#signal : AbortSignal.any([this.#signal, signal]);
    const response = await fetch(url, {
      headers: { ...this.#headers(), ...headers },
      dispatcher: this.#agent,
      redirect: 'manual',
      signal: stop,
    }).catch((error: unknown) => {
      throw stop.aborted ? error : this.errorOfNetwork(error, url);
    });
    if (response.ok) return response;
    throw this.errorOfAnswer(await this.#read(response, url));
  }

  /** The bytes of an opened answer. */
  async *chunks(response: Response): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response.body ?? []) {
        const bytes: Uint8Array = chunk;
        yield bytes;
      }
    } catch (cause) {
      if (this.#signal.aborted) throw cause;
      throw new CliError('unavailable', `${this.origin} stopped in the middle of its answer.`, {
        hint: 'Try again.',
        code: 'unreachable',
        cause,
      });
    }
  }

  /** In words, and with what to do for who comes with a certificate. */
  errorOfNetwork(error: unknown, url: URL): CliError {
    return errorOfNetwork(error, url, { hasCertificate: this.#hasCertificate });
  }

  errorOfAnswer(answer: Omit<FailedAnswer, 'origin'>): CliError {
    return errorOfAnswer({ ...answer, origin: this.origin, hasCertificate: this.#hasCertificate });
  }

  get #hasCertificate(): boolean {
    return (this.#connection.identity ?? null) !== null;
  }

  /** Address, headers and, where it has one, the certificate of a WebSocket. */
  socketOf(path: string, query: Query): SocketAddress {
    const url = this.#urlOf(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return { url, headers: this.#headers(), tls: tlsOptions(this.#connection) };
  }

  async #tryUntilAnswered(request: ApiRequest<z.ZodType>, key: string): Promise<Answered> {
    const delays = [...(request.retryDelaysMs ?? RETRY_DELAYS_MS)];
    for (;;) {
      const tried = await this.#once(request, key).then(
        (answer): Tried => ({ answer, error: null, afterMs: retryAfterMs(answer) }),
        (error: unknown): Tried => ({ answer: null, error, afterMs: 0 }),
      );
      this.#signal.throwIfAborted();
      if (tried.answer !== null && tried.answer.ok) return tried.answer;
      const delayMs = delays.shift();
      const isWorthIt = tried.answer === null ? isPassing(tried.error) : tried.afterMs > 0;
      if (delayMs === undefined || !isWorthIt) throw this.#errorOf(tried, request);
      await sleep(Math.max(delayMs, tried.afterMs), undefined, { signal: this.#signal });
    }
  }

  async #once(request: ApiRequest<z.ZodType>, key: string): Promise<Answered> {
    const { method, path, query = {}, body } = request;
    const url = this.#urlOf(path, query);
    const response = await fetch(url, {
      method,
      headers: {
        ...this.#headers(),
        ...(method === 'POST' ? { 'idempotency-key': key } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      dispatcher: this.#agent,
      redirect: 'manual',
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const { ok, headers } = response;
    return { ...(await this.#read(response, url)), ok, retryAfter: headers.get('retry-after') };
  }

  async #read(response: Response, url: URL) {
    const { status, headers } = response;
    if (status >= 300 && status < 400) throw redirected(response, url);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
      const part: Uint8Array = chunk;
      size += part.length;
      if (size > BODY_BYTES_MAX) {
        throw new CliError('failed', `${url.origin} answered with more than 64 MiB.`);
      }
      chunks.push(part);
    }
    const text = Buffer.concat(chunks).toString('utf8');
    return { status, text, contentType: headers.get('content-type') ?? '' };
  }

  #parse<S extends z.ZodType>({ schema, path }: ApiRequest<S>, text: string): z.output<S> {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const place = issue?.path.join('.') ?? '';
    const where = issue === undefined || place === '' ? '' : ` (${place}: ${issue.message})`;
    throw new CliError(
      'failed',
      `${this.origin}${path} answered in a shape this CLI does not know${where}.`,
      {
        hint: 'CLI and runtime should be of the same version; is this the address of a Rookery API?',
        code: 'unknown_shape',
      },
    );
  }

  #errorOf({ answer, error }: Tried, { path, query }: ApiRequest<z.ZodType>): unknown {
    if (answer !== null) return this.errorOfAnswer(answer);
    if (error instanceof CliError) return error;
    return this.errorOfNetwork(error, this.#urlOf(path, query ?? {}));
  }

  #headers(): Record<string, string> {
    const { key, identity = null } = this.#connection;
    if (identity !== null) checkTime(identity, Date.now());
    return key === null ? {} : { authorization: `Bearer ${key}` };
  }

  /** The address may have a path of its own, behind a proxy. */
  #urlOf(path: string, query: Query): URL {
    const { url } = this.#connection;
    const full = new URL(`${url.pathname.replace(/\/$/, '')}${path}`, url.origin);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) full.searchParams.set(name, String(value));
    }
    return full;
  }
}

export interface SocketAddress {
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly tls: TlsOptions;
}

interface TlsOptions {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  readonly minVersion?: 'TLSv1.3';
}

/** The installation's own authority and no other: whoever the world trusts could stand in between. */
function tlsOptions({ identity }: Connection): TlsOptions {
  if (identity === undefined || identity === null) return {};
  const { certificate, key, authority } = identity;
  return { cert: certificate, key, ca: authority, minVersion: 'TLSv1.3' };
}

interface Answered {
  readonly status: number;
  readonly text: string;
  readonly contentType: string;
  readonly ok: boolean;
  readonly retryAfter: string | null;
}

interface Tried {
  readonly answer: Answered | null;
  readonly error: unknown;
  /** Above zero where the API asked to come again soon. */
  readonly afterMs: number;
}

/** 409 with Retry-After is the first try of the same request, still at work. */
function retryAfterMs({ status, retryAfter }: Answered): number {
  if (![409, 429, 503].includes(status) || retryAfter === null) return 0;
  const seconds = Number(retryAfter);
  return seconds > 0 && seconds <= RETRY_AFTER_MAX_S ? seconds * 1_000 : 0;
}

/** Worth another try: nothing was there, or the line broke. A name that does not exist stays so. */
function isPassing(error: unknown): boolean {
  return ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'EAI_AGAIN'].includes(
    networkCode(error),
  );
}

function redirected({ status, headers }: Response, url: URL): CliError {
  const location = headers.get('location');
  const target =
    location !== null && URL.canParse(location, url.href)
      ? new URL(location, url).origin
      : 'elsewhere';
  return new CliError('unavailable', `${url.origin} answered ${status} and points to ${target}.`, {
    hint: 'The API key is not sent after it: give the right address with --url.',
  });
}
