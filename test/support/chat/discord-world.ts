/** What there is on the test's Discord: guilds, channels, people, messages and interactions. No network in here. */

export interface WorldChannel {
  readonly id: string;
  readonly type: number;
  name: string;
  readonly guildId: string | null;
  readonly parentId: string | null;
  /** The bot sees it not. */
  isHidden: boolean;
  readonly messages: WorldMessage[];
}

export interface WorldUser {
  readonly id: string;
  readonly username: string;
  readonly globalName: string | null;
  readonly isBot: boolean;
}

export interface WorldMessage {
  readonly id: string;
  readonly channelId: string;
  readonly author: WorldUser;
  readonly type: number;
  content: string;
  embeds: readonly { readonly description?: string }[];
  components: readonly { readonly components: readonly { readonly custom_id: string }[] }[];
  flags: number;
  readonly nonce: string | null;
  readonly atMs: number;
  editedAtMs: number | null;
  readonly replyTo: string | null;
  files: readonly WorldFile[];
  allowedMentions: unknown;
}

export interface WorldFile {
  readonly name: string;
  readonly text: string;
}

export interface WorldGuild {
  readonly id: string;
  readonly name: string;
  readonly channelIds: string[];
  commands: readonly { readonly name: string }[] | null;
  /** The bot was invited without the scope of commands. */
  refusesCommands: boolean;
}

export interface WorldInteraction {
  readonly id: string;
  readonly token: string;
  readonly channelId: string;
  readonly atMs: number;
  callback: { readonly type: number; readonly data?: Record<string, unknown> } | null;
  original: WorldMessage | null;
  readonly followUps: WorldMessage[];
}

/** A second is a long time: numbers of one millisecond count up in the lower bits, as Discord's do. */
function createSnowflakes() {
  let last = 0n;
  return {
    next(atMs = Date.now()): string {
      const id = (BigInt(atMs) - 1_420_070_400_000n) << 22n;
      last = id > last ? id : last + 1n;
      return String(last);
    },
  };
}

export interface World {
  readonly guilds: Map<string, WorldGuild>;
  readonly channels: Map<string, WorldChannel>;
  readonly interactions: Map<string, WorldInteraction>;
  readonly bot: WorldUser;
  readonly applicationId: string;
  nextId(): string;
  addUser(name: string, isBot?: boolean): WorldUser;
  addGuild(name: string): WorldGuild;
  addChannel(options: {
    readonly guild?: WorldGuild;
    readonly name?: string;
    readonly type?: number;
    readonly parentId?: string;
  }): WorldChannel;
  addMessage(
    channel: WorldChannel,
    author: WorldUser,
    message: Partial<Omit<WorldMessage, 'id' | 'channelId' | 'author'>>,
  ): WorldMessage;
}

export function createWorld(): World {
  const ids = createSnowflakes();
  const guilds = new Map<string, WorldGuild>();
  const channels = new Map<string, WorldChannel>();
  const nextId = () => ids.next();
  const addUser = (username: string, isBot = false): WorldUser => ({
    id: nextId(),
    username,
    globalName: null,
    isBot,
  });
  return {
    guilds,
    channels,
    interactions: new Map(),
    bot: addUser('rookery', true),
    applicationId: nextId(),
    nextId,
    addUser,
    addGuild(name) {
      const guild = {
        id: nextId(),
        name,
        channelIds: [],
        commands: null,
        refusesCommands: false,
      };
      guilds.set(guild.id, guild);
      return guild;
    },
    addChannel({ guild, name = 'general', type = guild === undefined ? 1 : 0, parentId }) {
      const id = nextId();
      const channel: WorldChannel = {
        id,
        type,
        name,
        guildId: guild?.id ?? null,
        parentId: parentId ?? null,
        isHidden: false,
        messages: [],
      };
      channels.set(id, channel);
      guild?.channelIds.push(id);
      return channel;
    },
    addMessage(channel, author, message) {
      const made: WorldMessage = {
        id: nextId(),
        channelId: channel.id,
        author,
        type: 0,
        content: '',
        embeds: [],
        components: [],
        flags: 0,
        nonce: null,
        atMs: Date.now(),
        editedAtMs: null,
        replyTo: null,
        files: [],
        allowedMentions: null,
        ...message,
      };
      channel.messages.push(made);
      return made;
    },
  };
}

/** All permissions but that of an administrator, who sees hidden channels too. */
const EVERYTHING = String(((1n << 50n) - 1n) & ~8n);
const VIEW_CHANNEL = String(1 << 10);

export function channelPayload(channel: WorldChannel) {
  return {
    id: channel.id,
    type: channel.type,
    name: channel.name,
    guild_id: channel.guildId ?? undefined,
    parent_id: channel.parentId,
    last_message_id: channel.messages.at(-1)?.id ?? null,
    position: 0,
    permission_overwrites: channel.isHidden
      ? [{ id: channel.guildId, type: 0, allow: '0', deny: VIEW_CHANNEL }]
      : [],
    ...(isThread(channel)
      ? {
          owner_id: channel.parentId,
          thread_metadata: {
            archived: false,
            auto_archive_duration: 60,
            archive_timestamp: new Date().toISOString(),
            locked: false,
          },
        }
      : {}),
  };
}

function isThread({ type }: WorldChannel): boolean {
  return type >= 10 && type <= 12;
}

export function guildPayload(world: World, guild: WorldGuild) {
  const channels = guild.channelIds.flatMap((id) => world.channels.get(id) ?? []);
  return {
    id: guild.id,
    name: guild.name,
    owner_id: guild.id,
    joined_at: '2026-01-02T03:04:05.000Z',
    unavailable: false,
    member_count: 2,
    channels: channels.filter((channel) => !isThread(channel)).map(channelPayload),
    threads: channels.filter(isThread).map(channelPayload),
    roles: [{ id: guild.id, name: '@everyone', permissions: EVERYTHING, position: 0, color: 0 }],
    members: [{ user: userPayload(world.bot), roles: [], joined_at: '2026-01-02T03:04:05.000Z' }],
    emojis: [],
    stickers: [],
    features: [],
    voice_states: [],
    presences: [],
    stage_instances: [],
    guild_scheduled_events: [],
    preferred_locale: 'en-US',
  };
}

export function userPayload({ id, username, globalName, isBot }: WorldUser) {
  return { id, username, discriminator: '0', global_name: globalName, avatar: null, bot: isBot };
}

export function messagePayload(world: World, message: WorldMessage) {
  const guildId = world.channels.get(message.channelId)?.guildId ?? null;
  return {
    id: message.id,
    channel_id: message.channelId,
    ...(guildId === null ? {} : { guild_id: guildId, member: { nick: null, roles: [] } }),
    type: message.type,
    author: userPayload(message.author),
    content: message.content,
    timestamp: new Date(message.atMs).toISOString(),
    edited_timestamp:
      message.editedAtMs === null ? null : new Date(message.editedAtMs).toISOString(),
    tts: false,
    mention_everyone: false,
    mentions: [],
    mention_roles: [],
    pinned: false,
    attachments: message.files.map(({ name }, index) => ({ id: String(index), filename: name })),
    embeds: message.embeds,
    components: message.components,
    flags: message.flags,
    ...(message.replyTo === null ? {} : { message_reference: { message_id: message.replyTo } }),
  };
}
