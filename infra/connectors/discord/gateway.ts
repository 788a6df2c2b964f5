import {
  Client,
  Events,
  GatewayCloseCodes,
  GatewayDispatchEvents,
  GatewayIntentBits,
  Options,
  PermissionFlagsBits,
  type REST,
  type WebSocketShard,
} from 'discord.js';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ConnectorError, type UpdateSink } from '../contract.ts';
import type { OfferedCommand } from '../factory.ts';
import { createCommandRegistrar } from './commands.ts';
import { Ready, type ChannelPayload } from './payload.ts';
import { createReader, type Reader } from './reader.ts';
import { readError, restOptions, TOKEN_REFUSED } from './rest.ts';
import { createWork } from './work.ts';

export interface GatewayOptions {
  readonly apiRoot: string;
  readonly token: string;
  readonly rest: REST;
  readonly commands: readonly OfferedCommand[];
  readonly log: Logger;
}

/** What we want to hear. The content of messages is a privileged intent: it is turned on in the developer portal. */
const INTENTS = [
  GatewayIntentBits.Guilds,
  GatewayIntentBits.GuildMessages,
  GatewayIntentBits.DirectMessages,
  GatewayIntentBits.MessageContent,
];

/** What Discord closes with when only an admin can help. Everything else the library reconnects after. */
const REFUSALS: Readonly<Record<number, string>> = {
  [GatewayCloseCodes.AuthenticationFailed]: TOKEN_REFUSED,
  [GatewayCloseCodes.DisallowedIntents]:
    'Discord does not let this bot read messages. Turn on "Message Content Intent" on the page "Bot" of the developer portal.',
  [GatewayCloseCodes.InvalidIntents]: 'Discord does not know an intent that was asked for.',
  [GatewayCloseCodes.InvalidAPIVersion]: 'Discord does not speak this version any more.',
  [GatewayCloseCodes.InvalidShard]: 'Discord does not take the number of connections.',
  [GatewayCloseCodes.ShardingRequired]: 'Discord wants more connections for so many servers.',
};

/**
 * Reads until `signal` fires. The library keeps the connection: heartbeats, resuming, one connection for each thousand
 * guilds. What it dispatches is read as it came, so that nothing depends on what the library has cached.
 */
export async function listenToGateway(
  options: GatewayOptions,
  sink: UpdateSink,
  signal: AbortSignal,
): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const stopped = new AbortController();
  const client = createClient(options.apiRoot);
  const work = createWork((error) => ended.reject(error));
  const reader = createReader({
    rest: options.rest,
    sink,
    signal: stopped.signal,
    work,
    commands: options.commands,
    log: options.log,
    findChannel: (id) => findChannel(client, id),
    mayRead: (id) => mayRead(client, id),
  });
  const patience = createPatience(() =>
    ended.reject(new ConnectorError('retry', 'Discord could not be reached for a minute.')),
  );
  const onAbort = () => ended.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    watchState(client, { sink, patience, failed: ended.reject });
    dispatch(client, { reader, log: options.log });
    offerCommands(client, { ...options, sink, signal: stopped.signal });
    sink.changed('connecting', '');
    patience.lose();
    client.login(options.token).catch((error: unknown) => ended.reject(loginError(error)));
    await ended.promise;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    stopped.abort();
    patience.found();
    await end(client);
    await work.stop();
    await reader.save().catch(() => undefined);
  }
}

function createClient(apiRoot: string): Client {
  return new Client({
    intents: INTENTS,
    shards: 'auto',
    rest: restOptions(apiRoot),
    // Guilds, channels and roles are needed to know where something was said; the rest only takes memory.
    makeCache: Options.cacheWithLimits({
      ...Options.DefaultMakeCacheSettings,
      MessageManager: 0,
      PresenceManager: 0,
      ReactionManager: 0,
      GuildEmojiManager: 0,
      GuildStickerManager: 0,
      VoiceStateManager: 0,
      GuildMemberManager: { maxSize: 0, keepOverLimit: ({ id, client }) => id === client.user.id },
      UserManager: { maxSize: 0, keepOverLimit: ({ id, client }) => id === client.user?.id },
    }),
  });
}

/** How long the library may try by itself, twice a second: after that the engine does, at growing intervals. */
const PATIENCE_MS = 60_000;

interface Patience {
  lose(): void;
  found(): void;
}

function createPatience(isOver: () => void): Patience {
  let timer: NodeJS.Timeout | null = null;
  return {
    lose() {
      timer ??= setTimeout(isOver, PATIENCE_MS);
    },
    found() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

/** A goodbye that the other side does not answer is not waited for longer. */
const GOODBYE_MS = 2_000;

/**
 * The library reconnects after a pause of half a second, and in that pause it does not hear that it was destroyed: it
 * would connect again, for ever. What it asks before it connects is answered never, which ends that.
 */
async function end(client: Client): Promise<void> {
  // What ends says that it would connect again: nobody is to hear that.
  client.removeAllListeners().on(Events.Error, () => undefined);
  client.ws.removeAllListeners();
  for (const [id, shard] of client.ws.shards) {
    const get = (of: WebSocketShard, name: string | symbol): unknown =>
      name === 'sessionInfo' ? NEVER : Reflect.get(of, name);
    client.ws.shards.set(id, new Proxy(shard, { get }));
  }
  await Promise.race([client.destroy(), sleep(GOODBYE_MS, undefined, { ref: false })]);
}

const NEVER = new Promise<never>(() => undefined);

function watchState(
  client: Client,
  {
    sink,
    patience,
    failed,
  }: {
    readonly sink: UpdateSink;
    readonly patience: Patience;
    readonly failed: (error: unknown) => void;
  },
): void {
  const isConnected = () => {
    patience.found();
    sink.changed('connected', '');
  };
  client.on(Events.ShardReady, isConnected);
  client.on(Events.ShardResume, isConnected);
  client.on(Events.ShardReconnecting, () => {
    patience.lose();
    sink.changed('connecting', 'The connection to Discord broke and is made again.');
  });
  client.on(Events.ShardDisconnect, ({ code }) => {
    const reason = REFUSALS[code];
    failed(
      reason === undefined
        ? new ConnectorError('retry', `Discord closed the connection with code ${code}.`)
        : new ConnectorError('rejected', reason),
    );
  });
  client.on(Events.Invalidated, () =>
    failed(new ConnectorError('retry', 'Discord ended the session.')),
  );
  client.on(Events.Error, (error) => failed(readError(error)));
}

/** A payload that cannot be read is a fault of one update: it is told, and what follows is read. */
function dispatch(
  client: Client,
  { reader, log }: { readonly reader: Reader; readonly log: Logger },
): void {
  const on = (event: GatewayDispatchEvents, take: (payload: unknown, shardId: number) => void) => {
    client.ws.on(event, (payload: unknown, shardId: number) => {
      try {
        take(payload, shardId);
      } catch (error) {
        log.error({ err: error, event }, 'something that Discord told could not be read');
      }
    });
  };
  on(GatewayDispatchEvents.Ready, (payload, shardId) => reader.ready(payload, shardId));
  on(GatewayDispatchEvents.GuildCreate, (payload) => reader.guild(payload));
  on(GatewayDispatchEvents.GuildDelete, (payload) => reader.guildGone(payload));
  on(GatewayDispatchEvents.ChannelDelete, (payload) => reader.channelGone(payload));
  on(GatewayDispatchEvents.ThreadDelete, (payload) => reader.channelGone(payload));
  on(GatewayDispatchEvents.MessageCreate, (payload) => reader.message(payload));
  on(GatewayDispatchEvents.MessageUpdate, (payload) => reader.edit(payload));
  on(GatewayDispatchEvents.InteractionCreate, (payload) => reader.interaction(payload));
}

/** Guilds that were there, and those that are joined later. A guild that refuses them still has its messages read. */
function offerCommands(
  client: Client,
  options: GatewayOptions & { readonly sink: UpdateSink; readonly signal: AbortSignal },
): void {
  const { sink, signal, log } = options;
  let applicationId = '';
  const registrar = createCommandRegistrar({ ...options, applicationId: () => applicationId });
  client.ws.on(GatewayDispatchEvents.Ready, (payload: unknown) => {
    const read = Ready.safeParse(payload);
    if (read.success) applicationId = read.data.application.id;
  });
  client.on(Events.GuildAvailable, ({ id }) => offer(id));
  client.on(Events.GuildCreate, ({ id }) => offer(id));

  function offer(guildId: string): void {
    registrar.offer(guildId).catch((error: unknown) => {
      if (signal.aborted) return;
      const { kind, message: reason } = readError(error);
      log.warn({ guildId, reason }, 'Discord did not take the commands of a guild');
      if (kind !== 'rejected') return;
      sink.changed(
        'connected',
        `Server ${guildId} offers no commands: invite the bot again with the scope applications.commands.`,
      );
    });
  }
}

function findChannel(client: Client, id: string): ChannelPayload | null {
  const channel = client.channels.cache.get(id);
  if (channel === undefined) return null;
  return {
    id,
    type: channel.type,
    name: 'name' in channel ? channel.name : '',
    parent_id: channel.isThread() ? channel.parentId : null,
  };
}

/** Each refusal counts against us at Discord, and a large guild has thousands of channels that a bot does not see. */
function mayRead(client: Client, id: string): boolean {
  const channel = client.channels.cache.get(id);
  if (channel === undefined || channel.isDMBased() || !('guild' in channel)) return true;
  const { me } = channel.guild.members;
  // Not told who we are in there, or what a thread belongs to: then Discord says whether we may.
  if (me === null || (channel.isThread() && channel.parent === null)) return true;
  return channel
    .permissionsFor(me)
    .has([PermissionFlagsBits.ViewChannel, PermissionFlagsBits.ReadMessageHistory]);
}

function loginError(error: unknown): ConnectorError {
  const isRefused = error instanceof Error && 'code' in error && error.code === 'TokenInvalid';
  return isRefused ? new ConnectorError('rejected', TOKEN_REFUSED) : readError(error);
}
