import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { makeKey, openTestApi } from '../api/harness.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { startReceiver } from '../support/receiver.ts';
import { happen, runWebhooks } from '../support/webhooks.ts';
import { runCli, type CliRun } from './run-cli.ts';

checkLeaks();
const database = await createTestDatabase();
const api = await openTestApi(database);
const receiver = await startReceiver();
afterAll(async () => {
  await api.close();
  await receiver.close();
});
const workspace = await makeWorkspace(database.db);
const owner = await makeKey(database.db);
let url = '';
beforeAll(async () => {
  ({ url } = await api.listen());
});

function cli(...argv: readonly string[]): Promise<CliRun> {
  const env = { ROOKERY_API_KEY: owner.secret, ROOKERY_WORKSPACE: workspace };
  // By the database's clock, against which it shows how long the old secret is good.
  return runCli(['webhook', ...argv], { url, env, now: () => Date.now() });
}

const Made = z.object({ webhook: z.object({ id: z.string() }), secret: z.string() });

test('a webhook is made, tried, told, replayed, changed and deleted', async () => {
  const made = await cli('create', receiver.url, '--type', 'agent.*', '--description', 'ops');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(made.out).toMatch(/shown this once:\n\nwhsec_\S{44}\n$/);
  const [id = ''] = /whk_\w{26}/.exec(made.out) ?? [];
  expect((await cli('ping', id)).out).toMatch(/^Taken with 204 in \d+ ms\.\n$/);

  const running = await runWebhooks(database, {
    unseal: (sealed) => api.deps.secrets.unseal(sealed),
  });
  await happen(database.db, workspace, 3);
  await receiver.until(4);
  await expect
    .poll(async () => (await cli('deliveries', id, '--state', 'delivered')).out, {
      timeout: 20_000,
    })
    .toMatch(/EVENT[\s\S]*\b4 +agent\.warning +delivered[\s\S]*\b2 /);
  const replayed = await cli('replay', id, '--from', '3');
  expect(replayed.out).toBe('Sending again from event 3 on.\n');
  const told = await receiver.until(6);
  expect(told.slice(4).map((one) => one.id)).toEqual([`${id}:3`, `${id}:4`]);
  await running.stop();

  const off = await cli('set', id, '--state', 'off', '--json');
  expect(JSON.parse(off.out)).toMatchObject({ enabled: false, disabledReason: 'person' });
  expect((await cli('list')).out).toMatch(/ID +STATE +GOES TO[\s\S]* off /);
  expect((await cli('show', id)).out).toContain('Told up to');
  expect(await cli('ping', id)).toMatchObject({ code: 5 });
  expect((await cli('delete', id, '--yes')).out).toBe(`Deleted: ${id}.\n`);
  expect((await cli('list')).out).toBe('No webhooks.\n');
}, 60_000);

test('a webhook for spawn callbacks says its format', async () => {
  const made = await cli('create', receiver.url, '--format', 'spawn-callback');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(made.out).toMatch(/Format +spawn-callback\n/);
  expect(await cli('create', receiver.url, '--format', 'other')).toMatchObject({ code: 2 });
  const [id = ''] = /whk_\w{26}/.exec(made.out) ?? [];
  expect((await cli('delete', id, '--yes')).code).toBe(0);
});

test('a secret is replaced and shown once, and callbacks have an address', async () => {
  const made = Made.parse(JSON.parse((await cli('create', '--inbound', '--json')).out));
  const { id } = made.webhook;
  const rotated = await cli('rotate', id, '--overlap', '2h');
  expect(rotated.out).toContain(`Callbacks go to ${url}/v1/callbacks/${id}`);
  expect(rotated.out).toMatch(/Old secret +ends in \d (?:h|min)/);
  expect(rotated.out).not.toContain(made.secret);
});

test('mistakes are told in words', async () => {
  expect(await cli('create')).toMatchObject({ code: 2, err: expect.stringContaining('--inbound') });
  expect(await cli('create', 'http://10.0.0.1/')).toMatchObject({
    err: expect.stringContaining('webhooks.allowPrivate'),
  });
  const secret = await cli('show', 'whsec_mistaken');
  expect(secret).toMatchObject({ code: 2 });
  expect(secret.err).not.toContain('whsec_mistaken');
  const id = `whk_${'0'.repeat(26)}`;
  expect((await cli('set', id)).err).toContain('Say what to change');
  expect((await cli('show', id)).err).toContain('There is no such webhook');
});
