import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPolicyEngine } from '../../infra/policy/engine.ts';
import { makeKey, openTestApi } from '../api/harness.ts';
import { aRequest } from '../infra/policy/requests.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { runCli, type CliRun } from './run-cli.ts';

checkLeaks();
const database = await createTestDatabase();
const api = await openTestApi(database);
const folder = await mkdtemp(join(tmpdir(), 'rookery-cli-policy-'));
const file = join(folder, 'policy.cedar');
afterAll(async () => {
  await rm(folder, { recursive: true });
  await api.close();
});
const workspaceId = await makeWorkspace(database.db);
const owner = await makeKey(database.db);
let url = '';
beforeAll(async () => {
  ({ url } = await api.listen());
});

function cli(...argv: readonly string[]): Promise<CliRun> {
  const env = {
    ROOKERY_API_KEY: owner.secret,
    ROOKERY_WORKSPACE: workspaceId,
    ROOKERY_ADMIN_URL: url,
  };
  return runCli(['policy', ...argv], { url, env });
}

test('a policy is shown, changed, tried, activated and taken back', async () => {
  const shown = await cli('show');
  expect(shown).toMatchObject({ code: 0, err: '' });
  expect(shown.out).toContain('@id("people-decide")');
  expect((await cli('history')).out).toBe('No versions: the built-in policy holds.\n');
  await writeFile(file, shown.out);
  expect(await cli('check', file)).toMatchObject({ code: 0, out: 'Good: 6 policies.\n' });
  expect((await cli('propose', file)).out).toContain('This is version 1.');

  const engine = createPolicyEngine({
    db: database.db,
    log: pino({ level: 'silent' }),
    records: { keep: 10, text: 'masked' },
  });
  await engine.decide(aRequest({ workspaceId }));
  await engine.close();
  await writeFile(
    file,
    `${shown.out}@id("no-rm") forbid (principal, action, resource) when { context.subject like "rm *" };\n`,
  );
  const proposed = await cli('propose', file, '--note', 'nothing is removed', '--json');
  expect(JSON.parse(proposed.out)).toMatchObject({ policy: { version: 2 }, warnings: [] });
  expect((await cli('diff', '2', '--against', '1')).out).toContain('+@id("no-rm") forbid');
  const tried = await cli('dry-run', '2', '--last', '5');
  expect(tried.out).toContain('Of the latest request, version 2 in the place of the built-in');
  expect(tried.out).toMatch(/1 ask→deny[\s\S]*ask \(default\) +deny \(no-rm\)/);

  expect(await cli('activate', '2')).toMatchObject({ code: 2 });
  expect((await cli('activate', '2', '--yes')).out).toBe('Version 2 holds.\n');
  const asked = ['test', 'agent.prompt', '--tool', 'Bash', '--subject', 'rm -rf build'];
  expect((await cli(...asked)).out).toBe('deny, by no-rm (cedar, version 2)\n');
  expect((await cli(...asked, '--against', '1')).out).toBe(
    'ask, by people-decide (cedar, version 1): People decide.\n',
  );
  expect((await cli('activate', '1', '--yes')).out).toBe('Version 1 holds.\n');
  expect((await cli('history')).out).toMatch(
    /VERSION +ENGINE[\s\S]*1 +cedar +since[\s\S]*2 +cedar/,
  );
});

test('mistakes are told with file, line and column', async () => {
  await writeFile(file, 'permit (principal, action, resource)\nwhen { context.rsk == 1 };\n');
  const checked = await cli('check', file);
  expect(checked.code).toBe(2);
  expect(checked.out).toContain(`${file}:2:8: error: `);
  expect(checked.out).toContain('did you mean `risk`?');
  const refused = await cli('propose', file);
  expect(refused).toMatchObject({ code: 2, out: '' });
  expect(refused.err).toContain('line 2, column 8');
  expect(await cli('propose')).toMatchObject({ code: 2 });
  expect(await cli('propose', join(folder, 'none'))).toMatchObject({ code: 2 });
  expect(await cli('show', '99')).toMatchObject({ code: 3 });
  expect(await cli('show', 'latest')).toMatchObject({ code: 2 });
});
