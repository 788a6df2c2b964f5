import { createApp } from '../api/app.ts';
import { createChatHandler } from '../api/chat/handler.ts';
import type { ChatDeps } from '../api/chat/deps.ts';
import { startChatNotices } from '../api/chat/notices.ts';
import { OFFERED_COMMANDS } from '../api/chat/registry.ts';
import { listenForEvents } from '../infra/db/listen.ts';
import { CHAT_CHANNEL } from '../infra/db/queries/chat-bell.ts';
import { createWebhookSender } from '../infra/webhook/sender.ts';
import { startConnectors } from '../workers/listeners/chat-connectors.ts';
import type { Listener } from '../workers/listeners/listener.ts';
import { depsOf } from './api.ts';
import { CAPABILITIES, CONNECTORS } from './connector-door.ts';
import { openModels } from './models.ts';
import { VERSION } from './paths.ts';
import type { WorkerParts } from './worker.ts';

/**
 * Speaks on chat networks: runs the connectors, has what people say there handled, and tells them what happens. It asks
 * an API of its own, in this process: without a port, and without the routes of the admin listener.
 */
export async function connectorPool(parts: Omit<WorkerParts, 'bundle'>): Promise<Listener> {
  const { config, databaseUrl, db, secrets, log } = parts;
  await using starting = new AsyncDisposableStack();
  const onError = (error: Error): void => log.warn({ err: error }, 'listening for chats');
  const events = await listenForEvents({ url: databaseUrl, onError });
  starting.defer(() => events.close());
  const bells = await listenForEvents({ url: databaseUrl, channel: CHAT_CHANNEL, onError });
  starting.defer(() => bells.close());
  const webhooks = createWebhookSender({ ...config.webhooks, version: VERSION });
  starting.defer(() => webhooks.close());
  const models = openModels(parts);
  starting.defer(() => models.close());
  const api = { ...depsOf(parts, events), webhooks, models };
  const chat: ChatDeps = {
    api,
    app: createApp(api, 'public'),
    connectors: (network) => CAPABILITIES[network],
  };
  const connectors = startConnectors({
    db,
    log,
    bells,
    factories: CONNECTORS,
    handler: createChatHandler(chat),
    commands: OFFERED_COMMANDS,
    seal: (plain) => secrets.seal(plain),
    unseal: (sealed) => secrets.unseal(sealed),
    resolveSecret: (reference) => secrets.resolveConnector(reference),
    connectorsMax: config.connectors.max,
    placesMax: config.connectors.placesAtOnce,
    pollTimeoutMs: config.connectors.pollTimeoutMs,
  });
  starting.defer(() => connectors.stop());
  const notices = startChatNotices(chat);
  starting.defer(() => notices.stop());
  const started = starting.move();
  return { stop: () => started.disposeAsync() };
}
