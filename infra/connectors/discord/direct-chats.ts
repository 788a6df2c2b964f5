import { z } from 'zod';
import type { UpdateSink } from '../contract.ts';
import { channelCursor } from './guilds.ts';
import { createMissed, type Missed } from './missed.ts';
import { createLimiter, type Work } from './work.ts';

/** Discord does not tell a bot which direct chats it has, so they are remembered: the ones that were used last. */
const CHATS_MAX = 500;
const CURSOR = 'direct';
const Chats = z.array(z.string());

export interface DirectChats {
  begin(): void;
  catchUp(work: Work): Promise<void>;
  /** Remembers a chat before the first message of it is taken, after what was missed in it. */
  met(channelId: string): Promise<void>;
}

export function createDirectChats(
  sink: UpdateSink,
  readMissed: (channelId: string, after: bigint) => Promise<void>,
): DirectChats {
  const writing = createLimiter(1);
  let known: string[] = [];
  let missed: Missed = createMissed(Promise.resolve(new Map()), readMissed);

  async function plan(): Promise<Map<string, bigint>> {
    known = Chats.parse(JSON.parse((await sink.cursor(CURSOR)) ?? '[]'));
    const starts = new Map<string, bigint>();
    for (const id of known) {
      const position = await sink.cursor(channelCursor(id));
      if (position !== null) starts.set(id, BigInt(position));
    }
    return starts;
  }

  return {
    begin() {
      missed = createMissed(plan(), readMissed);
    },
    async catchUp(work) {
      const current = missed;
      for (const id of (await current.plan).keys()) {
        work.inOrder(id, () => current.caughtUp(id));
      }
    },
    async met(channelId) {
      await missed.caughtUp(channelId);
      if (known.includes(channelId)) return;
      await writing(async () => {
        known = [...known, channelId].slice(-CHATS_MAX);
        await sink.advance(CURSOR, JSON.stringify(known));
      });
    },
  };
}
