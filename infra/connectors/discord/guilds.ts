import type { UpdateSink } from '../contract.ts';
import { createMissed, type Missed } from './missed.ts';
import type { ChannelPayload, Guild } from './payload.ts';
import { numbersIn, timeOf } from './snowflake.ts';
import { isTalkedIn, placeOfGuild } from './update.ts';
import { createWatermark, type Watermark } from './watermark.ts';
import type { Work } from './work.ts';

export interface GuildsOptions {
  readonly sink: UpdateSink;
  readonly mayRead: (channelId: string) => boolean;
  /** Stores what was said in a channel of a guild after a message. */
  readonly readMissed: (guildId: string) => (channelId: string, after: bigint) => Promise<void>;
}

/** Messages of different channels may arrive so much out of order. */
const DISORDER = numbersIn(60_000);
/** A mark that is older costs a look into the channels that were busy since, and nothing else. */
const SAVE_EVERY_MS = 5_000;
/** In the place of a mark: the bot was taken out, and what is said is none of ours. */
const LEFT = 'left';

export function channelCursor(channelId: string): string {
  return `channel:${channelId}`;
}

interface State {
  readonly mark: Watermark;
  missed: Missed | null;
  savedAtMs: number;
  saved: bigint | null;
}

export interface Guilds {
  /** The guild is here, or here again. What it returns stores what was missed, as far as nobody did before. */
  begin(guild: Guild, isJoined: boolean): { catchUp(work: Work): Promise<void> };
  caughtUp(guildId: string, channelId: string): Promise<void>;
  leave(guild: Guild): Promise<void>;
  markOf(guildId: string): Watermark;
  /** Where it is long ago that it was done. */
  saveSometimes(guildId: string): Promise<void>;
  save(): Promise<void>;
}

export function createGuilds(options: GuildsOptions): Guilds {
  const { sink } = options;
  const states = new Map<string, State>();

  function stateOf(guildId: string): State {
    const state = states.get(guildId) ?? {
      mark: createWatermark(),
      missed: null,
      savedAtMs: performance.now(),
      saved: null,
    };
    states.set(guildId, state);
    return state;
  }

  async function save(guildId: string, state: State): Promise<void> {
    const reached = state.mark.reached();
    state.savedAtMs = performance.now();
    if (reached === null || reached === state.saved) return;
    state.saved = reached;
    await sink.advance(guildCursor(guildId), String(reached));
  }

  return {
    begin(guild, isJoined) {
      const state = stateOf(guild.id);
      const { missed, release } = beginMissed(guild, state.mark, options);
      state.missed = missed;
      return {
        async catchUp(work) {
          if (isJoined) await sink.take(`j:${guild.id}:${guild.joined_at ?? ''}`, joined(guild));
          const starts = await missed.plan;
          // Not waited for: other news of this guild may be handled meanwhile.
          void Promise.all(
            [...starts.keys()].map((channelId) => inTurn(work, channelId, missed)),
          ).then(release);
          await save(guild.id, state);
        },
      };
    },
    async caughtUp(guildId, channelId) {
      await states.get(guildId)?.missed?.caughtUp(channelId);
    },
    async leave({ id, name }) {
      const at = Date.now();
      await sink.take(`l:${id}:${at}`, { kind: 'left', place: placeOfGuild({ id, name }), at });
      states.delete(id);
      await sink.advance(guildCursor(id), LEFT);
    },
    markOf: (guildId) => stateOf(guildId).mark,
    async saveSometimes(guildId) {
      const state = states.get(guildId);
      if (state === undefined || performance.now() - state.savedAtMs < SAVE_EVERY_MS) return;
      await save(guildId, state);
    },
    async save() {
      for (const [guildId, state] of states) await save(guildId, state);
    },
  };
}

/** `release`, when all is stored, lets the mark go on from where it stood. */
function beginMissed(
  guild: Guild,
  mark: Watermark,
  { sink, mayRead, readMissed }: GuildsOptions,
): { readonly missed: Missed; readonly release: () => void } {
  const channels = [...guild.channels, ...guild.threads].filter(isTalkedIn);
  const latest = channels.reduce((max, channel) => larger(max, lastOf(channel)), 0n);
  const before = mark.reached();
  let release = before === null ? NOTHING : mark.begin(before + 1n);
  const plan = async (): Promise<Map<string, bigint>> => {
    const start = before ?? (await storedMark(sink, guild.id));
    mark.startAt(start ?? latest);
    if (start === null) return new Map();
    if (before === null) release = mark.begin(start + 1n);
    mark.begin(latest)();
    const since = larger(start - DISORDER, 0n);
    const busy = channels.filter((channel) => lastOf(channel) > since && mayRead(channel.id));
    const starts = new Map<string, bigint>();
    for (const { id } of busy) {
      // What was stored of this channel was stored in order, so that nothing is handed over twice.
      starts.set(id, BigInt((await sink.cursor(channelCursor(id))) ?? since));
    }
    return starts;
  };
  return {
    missed: createMissed(plan(), readMissed(guild.id)),
    release: () => release(),
  };
}

/** Where the mark stood when we were last here; null where we were not: what was said before is none of ours. */
async function storedMark(sink: UpdateSink, guildId: string): Promise<bigint | null> {
  const position = await sink.cursor(guildCursor(guildId));
  return position === null || position === LEFT ? null : BigInt(position);
}

/** Resolves when what was missed in a channel is stored, which its newer messages wait for. */
function inTurn(work: Work, channelId: string, missed: Missed): Promise<void> {
  return new Promise((resolve) => {
    work.inOrder(channelId, () => missed.caughtUp(channelId).then(resolve));
  });
}

const NOTHING = (): void => undefined;

function guildCursor(guildId: string): string {
  return `guild:${guildId}`;
}

function joined(guild: Guild) {
  const at = Date.parse(guild.joined_at ?? '');
  return {
    kind: 'joined' as const,
    place: placeOfGuild(guild),
    at: Number.isNaN(at) ? timeOf(guild.id) : at,
  };
}

function lastOf({ last_message_id: last }: ChannelPayload): bigint {
  return last === null || last === undefined ? 0n : BigInt(last);
}

function larger(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}
