import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type RunningApi } from '../../api/server.ts';
import { createTelegramConnector } from '../../infra/connectors/telegram/connector.ts';
import { makeKey, openTestApi } from '../api/harness.ts';
import { TelegramServer, TOKEN } from '../support/chat/telegram-server.ts';
import { testFolder } from '../support/folder.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { runCli, type CliRun } from './run-cli.ts';

checkLeaks();
const database = await createTestDatabase();
const api = await openTestApi(database);
const telegram = await TelegramServer.start();
const deps = {
  ...api.deps,
  connectors: {
    max: 5,
    factories: { telegram: createTelegramConnector },
    pollTimeoutMs: 1_000,
    mayName: (reference: string) => reference.startsWith('env:TELEGRAM_'),
    resolve: () => Promise.resolve(TOKEN),
    log: api.deps.logger,
  },
};
let listening: RunningApi;
beforeAll(async () => {
  await makeWorkspace(database.db);
  listening = await startApi(deps, { kind: 'admin', hostname: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await listening.close();
  await api.close();
  await telegram.close();
});
const owner = await makeKey(database.db);

function cli(...argv: readonly string[]): Promise<CliRun> {
  const { url } = listening;
  const env = { ROOKERY_API_KEY: owner.secret, ROOKERY_ADMIN_URL: url };
  return runCli(['connector', ...argv], { url, env });
}

test('a bot is connected, tried, changed, listed and removed', async () => {
  const file = join(testFolder(), 'token.txt');
  writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
  const root = ['--api-root', telegram.apiRoot];
  const made = await cli('add', 'telegram', '--name', 'team', '--token-file', file, ...root);
  expect(made).toMatchObject({ code: 0, err: '' });
  const [id = ''] = /con_\w{26}/.exec(made.out) ?? [];
  expect((await cli('test', id)).out).toBe('It is RookeryTestBot (123456).\n');
  expect((await cli('list')).out).toMatch(/ID +NETWORK +NAME +STATE[\s\S]*telegram +team +stopped/);
  const pushed = await cli('set', id, '--webhook', 'https://rookery.example.com', '--json');
  expect(JSON.parse(pushed.out).settings).toEqual({
    apiRoot: telegram.apiRoot,
    webhookUrl: 'https://rookery.example.com',
  });
  const asked = await cli('set', id, '--polling', '--state', 'off', '--json');
  expect(JSON.parse(asked.out)).toMatchObject({
    enabled: false,
    settings: { apiRoot: telegram.apiRoot },
  });
  expect((await cli('secret', id, '--secret-ref', 'env:TELEGRAM_BOT_TOKEN')).out).toBe(
    'The new secret of team is taken.\n',
  );
  expect((await cli('show', id)).out).toContain('env:TELEGRAM_BOT_TOKEN');
  telegram.revoke();
  expect(await cli('test', id)).toMatchObject({ code: 1 });
  expect((await cli('posts', id, '--state', 'uncertain')).out).toBe('No posts.\n');
  expect((await cli('retry', id)).out).toBe('0 are handled again.\n');
  expect((await cli('remove', id, '--yes')).out).toBe(`Removed: team (${id}).\n`);
  expect((await cli('list')).out).toBe('No connectors.\n');
});

test('what is wrong is said, and a token that was typed in the wrong place is not repeated', async () => {
  const wrong = await cli('show', TOKEN);
  expect(wrong.code).toBe(2);
  const nothing = await cli('add', 'telegram', '--token-file', '/nowhere/token');
  expect(nothing).toMatchObject({ code: 2, err: expect.stringContaining('cannot be read') });
  const both = await cli('add', 'telegram', '--token-file', 'x', '--secret-ref', 'env:TELEGRAM_X');
  expect(both.code).toBe(2);
  const reference = await cli('add', 'telegram', '--secret-ref', TOKEN);
  expect(reference.code).not.toBe(0);
  const again = await cli('send-again', 'pst_wrong');
  expect(again.code).toBe(2);
  for (const { out, err } of [wrong, nothing, both, reference, again]) {
    expect(out + err).not.toContain(TOKEN);
  }
});
