import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { Agent } from 'undici';
import { AppError } from '../../../domain/error.ts';
import { matchesAny } from '../../../domain/setting.ts';
import { NO_TOKENS, type ModelProtocol } from '../../../domain/model.ts';
import { SPAN_NAMES } from '../../telemetry/names.ts';
import { openSpan, type OpenSpan } from '../../telemetry/trace.ts';
import { createAdmission, type AdmissionGate, type AdmissionLimits } from './admission.ts';
import { createAnswerCache, type AnswerCache } from './answer-cache.ts';
import { ModelCallRun } from './call.ts';
import { testProvider, type ProviderHealth } from './health.ts';
import { createKeyring } from './keyring.ts';
import {
  createLedger,
  type Begun,
  type CountedCall,
  type Ledger,
  type LedgerDeps,
} from './ledger.ts';
import {
  createRouting,
  readProviders,
  type AliasSettings,
  type Candidate,
  type Provider,
  type ProviderSettings,
  type Routing,
} from './provider.ts';
import type { PriceRow } from './price.ts';
import type { Refusal } from './refusal.ts';
import {
  isFree,
  readBody,
  readRequest,
  type ModelOperation,
  type ModelRequest,
} from './request.ts';
import type { Timeouts } from './upstream.ts';
import { watchCalls } from './watch.ts';

export interface GatewaySettings {
  readonly providers: Readonly<Record<string, ProviderSettings>>;
  readonly aliases: Readonly<Record<string, AliasSettings>>;
  readonly admission: AdmissionLimits;
  readonly timeouts: Timeouts;
  readonly retries: number;
  readonly requestBytesMax: number;
  readonly overBudget: 'finish' | 'cut';
  readonly cache: { readonly ttlMs: number; readonly bytesMax: number };
}

export interface GatewayDeps extends LedgerDeps {
  readonly settings: GatewaySettings;
  readonly log: Logger;
  readonly resolveKey: (reference: string) => Promise<string>;
}

/** Whose call it is. */
export interface GatewayCaller {
  readonly agentId: string;
  readonly workspaceId: string;
  readonly epoch: number;
  readonly keyId: string;
  /** Names, or their beginnings and `*`; null where it may call every one. */
  readonly models: readonly string[] | null;
}

export interface GatewayExchange {
  readonly protocol: ModelProtocol;
  readonly operation: ModelOperation;
  /** Where the address names the model. */
  readonly pathModel: string | null;
  readonly query: URLSearchParams;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Aborts when the agent may not go on: its key, its session or its life has ended. */
  readonly ended: AbortSignal;
}

export type Served =
  /** The answer is on its way, or over. */
  | { readonly kind: 'sent'; readonly status: number }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export interface AliasView {
  readonly model: string;
  readonly targets: readonly { readonly provider: string | null; readonly model: string | null }[];
}

export interface ModelGateway {
  readonly providers: readonly Provider[];
  /** Ends when the answer begins; what follows goes on by itself. */
  serve(exchange: GatewayExchange, caller: GatewayCaller): Promise<Served>;
  readonly aliases: readonly AliasView[];
  readonly prices: readonly PriceRow[];
  /** Asks each provider whether it is there and takes its key. */
  test(): Promise<readonly ProviderHealth[]>;
  /** Breaks off what still runs, and counts it. */
  close(): Promise<void>;
}

/** Longer than vendors keep theirs, so that they close first. */
const KEEP_ALIVE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;

type BegunCall = Extract<Begun, { kind: 'begun' }>;

interface Work {
  readonly exchange: GatewayExchange;
  readonly caller: GatewayCaller;
  readonly request: ModelRequest;
  readonly candidates: readonly [Candidate, ...Candidate[]];
}

/** The way of every model call: admitted, held against budgets, passed on, counted. */
export function createModelGateway(deps: GatewayDeps): ModelGateway {
  return new Gateway(deps);
}

class Gateway implements ModelGateway {
  readonly providers: readonly Provider[];
  readonly aliases: readonly AliasView[];
  readonly prices: readonly PriceRow[];
  readonly #settings: GatewaySettings;
  readonly #log: Logger;
  readonly #routing: Routing;
  readonly #ledger: Ledger;
  readonly #admission: AdmissionGate;
  readonly #cache: AnswerCache;
  readonly #keyOf: (provider: Provider) => Promise<string | null>;
  readonly #dispatcher = new Agent({
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
  readonly #open = new Map<string, ModelCallRun>();
  readonly #runs = new Set<ModelCallRun>();
  readonly #unfinished = new Set<Promise<void>>();
  readonly #watching: { stop(): Promise<void> };

  constructor(deps: GatewayDeps) {
    const { settings, log, db } = deps;
    this.providers = readProviders(settings.providers);
    this.aliases = aliasViews(settings.aliases);
    this.prices = deps.prices.rows;
    this.#settings = settings;
    this.#log = log;
    this.#routing = createRouting(this.providers, settings.aliases);
    this.#ledger = createLedger(deps);
    this.#admission = createAdmission(settings.admission, monotonicMs);
    this.#cache = createAnswerCache(settings.cache, monotonicMs);
    this.#keyOf = createKeyring(deps.resolveKey);
    this.#watching = watchCalls({ db, log, ledger: this.#ledger, open: this.#open });
  }

  async serve(exchange: GatewayExchange, caller: GatewayCaller): Promise<Served> {
    const { requestBytesMax, admission } = this.#settings;
    const request = await requestOf(exchange, requestBytesMax);
    if ('kind' in request) return { kind: 'refused', refusal: request };
    if (caller.models !== null && !matchesAny(caller.models, request.model)) {
      return { kind: 'refused', refusal: notAllowed(request.model, caller.models) };
    }
    const [first, ...others] = this.#routing.candidates(exchange.protocol, request.model);
    if (first === undefined) return { kind: 'refused', refusal: noProvider(exchange.protocol) };
    const leaving = new AbortController();
    exchange.outgoing.once('close', () => leaving.abort());
    const admitted = await this.#admission.enter(caller.workspaceId, leaving.signal);
    if (admitted.kind === 'refused') return { kind: 'refused', refusal: busy(admitted, admission) };
    const started = Promise.withResolvers<Served>();
    const work: Work = { exchange, caller, request, candidates: [first, ...others] };
    const over = this.#passOn(work, started.resolve)
      .catch((error: unknown) => {
        started.reject(error);
        this.#log.error({ err: error, agentId: caller.agentId }, 'A model call failed.');
        if (exchange.outgoing.headersSent) exchange.outgoing.destroy();
      })
      .finally(admitted.release);
    this.#unfinished.add(over);
    void over.finally(() => this.#unfinished.delete(over));
    return started.promise;
  }

  test(): Promise<readonly ProviderHealth[]> {
    const deps = { dispatcher: this.#dispatcher, keyOf: this.#keyOf };
    return Promise.all(this.providers.map((provider) => testProvider(provider, deps)));
  }

  async close(): Promise<void> {
    for (const run of this.#runs) run.end('cut');
    await Promise.allSettled(this.#unfinished);
    await this.#watching.stop();
    await this.#dispatcher.destroy();
  }

  async #passOn(work: Work, answer: (served: Served) => void): Promise<void> {
    const { request, caller } = work;
    if (isFree(request.operation)) return this.#send(work, { begun: null, cacheKey: null }, answer);
    const begun = await this.#begin(work);
    if (begun.kind === 'refused') {
      answer(begun);
      return undefined;
    }
    const cacheKey = this.#cache.keyOf(request, caller);
    const isAnswered = cacheKey !== null && (await this.#recall(work, { begun, cacheKey }, answer));
    return isAnswered ? undefined : this.#send(work, { begun, cacheKey }, answer);
  }

  #begin({ caller, request, candidates: [first] }: Work): Promise<Begun> {
    return this.#ledger.begin({
      ...caller,
      protocol: request.protocol,
      operation: request.operation,
      askedModel: request.model,
      provider: first.provider.name,
      model: first.model,
      streamed: request.isStream,
      requestBytes: request.body.length,
      outputTokensMax: request.outputTokensMax,
    });
  }

  /** Answers from memory; false where nothing is kept. */
  async #recall(
    { exchange: { outgoing }, candidates: [first] }: Work,
    { begun, cacheKey }: { readonly begun: BegunCall; readonly cacheKey: string },
    answer: (served: Served) => void,
  ): Promise<boolean> {
    const cached = this.#cache.get(cacheKey);
    if (cached === null) return false;
    outgoing.writeHead(200, { ...cached.headers, 'x-rookery-cache': 'hit' });
    outgoing.end(cached.body);
    answer({ kind: 'sent', status: 200 });
    const call = cachedCall(begun.row.id, first, cached.body.length);
    await this.#ledger.end(call, { row: begun.row, isLimited: false });
    return true;
  }

  async #send(
    work: Work,
    { begun, cacheKey }: { readonly begun: BegunCall | null; readonly cacheKey: string | null },
    answer: (served: Served) => void,
  ): Promise<void> {
    const { exchange, request, candidates } = work;
    const { timeouts, retries, overBudget } = this.#settings;
    const id = begun?.row.id ?? null;
    const run = new ModelCallRun({
      id,
      request,
      candidates,
      query: exchange.query,
      incoming: exchange.incoming,
      outgoing: exchange.outgoing,
      keyOf: ({ provider }) => this.#keyOf(provider),
      dispatcher: this.#dispatcher,
      timeouts,
      retries,
      cutAfterTokens: overBudget === 'cut' ? (begun?.outputTokensLeft ?? null) : null,
      recording: cacheKey === null ? null : this.#cache.record(cacheKey),
      headers: id === null ? {} : { 'x-rookery-call': id },
      onStart: (status) => answer({ kind: 'sent', status }),
    });
    const span = openSpan(spanOf(work));
    this.#runs.add(run);
    if (id !== null) this.#open.set(id, run);
    const onEnded = (): void => run.end('cut');
    exchange.ended.addEventListener('abort', onEnded);
    if (exchange.ended.aborted) onEnded();
    try {
      const result = await run.run();
      if (result.kind === 'refused') answer(result);
      await this.#count(run, begun, span);
    } finally {
      exchange.ended.removeEventListener('abort', onEnded);
      this.#runs.delete(run);
      if (id !== null) this.#open.delete(id);
      span.end();
    }
  }

  async #count(run: ModelCallRun, begun: BegunCall | null, span: OpenSpan): Promise<void> {
    const outcome = await run.outcome();
    const { provider, model, tokens } = outcome;
    const { inputTokens, outputTokens } = tokens;
    span.add({ provider, responseModel: model, inputTokens, outputTokens });
    if (outcome.state !== 'succeeded') span.fail(outcome.state);
    if (begun !== null) await this.#ledger.end({ ...outcome, id: begun.row.id }, begun);
  }
}

function monotonicMs(): number {
  return performance.now();
}

function aliasViews(aliases: GatewaySettings['aliases']): readonly AliasView[] {
  return Object.entries(aliases).map(([name, { fallbacks, ...first }]) => ({
    model: name,
    targets: [first, ...fallbacks].map(({ provider = null, model = null }) => ({
      provider,
      model,
    })),
  }));
}

function spanOf({
  caller,
  request,
  candidates: [{ provider }],
}: {
  readonly caller: GatewayCaller;
  readonly request: ModelRequest;
  readonly candidates: readonly [Candidate, ...Candidate[]];
}): Parameters<typeof openSpan>[0] {
  const operation = request.operation === 'embed' ? 'embeddings' : 'chat';
  const { agentId, workspaceId, epoch } = caller;
  return {
    name: SPAN_NAMES.modelCall(operation, request.model),
    scope: 'rookery.gateway',
    kind: 'client',
    facts: {
      agentId,
      workspaceId,
      epoch,
      operation,
      provider: provider.name,
      model: request.model,
    },
  };
}

async function requestOf(
  exchange: GatewayExchange,
  bytesMax: number,
): Promise<ModelRequest | Refusal> {
  const { protocol, operation, pathModel, incoming } = exchange;
  const body = await readBody(incoming, bytesMax).catch((cause: unknown) => {
    throw new AppError('invalid_input', 'The request ended before its end.', { cause });
  });
  const request = Buffer.isBuffer(body)
    ? readRequest({ protocol, operation, pathModel, body })
    : body;
  if (!('message' in request)) return request;
  const kind = request.status === 413 ? 'too_large' : 'invalid';
  return { kind, status: request.status, message: request.message };
}

function noProvider(protocol: ModelProtocol): Refusal {
  return {
    kind: 'not_found',
    message:
      `No provider here speaks ${protocol}, or the model's alias leads to none that does. ` +
      'An administrator adds one to models.providers.',
  };
}

function notAllowed(model: string, allowed: readonly string[]): Refusal {
  const others = allowed.length === 0 ? 'none is' : allowed.join(', ');
  return { kind: 'forbidden', message: `The model ${model} is not allowed here (${others}).` };
}

function busy(
  refused: { readonly limit: 'concurrency' | 'rate'; readonly retryAfterSeconds: number },
  { concurrency, perMinute }: AdmissionLimits,
): Refusal {
  const limit =
    refused.limit === 'rate'
      ? `${perMinute} calls in a minute (models.callsPerMinute)`
      : `${concurrency} calls at once (models.concurrency)`;
  return {
    kind: 'rate',
    message: `This workspace makes more than its ${limit}. Try again in ${refused.retryAfterSeconds} s.`,
    retryAfterSeconds: refused.retryAfterSeconds,
  };
}

function cachedCall(id: string, candidate: Candidate, bytes: number): CountedCall {
  return {
    id,
    state: 'succeeded',
    status: 200,
    provider: candidate.provider.name,
    model: candidate.model,
    attempts: 0,
    flags: ['cached'],
    responseBytes: bytes,
    events: 0,
    tokens: NO_TOKENS,
    firstByteMs: 0,
    totalMs: 0,
  };
}
