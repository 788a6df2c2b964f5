import type { Client } from '@temporalio/client';
import type { Kysely } from 'kysely';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Database } from '../infra/db/schema.ts';
import { createChatGauges } from './chat-gauges.ts';
import { createInstanceGauges } from './instance-gauges.ts';
import { createQueueGauges } from './queue-gauges.ts';

/** From what a health check takes to what a decision may wait for. */
const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface RequestMeasure {
  readonly route: string;
  readonly status: number;
  readonly ms: number;
}

/** A registry of its own, so that two APIs in one process (tests, `up`) do not share numbers. */
export interface Metrics {
  observeRequest(measure: RequestMeasure): void;
  readonly readers: Gauge<'kind'>;
  /** Prometheus text. What the database knows is read at this moment. */
  render(db: Kysely<Database>): Promise<string>;
}

/** With `temporal` also what its queues hold, and `others` are numbers that another part of the process counts. */
export function createMetrics({
  temporal,
  others = [],
}: { readonly temporal?: Client; readonly others?: readonly Registry[] } = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'rookery_' });
  const requests = new Counter({
    name: 'rookery_http_requests_total',
    help: 'Requests by route and status.',
    labelNames: ['route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'rookery_http_request_duration_seconds',
    help: 'Time to the answer, for streams to its first byte.',
    labelNames: ['route'],
    buckets: BUCKETS_SECONDS,
    registers,
  });
  const readers = new Gauge({
    name: 'rookery_stream_readers',
    help: 'Open event streams (sse) and terminals (terminal).',
    labelNames: ['kind'],
    registers,
  });
  const instance = createInstanceGauges(registry);
  const chats = createChatGauges(registry);
  const queues = temporal === undefined ? null : createQueueGauges(registry, temporal);
  readers.set({ kind: 'sse' }, 0);
  readers.set({ kind: 'terminal' }, 0);

  return {
    observeRequest({ route, status, ms }) {
      requests.inc({ route, status: String(status) });
      durations.observe({ route }, ms / 1_000);
    },
    readers,
    async render(db) {
      await Promise.all([instance.refresh(db), chats.refresh(db), queues?.refresh(db)]);
      const texts = await Promise.all([registry, ...others].map((each) => each.metrics()));
      return texts.join('\n');
    },
  };
}
