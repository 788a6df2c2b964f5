import { Routes, type REST } from 'discord.js';
import { z } from 'zod';
import type { Message } from './message.ts';
import { BotUser } from './payload.ts';
import { codeOf } from './rest.ts';
import { numbersIn, snowflakeAt } from './snowflake.ts';

/** Posts of which it is not known whether they are there. Older ones are Discord's to tell, by their nonce. */
const DOUBTS_MAX = 1_000;
/** How far our clock may be from Discord's. */
const CLOCK_SKEW = numbersIn(60_000);
const PAGE = 100;
const PAGES_MAX = 5;

/**
 * Discord knows a nonce for a few minutes only, and a network can be away for longer. So a post of which it is not known
 * whether it was sent is looked for before it is sent again: the posts of a channel go out in order, and what reads the
 * same and was said by us since is that post.
 */
export interface Doubts {
  /** The post may be there or not, from now on. */
  add(key: string, atMs: number): void;
  settle(key: string): void;
  /** The number of the message where it is there after all. */
  find(key: string, channelId: string, message: Message): Promise<string | null>;
}

const Said = z.object({
  id: z.string(),
  author: z.object({ id: z.string() }),
  content: z.string(),
  embeds: z.array(z.object({ description: z.string().optional() })).default([]),
  components: z
    .array(z.object({ components: z.array(z.object({ custom_id: z.string().optional() })) }))
    .default([]),
});
type Said = z.infer<typeof Said>;

export function createDoubts(rest: REST): Doubts {
  const since = new Map<string, number>();
  let botId: string | null = null;

  return {
    add(key, atMs) {
      if (since.has(key)) return;
      const oldest = since.keys().next().value;
      if (since.size >= DOUBTS_MAX && oldest !== undefined) since.delete(oldest);
      since.set(key, atMs);
    },
    settle: (key) => void since.delete(key),
    async find(key, channelId, message) {
      const atMs = since.get(key);
      if (atMs === undefined) return null;
      botId ??= BotUser.parse(await rest.get(Routes.user())).id;
      let after = snowflakeAt(atMs) - CLOCK_SKEW;
      for (let pages = 0; pages < PAGES_MAX; pages += 1) {
        const page = await readPage(rest, channelId, after);
        const found = page.find((said) => said.author.id === botId && isSame(said, message));
        if (found !== undefined) return found.id;
        if (page.length < PAGE) return null;
        after = page.reduce((max, { id }) => (BigInt(id) > max ? BigInt(id) : max), after);
      }
      return null;
    },
  };
}

/** Nothing, where we may write and not read: then the nonce has to do. */
async function readPage(rest: REST, channelId: string, after: bigint): Promise<readonly Said[]> {
  try {
    const query = new URLSearchParams({ after: String(after), limit: String(PAGE) });
    return z.array(Said).parse(await rest.get(Routes.channelMessages(channelId), { query }));
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return [];
  }
}

/** Buttons carry a number that is used once, so that two cards are never the same. */
function isSame({ content, embeds, components }: Said, { body }: Message): boolean {
  const ids = (rows: Said['components']) =>
    rows.flatMap((row) => row.components.map((each) => each.custom_id));
  return (
    content.trim() === (body.content ?? '').trim() &&
    (embeds[0]?.description ?? '').trim() === (body.embeds?.[0]?.description ?? '').trim() &&
    ids(components).join('\n') === ids(Said.shape.components.parse(body.components)).join('\n')
  );
}
