import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { connectBot, DIRECT, pairAda } from '../support/chat/paired.ts';
import { TelegramServer } from '../support/chat/telegram-server.ts';
import { startRookery, type TestRookery } from '../support/rookery.ts';
import { checkNoProcesses } from './processes.ts';

let rookery: TestRookery;
let server: TelegramServer;
beforeAll(async () => {
  server = await TelegramServer.start();
  rookery = await startRookery({ script: [], set: ['log.level=warn'] });
}, 120_000);
afterAll(async () => {
  const { dataDir } = rookery;
  await rookery.dispose();
  await server.close();
  await checkNoProcesses(dataDir);
}, 60_000);
const WAIT = { timeout: 30_000, interval: 50 };
const helped = () => texts().filter((text) => /^\/(?:agents|approvals)\b/.test(text));
/** How many, where all are. */
async function sentPosts(id: string): Promise<number> {
  const { body } = await rookery.callAdmin('GET', `/v1/connectors/${id}/posts`);
  const { items } = z.object({ items: z.array(z.object({ state: z.string() })) }).parse(body);
  return items.every(({ state }) => state === 'sent') ? items.length : 0;
}
const texts = () => server.shown.map(({ text }) => text);

test(
  'somebody is paired, asks in a chat, and is answered by the runtime that was killed meanwhile',
  { timeout: 120_000 },
  async () => {
    const id = await connectBot(rookery, server);
    await pairAda(rookery, server);
    expect(server.commands.length).toBeGreaterThan(5);
    server.say({ chat: DIRECT, text: '/agents' });
    // The token, that she is linked, and the answer: noted as said, so that the kill hits none of them half-way.
    await expect.poll(() => sentPosts(id), WAIT).toBeGreaterThanOrEqual(3);
    await rookery.kill('up');
    server.say({ chat: DIRECT, text: '/help agents' });
    server.say({ chat: DIRECT, text: '/help approvals' });
    expect(server.unconfirmed).toBeGreaterThanOrEqual(2);
    await rookery.restart();
    // Each once, and in order.
    await expect.poll(() => helped().length, { ...WAIT, timeout: 60_000 }).toBe(2);
    expect(helped().map((text) => /^\/(\w+)/.exec(text)?.[1])).toEqual(['agents', 'approvals']);
    await expect.poll(() => server.unconfirmed, WAIT).toBe(0);
    const posts = await rookery.callAdmin('GET', `/v1/connectors/${id}/posts?state=uncertain`);
    expect(posts.body).toMatchObject({ items: [] });
  },
);

test('a stop in order leaves no reader behind', { timeout: 60_000 }, async () => {
  await rookery.stop();
  const polls = server.calls.length;
  server.say({ chat: DIRECT, text: 'is anybody there?' });
  expect(server.unconfirmed).toBe(1);
  expect(server.calls.length).toBe(polls);
});
