import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { createDiscordGateway, type DiscordGateway } from './discord-gateway.ts';
import {
  channelPayload,
  createWorld,
  guildPayload,
  messagePayload,
  userPayload,
  type World,
  type WorldChannel,
  type WorldFile,
  type WorldGuild,
  type WorldInteraction,
  type WorldMessage,
  type WorldUser,
} from './discord-world.ts';

/** A fault of one coming request: matched by method and path, used once. */
export interface Fault {
  readonly method: string;
  readonly path: RegExp;
  /** `drop`: done, and the connection breaks before the answer. `cut`: it breaks before anything is done. */
  readonly kind: 'drop' | 'cut' | 'status' | 'limit';
  readonly status?: number;
  readonly code?: number;
  readonly retryAfterSeconds?: number;
  readonly isGlobal?: boolean;
}

type Said = Partial<Pick<WorldMessage, 'content' | 'type' | 'replyTo' | 'files'>>;

export interface DiscordServer {
  readonly world: World;
  readonly gateway: DiscordGateway;
  readonly apiRoot: string;
  token: string;
  /** Of each request: method and path. */
  readonly requests: string[];
  fail(fault: Fault): void;
  /** As after some minutes: what was sent before is not known by its nonce any more. */
  forgetNonces(): void;
  /** So many messages of one channel in so many seconds, told by headers and kept by 429. */
  limitMessages(limit: { readonly count: number; readonly seconds: number } | null): void;
  joinGuild(guild: WorldGuild): void;
  leaveGuild(guild: WorldGuild): void;
  deleteChannel(channel: WorldChannel): void;
  say(channel: WorldChannel, author: WorldUser, said: string | Said): WorldMessage;
  edit(message: WorldMessage, content: string): void;
  runCommand(
    channel: WorldChannel,
    user: WorldUser,
    command: { name: string; text?: string },
  ): WorldInteraction;
  press(message: WorldMessage, user: WorldUser, customId: string): WorldInteraction;
  submitForm(
    message: WorldMessage,
    user: WorldUser,
    form: { customId: string; reason: string },
  ): WorldInteraction;
  close(): Promise<void>;
}

const HTTP_OK = 200;
const LATEST_MS = 3_000;
const NONCE_MS = 5 * 60_000;

class Refused extends Error {
  readonly status: number;
  readonly code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** A Discord of our own on loopback: the REST routes and the gateway that a bot uses, with faults on demand. */
export async function startDiscordServer(): Promise<DiscordServer> {
  const world = createWorld();
  const faults: Fault[] = [];
  const requests: string[] = [];
  let limit: { readonly count: number; readonly seconds: number } | null = null;
  let forgottenMs = 0;
  const sends = new Map<string, number[]>();
  const state = { token: 'discord-test-token' };
  const server = createServer((incoming, outgoing) => {
    void handle(incoming, outgoing);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const gateway = createDiscordGateway(server, world, {
    isToken: (token) => token === state.token,
  });

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://127.0.0.1');
    const path = url.pathname.replace(/^\/api\/v10/, '');
    const method = incoming.method ?? 'GET';
    requests.push(`${method} ${path}`);
    const body = await readBody(incoming);
    const index = faults.findIndex((fault) => fault.method === method && fault.path.test(path));
    const fault = index < 0 ? null : (faults.splice(index, 1)[0] ?? null);
    if (fault?.kind === 'cut') return void incoming.socket.destroy();
    try {
      if (fault?.kind === 'limit') return tooMany(outgoing, fault);
      if (fault?.kind === 'status') {
        throw new Refused(fault.status ?? 500, fault.code ?? 0, 'as the test wants it');
      }
      if (limit !== null && method === 'POST' && /^\/channels\/\d+\/messages$/.test(path)) {
        if (!admit(outgoing, path, limit)) return;
      }
      const answer = route({ method, path, query: url.searchParams, body, incoming });
      if (fault?.kind === 'drop') return void incoming.socket.destroy();
      outgoing.writeHead(answer === null ? 204 : HTTP_OK, { 'content-type': 'application/json' });
      outgoing.end(answer === null ? undefined : JSON.stringify(answer));
    } catch (error) {
      const refused = error instanceof Refused ? error : new Refused(500, 0, String(error));
      outgoing.writeHead(refused.status, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify({ code: refused.code, message: refused.message }));
    }
  }

  function admit(
    outgoing: ServerResponse,
    path: string,
    { count, seconds }: { readonly count: number; readonly seconds: number },
  ): boolean {
    const now = Date.now();
    const recent = (sends.get(path) ?? []).filter((at) => now - at < seconds * 1_000);
    const left = count - recent.length;
    const resetAfter = ((recent[0] ?? now) + seconds * 1_000 - now) / 1_000;
    outgoing.setHeader('x-ratelimit-limit', count);
    outgoing.setHeader('x-ratelimit-remaining', Math.max(0, left - 1));
    outgoing.setHeader('x-ratelimit-reset-after', resetAfter);
    outgoing.setHeader('x-ratelimit-bucket', 'messages');
    if (left <= 0) {
      tooMany(outgoing, { retryAfterSeconds: resetAfter });
      return false;
    }
    sends.set(path, [...recent, now]);
    return true;
  }

  interface Asked {
    readonly method: string;
    readonly path: string;
    readonly query: URLSearchParams;
    readonly body: Body;
    readonly incoming: IncomingMessage;
  }

  function route(asked: Asked): object | null {
    for (const [pattern, act] of ROUTES) {
      const match = pattern.exec(`${asked.method} ${asked.path}`);
      if (match === null) continue;
      const isOpen = /^\/(interactions|webhooks)\//.test(asked.path);
      if (!isOpen && asked.incoming.headers.authorization !== `Bot ${state.token}`) {
        throw new Refused(401, 0, '401: Unauthorized');
      }
      return act(asked, match.slice(1));
    }
    throw new Refused(404, 0, `404: Not Found (${asked.method} ${asked.path})`);
  }

  const ROUTES: readonly [RegExp, (asked: Asked, names: readonly string[]) => object | null][] = [
    [
      /^GET \/gateway\/bot$/,
      () => ({
        url: `ws://127.0.0.1:${port}/gateway`,
        shards: 1,
        session_start_limit: { total: 1000, remaining: 999, reset_after: 0, max_concurrency: 1 },
      }),
    ],
    [/^GET \/users\/@me$/, () => userPayload(world.bot)],
    [
      /^POST \/users\/@me\/channels$/,
      ({ body }) => {
        const id = String(body.json['recipient_id']);
        const known = directs.get(id);
        if (known === undefined) throw new Refused(400, 50_033, 'Invalid Recipient(s)');
        return channelPayload(known);
      },
    ],
    [/^GET \/channels\/(\d+)$/, (_asked, [id]) => channelPayload(channelOf(id))],
    [/^GET \/channels\/(\d+)\/messages$/, ({ query }, [id]) => history(channelOf(id), query)],
    [/^POST \/channels\/(\d+)\/messages$/, ({ body }, [id]) => create(channelOf(id), body)],
    [
      /^PATCH \/channels\/(\d+)\/messages\/(\d+)$/,
      ({ body }, [id, messageId]) => {
        const message = channelOf(id).messages.find((each) => each.id === messageId);
        if (message === undefined) throw new Refused(404, 10_008, 'Unknown Message');
        return change(message, body);
      },
    ],
    [
      /^PUT \/applications\/\d+\/guilds\/(\d+)\/commands$/,
      ({ body }, [id]) => {
        const guild = world.guilds.get(id ?? '');
        if (guild === undefined || guild.refusesCommands) {
          throw new Refused(403, 50_001, 'Missing Access');
        }
        guild.commands = Commands.parse(body.list);
        return guild.commands;
      },
    ],
    [
      /^POST \/interactions\/(\d+)\/([^/]+)\/callback$/,
      ({ body }, [id, token]) => acknowledge(interactionOf(token, id), body),
    ],
    [
      /^GET \/webhooks\/\d+\/([^/]+)\/messages\/(@original|\d+)$/,
      (_asked, [token, id]) => messagePayload(world, answerOf(interactionOf(token), id)),
    ],
    [
      /^PATCH \/webhooks\/\d+\/([^/]+)\/messages\/(@original|\d+)$/,
      ({ body }, [token, id]) => {
        const message = answerOf(interactionOf(token), id);
        // What was "thinking" is an answer now.
        message.flags &= ~128;
        return change(message, body);
      },
    ],
    [
      /^POST \/webhooks\/\d+\/([^/]+)$/,
      ({ body }, [token]) => {
        const interaction = interactionOf(token);
        if (interaction.callback === null) throw new Refused(404, 10_015, 'Unknown Webhook');
        const message = unlisted(interaction.channelId, body);
        interaction.followUps.push(message);
        return messagePayload(world, message);
      },
    ],
  ];

  const directs = new Map<string, WorldChannel>();

  function channelOf(id: string | undefined): WorldChannel {
    const channel = world.channels.get(id ?? '');
    if (channel === undefined) throw new Refused(404, 10_003, 'Unknown Channel');
    if (channel.isHidden) throw new Refused(403, 50_001, 'Missing Access');
    return channel;
  }

  function history(channel: WorldChannel, query: URLSearchParams): object {
    const after = BigInt(query.get('after') ?? '0');
    const count = Number(query.get('limit') ?? '50');
    const newer = channel.messages.filter(({ id }) => BigInt(id) > after).slice(0, count);
    return newer.reverse().map((message) => {
      const {
        guild_id: _guild,
        member: _member,
        ...rest
      } = {
        guild_id: null,
        member: null,
        ...messagePayload(world, message),
      };
      return rest;
    });
  }

  function create(channel: WorldChannel, body: Body): object {
    const nonce = typeof body.json['nonce'] === 'string' ? body.json['nonce'] : null;
    const before =
      body.json['enforce_nonce'] === true && nonce !== null
        ? channel.messages.find(
            (each) =>
              each.nonce === nonce && each.atMs > forgottenMs && Date.now() - each.atMs < NONCE_MS,
          )
        : undefined;
    if (before !== undefined) return messagePayload(world, before);
    const reference = Reference.parse(body.json['message_reference']);
    const message = world.addMessage(channel, world.bot, {
      ...contentOf(body),
      nonce,
      replyTo: reference?.message_id ?? null,
    });
    gateway.dispatch('MESSAGE_CREATE', messagePayload(world, message));
    return messagePayload(world, message);
  }

  function change(message: WorldMessage, body: Body): object {
    Object.assign(message, contentOf(body), { editedAtMs: Date.now() });
    return messagePayload(world, message);
  }

  function unlisted(channelId: string, body: Body): WorldMessage {
    const channel = world.channels.get(channelId);
    if (channel === undefined) throw new Refused(404, 10_003, 'Unknown Channel');
    const message = world.addMessage(channel, world.bot, contentOf(body));
    channel.messages.pop();
    return message;
  }

  function interactionOf(token: string | undefined, id?: string): WorldInteraction {
    const found = [...world.interactions.values()].find((each) => each.token === token);
    if (found === undefined || (id !== undefined && found.id !== id)) {
      throw new Refused(404, 10_015, 'Unknown Webhook');
    }
    return found;
  }

  function acknowledge(interaction: WorldInteraction, body: Body): null {
    if (interaction.callback !== null) throw new Refused(400, 40_060, 'Already acknowledged');
    if (Date.now() - interaction.atMs > LATEST_MS) {
      throw new Refused(404, 10_062, 'Unknown interaction');
    }
    const callback = Callback.parse(body.json);
    interaction.callback = callback;
    if (callback.type === 5) {
      interaction.original = unlisted(interaction.channelId, { json: {}, list: [], files: [] });
      interaction.original.flags = 128 | Number(callback.data?.['flags'] ?? 0);
    }
    return null;
  }

  function ask(channel: WorldChannel, user: WorldUser, asked: object): WorldInteraction {
    const interaction: WorldInteraction = {
      id: world.nextId(),
      token: `tok_${world.nextId()}`,
      channelId: channel.id,
      atMs: Date.now(),
      callback: null,
      original: null,
      followUps: [],
    };
    world.interactions.set(interaction.id, interaction);
    gateway.dispatch('INTERACTION_CREATE', {
      id: interaction.id,
      token: interaction.token,
      application_id: world.applicationId,
      version: 1,
      channel_id: channel.id,
      channel: channelPayload(channel),
      locale: 'en-US',
      entitlements: [],
      authorizing_integration_owners: {},
      ...(channel.guildId === null
        ? { user: userPayload(user) }
        : {
            guild_id: channel.guildId,
            member: { user: userPayload(user), nick: null, roles: [], permissions: '0' },
          }),
      ...asked,
    });
    return interaction;
  }

  return {
    world,
    gateway,
    apiRoot: `http://127.0.0.1:${port}/api`,
    get token() {
      return state.token;
    },
    set token(token: string) {
      state.token = token;
    },
    requests,
    fail: (fault) => void faults.push(fault),
    forgetNonces() {
      forgottenMs = Date.now();
    },
    limitMessages(wanted) {
      limit = wanted;
    },
    joinGuild: (guild) => gateway.dispatch('GUILD_CREATE', guildPayload(world, guild)),
    leaveGuild(guild) {
      world.guilds.delete(guild.id);
      gateway.dispatch('GUILD_DELETE', { id: guild.id });
    },
    deleteChannel(channel) {
      world.channels.delete(channel.id);
      gateway.dispatch('CHANNEL_DELETE', channelPayload(channel));
    },
    say(channel, author, said) {
      if (channel.guildId === null) directs.set(author.id, channel);
      const message = world.addMessage(
        channel,
        author,
        typeof said === 'string' ? { content: said } : said,
      );
      gateway.dispatch('MESSAGE_CREATE', messagePayload(world, message));
      return message;
    },
    edit(message, content) {
      Object.assign(message, { content, editedAtMs: Date.now() });
      gateway.dispatch('MESSAGE_UPDATE', messagePayload(world, message));
    },
    runCommand: (channel, user, { name, text }) =>
      ask(channel, user, {
        type: 2,
        data: {
          id: world.nextId(),
          name,
          type: 1,
          options: text === undefined ? [] : [{ name: 'text', type: 3, value: text }],
        },
      }),
    press: (message, user, customId) =>
      ask(channelOf(message.channelId), user, {
        type: 3,
        data: { custom_id: customId, component_type: 2 },
        message: messagePayload(world, message),
      }),
    submitForm: (message, user, { customId, reason }) =>
      ask(channelOf(message.channelId), user, {
        type: 5,
        data: {
          custom_id: customId,
          components: [{ type: 18, component: { type: 4, custom_id: 'reason', value: reason } }],
        },
        message: messagePayload(world, message),
      }),
    async close() {
      await gateway.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answerOf(interaction: WorldInteraction, id: string | undefined): WorldMessage {
  const found =
    id === '@original'
      ? interaction.original
      : [interaction.original, ...interaction.followUps].find((each) => each?.id === id);
  if (found === null || found === undefined) throw new Refused(404, 10_008, 'Unknown Message');
  return found;
}

function tooMany(
  outgoing: ServerResponse,
  { retryAfterSeconds = 1, isGlobal = false }: Partial<Fault>,
): void {
  outgoing.writeHead(429, {
    'content-type': 'application/json',
    'retry-after': String(Math.ceil(retryAfterSeconds)),
    ...(isGlobal ? { 'x-ratelimit-global': 'true' } : {}),
  });
  outgoing.end(
    JSON.stringify({ message: 'slow down', retry_after: retryAfterSeconds, global: isGlobal }),
  );
}

interface Body {
  readonly json: Readonly<Record<string, unknown>>;
  readonly list: readonly unknown[];
  readonly files: readonly WorldFile[];
}

async function readBody(incoming: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const type = incoming.headers['content-type'] ?? '';
  if (type.startsWith('multipart/form-data')) {
    const form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
    const files: WorldFile[] = [];
    for (const [name, value] of form) {
      if (name.startsWith('files[') && typeof value !== 'string') {
        files.push({ name: value.name, text: await value.text() });
      }
    }
    const payload = form.get('payload_json');
    return { ...parse(typeof payload === 'string' ? payload : ''), files };
  }
  return { ...parse(bytes.toString()), files: [] };
}

function parse(text: string): Omit<Body, 'files'> {
  const value: unknown = text === '' ? {} : JSON.parse(text);
  return Array.isArray(value)
    ? { json: {}, list: value }
    : { json: z.record(z.string(), z.unknown()).parse(value), list: [] };
}

const Commands = z.array(z.object({ name: z.string(), description: z.string() }));
const Reference = z.object({ message_id: z.string() }).optional();
const Callback = z.object({
  type: z.number(),
  data: z.record(z.string(), z.unknown()).default({}),
});
const SaidBody = z.object({
  content: z.string().default(''),
  embeds: z.array(z.object({ description: z.string() })).default([]),
  components: z
    .array(z.object({ components: z.array(z.looseObject({ custom_id: z.string() })) }))
    .default([]),
  flags: z.number().default(0),
});

/** As strict as Discord is about lengths and emptiness. */
function contentOf({ json, files }: Body): Partial<WorldMessage> {
  const { content, embeds, components, flags } = SaidBody.parse(json);
  const isTooLong =
    content.length > 2_000 ||
    embeds.some(({ description }) => description.length > 4_096) ||
    components.some((row) => row.components.some((each) => each.custom_id.length > 100));
  if (isTooLong) throw new Refused(400, 50_035, 'Invalid Form Body');
  return {
    content,
    embeds,
    components,
    files,
    flags,
    allowedMentions: json['allowed_mentions'],
  };
}
