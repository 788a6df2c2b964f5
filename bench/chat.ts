import { request } from 'undici';
import { connectBot, DIRECT, pairAda } from '../test/support/chat/paired.ts';
import { TelegramServer, TOKEN } from '../test/support/chat/telegram-server.ts';
import { startRookery } from '../test/support/rookery.ts';
import { median, percentile, type BenchResult } from './result.ts';

const ROUNDS = 150;
const WARM_UP_ROUNDS = 20;
const GOAL_MS = 150;
const FLOOD_MESSAGES = 1_000;
const FLOOD_CHATS = 20;
const FLOOD_GOAL_PER_MINUTE = 1_000;
const ANSWER_TIMEOUT_MS = 90_000;

/**
 * From a message that a paired user writes to its answer's arrival at the network, through a whole runtime: stored, told
 * as received, handled by the gate that HTTP goes through, put into the outbox, sent. Beside a bare call of the same kind.
 */
export async function benchChat(): Promise<readonly BenchResult[]> {
  const server = await TelegramServer.start();
  const rookery = await startRookery({ script: [], set: ['log.level=warn'] });
  try {
    await connectBot(rookery, server);
    await pairAda(rookery, server);
    return [await latency(server), await flood(server)];
  } finally {
    await rookery.dispose();
    await server.close();
  }
}

async function latency(server: TelegramServer): Promise<BenchResult> {
  const ours: number[] = [];
  const raw: number[] = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    const answered = arrivals(server, 1);
    const saidAtMs = performance.now();
    server.say({ chat: DIRECT, text: '/agents' });
    const ourMs = (await answered) - saidAtMs;
    const rawMs = await bareMs(server);
    if (round < 0) continue;
    ours.push(ourMs);
    raw.push(rawMs);
  }
  return {
    name: 'message of a chat to its answer handed to the network, p50',
    unit: 'ms',
    ours: median(ours),
    raw: median(raw),
    ratio: median(ours) / median(raw),
    goal: `≤ ${GOAL_MS} ms`,
    pass: median(ours) <= GOAL_MS,
    details: { 'p95, ours': percentile(ours, 95), 'p95, raw': percentile(raw, 95) },
  };
}

async function flood(server: TelegramServer): Promise<BenchResult> {
  const rawStartedAt = performance.now();
  for (let index = 0; index < FLOOD_MESSAGES; index += 1) await bareMs(server);
  const raw = perMinute(performance.now() - rawStartedAt);
  const before = server.shown.length;
  const answered = arrivals(server, FLOOD_MESSAGES);
  const startedAt = performance.now();
  for (let index = 0; index < FLOOD_MESSAGES; index += 1) {
    // By the same person in groups, so that each place has its own line.
    const chat = { id: -5_000 - (index % FLOOD_CHATS), type: 'group', title: 'Team' };
    server.say({ chat, text: '/help agents' });
  }
  const ours = perMinute((await answered) - startedAt);
  const replies = server.shown.length - before;
  return {
    name: 'messages of 20 chats answered in a minute, each stored and sent once',
    unit: '/min',
    ours,
    raw,
    ratio: ours / raw,
    goal: `≥ ${FLOOD_GOAL_PER_MINUTE}/min, none lost`,
    pass: ours >= FLOOD_GOAL_PER_MINUTE && replies === FLOOD_MESSAGES,
  };
}

function perMinute(ms: number): number {
  return (FLOOD_MESSAGES * 60_000) / ms;
}

/** Resolves with the moment at which so many messages have come since. */
async function arrivals(server: TelegramServer, count: number): Promise<number> {
  const wanted = server.sends + count;
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const reached = Promise.withResolvers<number>();
  timeout.addEventListener('abort', () => reached.reject(new Error('No answer came.')));
  server.onSend = (sends) => {
    if (sends >= wanted) reached.resolve(performance.now());
  };
  return reached.promise;
}

async function bareMs(server: TelegramServer): Promise<number> {
  const startedAt = performance.now();
  const { body } = await request(`${server.apiRoot}/bot${TOKEN}/getMe`, { method: 'POST' });
  await body.dump();
  return performance.now() - startedAt;
}
