import type { Kysely } from 'kysely';
import { Gauge, type Registry } from 'prom-client';
import { CONNECTOR_STATES, NETWORKS } from '../domain/chat.ts';
import { readChatGauges } from '../infra/db/queries/chat-gauge-view.ts';
import type { Database } from '../infra/db/schema.ts';

const POST_STATES = ['queued', 'sending', 'uncertain', 'failed'] as const;

/** How connectors do, and how far what people say and what is said to them is behind. */
export function createChatGauges(registry: Registry): {
  refresh(db: Kysely<Database>): Promise<void>;
} {
  const gauge = <const T extends string = never>(
    name: string,
    help: string,
    labelNames: readonly T[] = [],
  ) => new Gauge<T>({ name, help, labelNames: [...labelNames], registers: [registry] });
  const connectors = gauge('rookery_connectors', 'Bots on chat networks, by network and state.', [
    'network',
    'state',
  ]);
  const posts = gauge(
    'rookery_chat_posts',
    'What is to be said and is not, by state; uncertain and failed wait for a person.',
    ['state'],
  );
  const updates = gauge(
    'rookery_chat_updates_failed',
    'What people said that was given up after five failures.',
  );
  const inbox = gauge(
    'rookery_chat_update_lag_seconds',
    'How long the oldest that people said waits to be handled.',
  );
  const outbox = gauge(
    'rookery_chat_post_lag_seconds',
    'How long the oldest that is to be said waits for its network.',
  );
  return {
    async refresh(db) {
      const seen = await readChatGauges(db);
      for (const network of NETWORKS)
        for (const state of CONNECTOR_STATES) connectors.set({ network, state }, 0);
      for (const { network, state, count } of seen.connectors)
        connectors.set({ network, state }, count);
      for (const state of POST_STATES) posts.set({ state }, 0);
      for (const { state, count } of seen.posts) posts.set({ state }, count);
      updates.set(seen.failedUpdates);
      inbox.set(seen.oldestUpdateSeconds);
      outbox.set(seen.oldestPostSeconds);
    },
  };
}
