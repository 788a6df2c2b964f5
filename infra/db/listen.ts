import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** The channel that `append_record` notifies with `<workspace id> <last seq>`. */
const CHANNEL = 'rookery_event';
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5_000;
/** A dead peer is noticed by TCP keep-alive; a server that hangs by this. */
const PROBE_INTERVAL_MS = 30_000;
const PROBE_TIMEOUT_MS = 10_000;

/** Under load each commit would otherwise cost every reader a query. Too short for a person to notice. */
const WAKE_INTERVAL_MS = 20;

/** Called with the workspace's last number, or null where notifications may have been missed: look yourself. */
export type Wake = (lastSeq: number | null) => void;

export interface EventListener {
  /** Calls `wake` after appends in the workspace, at most every 20 ms. Returns the function that ends it. */
  subscribe(workspaceId: string, wake: Wake): () => void;
  /** For readers of all workspaces. */
  subscribeAll(wake: (workspaceId: string | null, lastSeq: number | null) => void): () => void;
  close(): Promise<void>;
}

export interface EventListenerOptions {
  readonly url: string;
  /** Another channel whose payloads have the same form: an id and a number. */
  readonly channel?: string;
  readonly onError?: (error: Error) => void;
}

/**
 * One connection that hears of new events and wakes readers. A notification says only that there is something:
 * readers read by (workspace, seq). After a broken connection everybody is woken once, since some may be missed.
 */
export async function listenForEvents(options: EventListenerOptions): Promise<EventListener> {
  const readers = new Map<string, Set<Wake>>();
  const readersOfAll = new Set<(workspaceId: string | null, lastSeq: number | null) => void>();
  let client = await connect(options, onNotification);
  const stopping = new AbortController();
  const running = keepConnected();

  function onNotification(payload: string): void {
    const [workspaceId = '', seq = ''] = payload.split(' ');
    for (const wake of readers.get(workspaceId) ?? []) wake(Number(seq));
    for (const wake of readersOfAll) wake(workspaceId, Number(seq));
  }

  function wakeEverybody(): void {
    for (const wakes of readers.values()) for (const wake of wakes) wake(null);
    for (const wake of readersOfAll) wake(null, null);
  }

  async function keepConnected(): Promise<void> {
    while (!stopping.signal.aborted) {
      await untilBroken(client, stopping.signal);
      await client.end().catch(() => undefined);
      if (stopping.signal.aborted) return;
      const next = await reconnect();
      if (next === null) return;
      client = next;
      wakeEverybody();
    }
  }

  async function reconnect(): Promise<Client | null> {
    for (
      let waitMs = RECONNECT_MS_MIN;
      !stopping.signal.aborted;
      waitMs = Math.min(2 * waitMs, RECONNECT_MS_MAX)
    ) {
      try {
        return await connect(options, onNotification);
      } catch (error) {
        options.onError?.(error instanceof Error ? error : new Error('connection failed'));
        await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
    return null;
  }

  return {
    subscribe(workspaceId, onWake) {
      const { wake, cancel } = atIntervals(onWake);
      const wakes = readers.get(workspaceId) ?? new Set();
      readers.set(workspaceId, wakes.add(wake));
      return () => {
        cancel();
        wakes.delete(wake);
        if (wakes.size === 0 && readers.get(workspaceId) === wakes) readers.delete(workspaceId);
      };
    },
    subscribeAll(wake) {
      readersOfAll.add(wake);
      return () => readersOfAll.delete(wake);
    },
    async close() {
      stopping.abort();
      await running;
    },
  };
}

/** At once when it was quiet, else once per interval with the latest number. */
function atIntervals(onWake: Wake): { readonly wake: Wake; readonly cancel: () => void } {
  let timer: NodeJS.Timeout | null = null;
  let latest: { readonly seq: number | null } | null = null;
  const wake: Wake = (seq) => {
    if (timer !== null) {
      latest = { seq };
      return;
    }
    onWake(seq);
    timer = setTimeout(() => {
      timer = null;
      const next = latest;
      latest = null;
      if (next !== null) wake(next.seq);
    }, WAKE_INTERVAL_MS).unref();
  };
  return {
    wake,
    cancel() {
      if (timer !== null) clearTimeout(timer);
      latest = null;
    },
  };
}

async function connect(
  { url, channel = CHANNEL }: EventListenerOptions,
  onNotification: (payload: string) => void,
): Promise<Client> {
  const client = new Client({
    connectionString: url,
    application_name: 'rookery listen',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    query_timeout: PROBE_TIMEOUT_MS,
  });
  // Errors are seen by `untilBroken`; without a listener one would end the process.
  client.on('error', () => undefined);
  client.on('notification', ({ payload }) => onNotification(payload ?? ''));
  try {
    await client.connect();
    await client.query(`listen ${channel}`);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  return client;
}

/** Resolves when the connection is gone, does not answer, or `signal` fires. */
async function untilBroken(client: Client, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const probe = setInterval(() => void client.query('select 1').catch(done), PROBE_INTERVAL_MS);
    function done(): void {
      clearInterval(probe);
      signal.removeEventListener('abort', done);
      resolve();
    }
    client.once('error', done);
    client.once('end', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
