import { pino, type Logger } from 'pino';
import type { ChatUpdate } from '../../../domain/chat.ts';
import { makeId, type ConnectorId } from '../../../domain/id.ts';
import type { ChatHandler } from '../../../infra/connectors/inbox.ts';
import { createTelegramConnector } from '../../../infra/connectors/telegram/connector.ts';
import { listenForEvents } from '../../../infra/db/listen.ts';
import { CHAT_CHANNEL } from '../../../infra/db/queries/chat-bell.ts';
import { insertConnector } from '../../../infra/db/queries/connector.ts';
import { enqueuePost } from '../../../infra/db/queries/post.ts';
import type { Executor } from '../../../infra/db/schema.ts';
import type { OpenDatabase } from '../../../infra/db/pool.ts';
import {
  startConnectors,
  type ConnectorsOptions,
} from '../../../workers/listeners/chat-connectors.ts';
import type { Listener } from '../../../workers/listeners/listener.ts';
import { GROUP, TOKEN } from './telegram-server.ts';

/** Reversible, and unlike the plain text: enough to see that rows hold no plain text. */
export const seal = (plain: string): Buffer =>
  Buffer.from(Buffer.from(plain).map((byte) => byte ^ 0x5a));
const unseal = (sealed: Buffer): string =>
  Buffer.from(sealed.map((byte) => byte ^ 0x5a)).toString();

export async function addConnector(
  db: Executor,
  {
    apiRoot,
    token = TOKEN,
    settings = {},
  }: { readonly apiRoot: string; readonly token?: string; readonly settings?: object },
): Promise<ConnectorId> {
  const id = makeId('connector', crypto.randomUUID());
  await insertConnector(db, {
    id,
    network: 'telegram',
    name: `bot ${id}`,
    settings: { apiRoot, ...settings },
    secretRef: null,
    sealedSecret: seal(token),
    webhookSecret: seal(`hook-${id}`),
    createdBy: 'test',
  });
  return id;
}

/** What a process of the runtime does for chats, with a handler of the test. */
export async function startEngine(
  database: Pick<OpenDatabase, 'db'> & { readonly url: string },
  handler: ChatHandler,
  change: Partial<ConnectorsOptions> & { readonly log?: Logger } = {},
): Promise<Listener> {
  const bells = await listenForEvents({ url: database.url, channel: CHAT_CHANNEL });
  const engine = startConnectors({
    db: database.db,
    log: pino({ level: 'silent' }),
    bells,
    factories: { telegram: createTelegramConnector },
    handler,
    commands: [],
    seal,
    unseal,
    resolveSecret: (reference) => Promise.reject(new Error(`No ${reference} here.`)),
    connectorsMax: 10,
    placesMax: 8,
    pollTimeoutMs: 2_000,
    brokenPauseMs: 50,
    backOffMs: () => 20,
    ...change,
  });
  return {
    async stop() {
      await engine.stop();
      await bells.close();
    },
  };
}

/** Answers each message with its own words, under a key made from the update's. */
export function echoHandler(db: Executor, sealed = seal): ChatHandler {
  return {
    async handle(connectorId, key, update) {
      if (update.kind !== 'message') return;
      await say(db, connectorId, {
        key: `${connectorId}:${key}:echo`,
        text: `echo ${update.text}`,
        to: update.place,
        sealed,
      });
    },
  };
}

export async function say(
  db: Executor,
  connectorId: string,
  post: {
    readonly key: string;
    readonly text: string;
    readonly to?: Pick<ChatUpdate['place'], 'chatId' | 'threadId'>;
    readonly editsKey?: string;
    readonly workspaceId?: string | null;
    readonly sealed?: typeof seal;
  },
): Promise<void> {
  const { chatId, threadId } = post.to ?? { chatId: String(GROUP.id), threadId: null };
  await enqueuePost(db, post.sealed ?? seal, {
    connectorId,
    workspaceId: post.workspaceId ?? null,
    key: post.key,
    ...(post.editsKey === undefined ? {} : { editsKey: post.editsKey }),
    post: {
      to: { chatId, threadId },
      spans: [{ text: post.text }],
      buttons: [],
      file: null,
      replyTo: null,
      handle: null,
    },
  });
}
