import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { makeKey, openTestApi } from '../api/harness.ts';
import { testFolder } from '../support/folder.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { runCli, type CliRun } from './run-cli.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());
const workspace = await makeWorkspace(db);
const owner = await makeKey(db);
let url = '';
beforeAll(async () => {
  ({ url } = await api.listen());
});

function cli(...argv: readonly string[]): Promise<CliRun> {
  const env = {
    ROOKERY_API_KEY: owner.secret,
    ROOKERY_WORKSPACE: workspace,
    ROOKERY_ADMIN_URL: url,
  };
  return runCli(argv, { url, env });
}

async function ok(...argv: readonly string[]): Promise<string> {
  const run = await cli(...argv);
  expect({ argv, code: run.code, err: run.err }).toEqual({ argv, code: 0, err: '' });
  return run.out;
}

async function idOf(...argv: readonly string[]): Promise<string> {
  const Made = z.object({ id: z.string() });
  return Made.parse(JSON.parse(await ok(...argv, '--json'))).id;
}

test('a person is made, given roles, recognised, asked about, and ended', async () => {
  const user = await idOf('user', 'create', 'Anna Example');
  expect(await ok('user', 'list')).toContain('Anna Example');
  expect(await ok('access', 'why', user, 'spawnAgents', '-w', workspace)).toMatch(
    /^No\. This needs the role operator; you have none here\..*Missing: the role operator or more/s,
  );
  const role = await idOf('role', 'grant', user, 'operator', '-w', workspace);
  await ok('role', 'grant', user, 'viewer', '--everywhere');
  await ok('role', 'grant', user, 'member', '-w', workspace, '--thing', 'tool:deploy');
  expect(await ok('access', 'why', user, 'spawnAgents', '-w', workspace)).toMatch(/^Yes\. /);
  expect(await ok('role', 'list', user)).toMatch(/operator[^]*everywhere[^]*tool deploy/);
  const identity = await idOf('user', 'link', user, '--telegram', '123456789');
  expect((await cli('user', 'link', user, '--telegram', '@anna')).code).toBe(2);
  expect(await ok('user', 'show', user)).toMatch(/Roles:[^]*operator[^]*telegram 123456789/);
  await ok('user', 'unlink', identity, '--yes');
  const key = await ok('key', 'create', 'laptop', '--user', user, '--role', 'operator');
  const secret = /rk_\S+/.exec(key)?.[0] ?? '';
  const asAnna = (...argv: readonly string[]) =>
    runCli(argv, { url, env: { ROOKERY_API_KEY: secret, ROOKERY_WORKSPACE: workspace } });
  expect((await asAnna('agents', 'list')).code).toBe(0);
  expect((await asAnna('access', 'why', 'me', 'listUsers', '-w', workspace)).out).toMatch(/^No\./);
  await ok('role', 'revoke', role, '--yes');
  expect(await ok('user', 'disable', user)).toContain('disabled');
  expect((await asAnna('agents', 'list')).code).not.toBe(0);
  expect(await ok('user', 'enable', user)).toContain('good');
});

test('two places at once, a name for an id, and an unknown thing are told of before anything is sent', async () => {
  const user = await idOf('user', 'create', 'Ben');
  const both = await cli('role', 'grant', user, 'viewer', '--everywhere', '--thing', 'tool:x');
  const named = await cli('role', 'grant', 'Ben', 'viewer');
  const thing = await cli('role', 'grant', user, 'viewer', '--thing', 'planet:x');
  expect([both.code, named.code, thing.code]).toEqual([2, 2, 2]);
  expect(both.err).toContain('one place');
  expect(named.err).toContain('usr_');
});

test('a context is made, says what holds in it, and its agents are told', async () => {
  const context = await idOf('context', 'create', 'support', '--name', 'Support');
  expect(await ok('context', 'list')).toContain('support');
  const file = join(testFolder(), 'rules.md');
  await writeFile(file, 'Be brief.\n');
  await ok('workspace', 'settings', 'set', '--prompt-file', file, '--models', 'claude-*');
  await ok(
    'context',
    'settings',
    'set',
    context,
    '--tools',
    'recall_memory,ask_*',
    '--memory',
    'off',
  );
  const shown = await ok('context', 'settings', 'show', context);
  expect(shown).toMatch(/systemPrompt +workspace +Be brief\./);
  expect(shown).toMatch(/tools +context +recall_memory, ask_\*/);
  expect(shown).toMatch(/approvals +default +hub_and_staff/);
  await ok('context', 'settings', 'set', context, '--inherit', 'tools');
  expect(await ok('context', 'settings', 'show', context)).toMatch(/tools +default +nothing said/);
  const spawned: unknown = JSON.parse(
    await ok('spawn', 'custom', '--context', context, '--json', '--', 'true'),
  );
  expect(spawned).toMatchObject({ agents: [{ type: 'custom' }] });
  const row = await db.selectFrom('agent').select('context_id').executeTakeFirstOrThrow();
  expect(row.context_id).toBe(context);
  const hub = await cli('context', 'hub', context);
  expect([hub.code, hub.err.includes('several people')]).toEqual([5, true]);
  expect(await ok('context', 'archive', context)).toContain('is archived');
});

test('a private workspace is made for somebody', async () => {
  const user = await idOf('user', 'create', 'Carla');
  const made: unknown = JSON.parse(
    await ok('workspace', 'create', 'carla', '--owner', user, '--json'),
  );
  expect(made).toMatchObject({ kind: 'private', ownerUserId: user });
  expect(await ok('access', 'actions')).toMatch(/spawnAgents +operator +agents:write/);
});
