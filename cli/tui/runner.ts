import { setTimeout as sleep } from 'node:timers/promises';
import type { DetachKey } from '../attach/detach-key.ts';
import type { Context } from '../context.ts';
import type { Handle } from './app.ts';
import { enrolHere } from './enrol-here.ts';
import { failureOf } from './failure.ts';
import { lendTerminal } from './lend.ts';
import { followNews } from './live.ts';
import type { Api, WorkspaceRef } from './model.ts';
import { PAGE } from './pages/index.ts';
import { countApprovals, findPatiently, offerWorkspaces, sayWho } from './reads.ts';
import type { Effect } from './state.ts';
import type { Store } from './store.ts';

export interface RunnerOptions {
  readonly context: Context;
  readonly store: Store;
  readonly handle: () => Handle | null;
  readonly detachKey: DetachKey;
}

export interface Runner {
  begin(): Promise<void>;
  close(): void;
}

const TICK_MS = 1_000;
/** Several events arrive together; one look shows them all. */
const SETTLE_MS = 100;
/** A list that takes long is asked for less often: it gets a fifth of the time at most. */
const REST_FACTOR = 4;
const REST_MAX_MS = 10_000;

/** Does what the reducer wants done, and tells it what became of it. Nothing here is waited for by the keyboard. */
export function createRunner(options: RunnerOptions): Runner {
  const { context, store } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, context.signal]);
  const { client, io } = context;
  let workspace: WorkspaceRef | null = null;
  let news = new AbortController();
  const api = (): Api => apiOf(context, workspace);
  const ready = Promise.withResolvers<void>();
  const pages = createLoader(store, { api, signal, ready: ready.promise });

  const enter = (next: WorkspaceRef): void => {
    workspace = next;
    news.abort();
    news = new AbortController();
    void sayWho(client, next, store);
    void followNews({
      client,
      workspaceId: next.id,
      signal: AbortSignal.any([news.signal, signal]),
      dispatch: store.dispatch,
    });
  };

  store.perform((effect) => {
    switch (effect.kind) {
      case 'load':
        void pages.load(effect);
        break;
      case 'run':
        void act(effect, store, { api, signal });
        break;
      case 'attach':
        void lendTerminal(options, effect);
        break;
      case 'count-approvals':
        void countApprovals(api(), store);
        break;
      case 'enter-workspace':
        enter(effect.workspace);
        break;
      case 'pick-workspace':
        void offerWorkspaces(api(), store);
        break;
      case 'quit':
        options.handle()?.exit();
        break;
    }
  });
  const ticking = setInterval(() => {
    store.dispatch({ kind: 'tick', nowMs: io.now() });
  }, TICK_MS);
  return {
    async begin() {
      const found = await findPatiently(options, signal);
      if (signal.aborted) return;
      if (found !== null) enter(found);
      store.dispatch({ kind: 'workspace', workspace: found });
      ready.resolve();
      store.dispatch({ kind: 'start' });
    },
    close() {
      clearInterval(ticking);
      stop.abort();
    },
  };
}

function apiOf(context: Context, workspace: WorkspaceRef | null): Api {
  const { client, admin, io } = context;
  return {
    client,
    admin,
    workspace,
    now: () => io.now(),
    cwd: io.cwd,
    enrol: (wish) => enrolHere(context, wish),
  };
}

interface Hands {
  readonly api: () => Api;
  readonly signal: AbortSignal;
}

async function act(
  { deed, values, pageId }: Extract<Effect, { kind: 'run' }>,
  store: Store,
  { api, signal }: Hands,
): Promise<void> {
  try {
    const outcome = await deed.run(api(), values);
    if (!signal.aborted) store.dispatch({ kind: 'done', pageId, outcome });
  } catch (error) {
    if (!signal.aborted) store.dispatch({ kind: 'failed', failure: failureOf(error) });
  }
}

/** `ready`: it is known of which workspace everything is. */
function createLoader(
  store: Store,
  { api, signal, ready }: Hands & { readonly ready: Promise<void> },
) {
  const last = { endedMs: 0, tookMs: 0, pageId: 0 };

  /** Another page is what somebody waits for; the same one again is only news. */
  const rest = async (pageId: number): Promise<void> => {
    if (last.pageId !== pageId) return;
    const restMs = Math.min(REST_MAX_MS, Math.max(SETTLE_MS, last.tookMs * REST_FACTOR));
    const leftMs = last.endedMs + restMs - performance.now();
    if (leftMs > 0) await sleep(leftMs, undefined, { signal, ref: false }).catch(() => undefined);
  };

  return {
    async load({ pageId, ref }: Extract<Effect, { kind: 'load' }>): Promise<void> {
      // That page is for who cannot get in.
      if (ref.page !== 'access') await ready;
      await rest(pageId);
      if (signal.aborted) return;
      const beganMs = performance.now();
      try {
        const model = await PAGE[ref.page].load(api(), ref.params);
        if (!signal.aborted) store.dispatch({ kind: 'loaded', pageId, model });
      } catch (error) {
        if (signal.aborted) return;
        store.dispatch({ kind: 'load-failed', pageId, failure: failureOf(error) });
      } finally {
        const nowMs = performance.now();
        Object.assign(last, { endedMs: nowMs, tookMs: nowMs - beganMs, pageId });
      }
    },
  };
}
