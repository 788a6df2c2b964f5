import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { addConnector } from '../../support/chat/engine.ts';
import { createEngineProcess } from '../../support/chat/engine-process.ts';
import { ADA, TelegramServer } from '../../support/chat/telegram-server.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';

const database = await createTestDatabase();
const { db } = database;
await makeWorkspace(db);
const server = await TelegramServer.start();
const CHILD = join(import.meta.dirname, '..', '..', 'support', 'chat', 'engine-child.ts');
const MESSAGES = 1_000;
const CHATS = 10;
const KILLS = 5;
const engine = createEngineProcess(CHILD, database.url);
afterAll(async () => {
  await engine.kill();
  await server.close();
});

test(
  'of a thousand messages none is lost and none answered twice, through five kills',
  { timeout: 120_000 },
  async () => {
    const connectorId = await addConnector(db, { apiRoot: server.apiRoot });
    await engine.start();
    const said: string[] = [];
    // In bursts, faster than a thousand in a minute, so that each kill hits work.
    for (let round = 0; round < KILLS; round += 1) {
      for (let index = 0; index < MESSAGES / KILLS; index += 1) {
        const chatId = -1_000 - (said.length % CHATS);
        const text = `message ${said.length}`;
        said.push(text);
        server.say({ chat: { id: chatId, type: 'supergroup', title: 'Team' }, from: ADA, text });
        if (index % 20 === 0) await sleep(20);
      }
      const shownBefore = server.shown.length;
      // It works on them: only then is it killed.
      await expect
        .poll(() => server.shown.length, { timeout: 30_000, interval: 5 })
        .toBeGreaterThan(shownBefore + 10);
      await engine.kill();
      await engine.start();
    }

    await expect.poll(() => server.unconfirmed, { timeout: 60_000, interval: 100 }).toBe(0);
    const left = async () =>
      (
        await db
          .selectFrom('chat_update')
          .select('key')
          .where('connector_id', '=', connectorId)
          .where('state', '<>', 'handled')
          .execute()
      ).length;
    await expect.poll(left, { timeout: 60_000, interval: 100 }).toBe(0);
    const rows = () =>
      db
        .selectFrom('post')
        .select(['id', 'state'])
        .where('connector_id', '=', connectorId)
        .execute();
    const unsettled = async () =>
      (await rows()).filter(({ state }) => state === 'queued' || state === 'sending').length;
    await expect.poll(unsettled, { timeout: 60_000, interval: 100 }).toBe(0);

    const posts = await rows();
    expect(posts).toHaveLength(MESSAGES);
    expect(posts.filter(({ state }) => state === 'failed')).toEqual([]);
    const uncertain = posts.filter(({ state }) => state === 'uncertain').length;
    // At most what was on its way at each kill: a post for each place.
    expect(uncertain).toBeLessThanOrEqual(KILLS * 8);
    const texts = server.shown.map(({ text }) => text);
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts.length).toBeGreaterThanOrEqual(MESSAGES - uncertain);
    for (let chat = 0; chat < CHATS; chat += 1) {
      const shown = server.shown
        .filter(({ chatId }) => chatId === -1_000 - chat)
        .map(({ text }) => text);
      const inOrder = said
        .filter((_text, index) => index % CHATS === chat)
        .map((text) => `echo ${text}`);
      expect(shown).toEqual(inOrder.filter((text) => shown.includes(text)));
    }
  },
);
