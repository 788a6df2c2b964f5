import { Routes, type REST } from 'discord.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Message } from './payload.ts';
import { CODES, codeOf, readError } from './rest.ts';

/** The most that Discord gives at once. */
const PAGE = 100;
/** Where Discord names no time. */
const WAIT_MS = 1_000;

const Page = z.array(Message);

/** What was said in a channel after a message, oldest first. Ends where we may not read. */
export async function* readHistory(
  rest: REST,
  channelId: string,
  { after, signal }: { readonly after: bigint; readonly signal: AbortSignal },
): AsyncGenerator<Message> {
  let from = after;
  for (;;) {
    const page = await readPage(rest, channelId, { after: from, signal });
    const messages = page.sort((left, right) => (BigInt(left.id) < BigInt(right.id) ? -1 : 1));
    for (const message of messages) {
      signal.throwIfAborted();
      yield message;
      from = BigInt(message.id);
    }
    if (messages.length < PAGE) return;
  }
}

/** Waits for limits as long as it takes: nobody waits for this. */
async function readPage(
  rest: REST,
  channelId: string,
  { after, signal }: { readonly after: bigint; readonly signal: AbortSignal },
): Promise<Message[]> {
  const query = new URLSearchParams({ after: String(after), limit: String(PAGE) });
  for (;;) {
    try {
      return Page.parse(await rest.get(Routes.channelMessages(channelId), { query, signal }));
    } catch (error) {
      signal.throwIfAborted();
      const code = codeOf(error);
      if (code !== null && CANNOT_READ.includes(code)) return [];
      const reason = readError(error);
      if (reason.retryAfterMs === null) throw reason;
      await sleep(Math.max(reason.retryAfterMs, WAIT_MS), undefined, { signal });
    }
  }
}

const CANNOT_READ: readonly number[] = [
  CODES.unknownChannel,
  CODES.missingAccess,
  CODES.missingPermissions,
];
