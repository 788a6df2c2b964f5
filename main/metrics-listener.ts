import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { request } from 'undici';
import type { HostHello } from '../infra/host/contract.ts';

/** Its numbers are for whoever watches this machine, and it asks nobody who they are. */
const LOOPBACK = '127.0.0.1';
/** The SDK answers from memory. */
const SDK_TIMEOUT_MS = 1_000;

export interface MetricsListener {
  readonly url: string;
  close(): Promise<void>;
}

/** `/metrics` of a process that serves nothing else. `sdkAddress` is where Temporal's SDK has its own. */
export async function startMetricsListener(options: {
  readonly port: number;
  readonly sdkAddress?: string;
  /** Of a pty-host. */
  readonly hello?: () => HostHello;
  /** What parts of the process count themselves. */
  readonly others?: readonly Registry[];
  readonly log: Logger;
}): Promise<MetricsListener> {
  const { port, sdkAddress, hello, others = [], log } = options;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'rookery_' });
  if (hello !== undefined) describeHost(registry, hello);
  const render = async (): Promise<string> =>
    [
      ...(await Promise.all([registry, ...others].map((each) => each.metrics()))),
      sdkAddress === undefined ? '' : await sdkMetrics(sdkAddress),
    ].join('\n');
  const server = createServer((incoming, outgoing) => {
    if (incoming.method !== 'GET' || incoming.url !== '/metrics') {
      outgoing.writeHead(404).end();
      return;
    }
    render().then(
      (body) => {
        outgoing.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
        outgoing.end(body);
      },
      (error: unknown) => {
        log.warn({ err: error }, 'the metrics could not be read');
        outgoing.writeHead(500).end();
      },
    );
  });
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('The metrics have no port.');
  const url = `http://${LOOPBACK}:${address.port}/metrics`;
  log.info({ url }, 'metrics ready');
  return {
    url,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function describeHost(registry: Registry, hello: () => HostHello): void {
  const gauge = (name: string, help: string, read: () => number) => {
    const made: Gauge = new Gauge({
      name,
      help,
      registers: [registry],
      collect: () => made.set(read()),
    });
  };
  gauge('rookery_pty_sessions', 'Terminal sessions.', () => hello().slots.used);
  gauge('rookery_pty_slots', 'Sessions at once.', () => hello().slots.max);
  gauge('rookery_pty_draining', '1 while no session is taken any more.', () =>
    hello().draining ? 1 : 0,
  );
  gauge(
    'rookery_pty_journal_seq',
    'Number of the newest fact of the journal.',
    () => hello().hostSeq,
  );
}

/** An SDK that does not answer must not hide the rest. */
async function sdkMetrics(address: string): Promise<string> {
  try {
    const { body } = await request(`http://${address}/metrics`, {
      signal: AbortSignal.timeout(SDK_TIMEOUT_MS),
    });
    return await body.text();
  } catch {
    return '';
  }
}
