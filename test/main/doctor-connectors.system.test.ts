import { afterAll, expect, test } from 'vitest';
import { readConfig } from '../../infra/config/read.ts';
import { checkConnectors } from '../../main/doctor-connectors.ts';
import { addConnector, startEngine } from '../support/chat/engine.ts';
import { TelegramServer } from '../support/chat/telegram-server.ts';
import { testFolder } from '../support/folder.ts';
import { createTestDatabase } from '../support/postgres.ts';

const database = await createTestDatabase();
const server = await TelegramServer.start();
afterAll(() => server.close());
const look = (databaseUrl: string | null) => {
  const cwd = testFolder();
  const flags = databaseUrl === null ? {} : { databaseUrl };
  return checkConnectors({ config: readConfig({ env: {}, flags, cwd }), env: {} });
};

test('bots of a running Rookery are told with what is wrong, and where none runs nothing is looked at', async () => {
  expect(await look(null)).toMatchObject({
    status: 'ok',
    found: 'Rookery does not run: not looked at',
  });
  expect(await look(database.url)).toMatchObject({
    status: 'ok',
    found: 'none (docs/connectors.md)',
  });
  await addConnector(database.db, { apiRoot: server.apiRoot });
  expect(await look(database.url)).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('no process runs it'),
  });
  const engine = await startEngine(database, { handle: () => Promise.resolve() });
  await expect
    .poll(() => look(database.url), { timeout: 15_000 })
    .toMatchObject({ status: 'ok', found: expect.stringContaining('connected') });
  server.revoke();
  await expect
    .poll(() => look(database.url), { timeout: 15_000 })
    .toMatchObject({
      status: 'warn',
      found: expect.stringContaining('refused'),
      fix: expect.stringContaining('connector'),
    });
  await engine.stop();
  expect(await look('postgres://nobody@127.0.0.1:1/none')).toMatchObject({ status: 'warn' });
});
