import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { insertConnector } from '../../../infra/db/queries/connector.ts';
import { startDiscordServer } from '../../support/chat/discord-server.ts';
import { seal } from '../../support/chat/engine.ts';
import { createEngineProcess } from '../../support/chat/engine-process.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { newId } from '../../support/records.ts';

const database = await createTestDatabase();
const { db } = database;
await makeWorkspace(db);
const server = await startDiscordServer();
const CHILD = join(import.meta.dirname, '..', '..', 'support', 'chat', 'discord-engine-child.ts');
const MESSAGES = 1_000;
const CHANNELS = 10;
const KILLS = 5;
const engine = createEngineProcess(CHILD, database.url);
afterAll(async () => {
  await engine.kill();
  await server.close();
});

test(
  'of a thousand messages on Discord none is lost and each is answered once and in order, through five kills',
  { timeout: 120_000 },
  async () => {
    const { world } = server;
    const guild = world.addGuild('Rooks');
    const channels = Array.from({ length: CHANNELS }, () => world.addChannel({ guild }));
    const ada = world.addUser('ada');
    const connectorId = newId('connector');
    await insertConnector(db, {
      id: connectorId,
      network: 'discord',
      name: 'discord',
      settings: { apiRoot: server.apiRoot },
      secretRef: null,
      sealedSecret: seal(server.token),
      webhookSecret: seal('none'),
      createdBy: 'test',
    });
    const shown = () =>
      channels.flatMap(({ messages }) => messages.filter(({ author }) => author === world.bot));
    await engine.start();
    await expect.poll(() => server.gateway.connections(), { timeout: 20_000 }).toBe(1);
    let count = 0;
    for (let round = 0; round < KILLS; round += 1) {
      const before = shown().length;
      for (let index = 0; index < MESSAGES / KILLS; index += 1) {
        const channel = channels[count % CHANNELS];
        if (channel !== undefined) server.say(channel, ada, `message ${count}`);
        count += 1;
        if (index % 20 === 0) await sleep(20);
      }
      // It works on them: only then is it killed.
      await expect
        .poll(() => shown().length, { timeout: 30_000, interval: 5 })
        .toBeGreaterThan(before + 10);
      await engine.kill();
      await engine.start();
    }
    await expect.poll(() => shown().length, { timeout: 60_000, interval: 100 }).toBe(MESSAGES);
    const unsettled = async () =>
      (
        await db
          .selectFrom('post')
          .select(['state', 'error'])
          .where('state', '<>', 'sent')
          .execute()
      ).length;
    await expect.poll(unsettled, { timeout: 30_000, interval: 100 }).toBe(0);
    for (const { messages } of channels) {
      const said = messages
        .filter(({ author }) => author === ada)
        .map(({ content }) => `echo ${content}`);
      const answered = messages
        .filter(({ author }) => author === world.bot)
        .map(({ content }) => content);
      expect(answered).toEqual(said);
    }
  },
);
