import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import type { WorkspaceId } from '../../domain/id.ts';
import type { PolicyDecision, PolicyRequest } from '../../domain/policy.ts';
import { openDatabase } from '../../infra/db/pool.ts';
import { createPolicyEngine, type ComposedPolicyEngine } from '../../infra/policy/engine.ts';
import { DEFAULT_CEDAR } from '../../infra/policy/default-policy.ts';
import { aRequest } from '../infra/policy/requests.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { callAs, makeKey, openTestApi, type Called } from './harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
const log = pino({ level: 'silent' });
const records = { keep: 5, text: 'masked' } as const;
/** As several processes have: each with what it has read itself. */
const engines = [1, 2].map(() => createPolicyEngine({ db, log, records }));
afterAll(async () => {
  for (const engine of engines) await engine.close();
  await api.close();
});
const overlord = await makeKey(db);
const asOverlord = callAs(api.app, overlord);
let workspaceId: WorkspaceId;

beforeEach(async () => {
  workspaceId = await makeWorkspace(db);
});

const ALLOW = '@id("allow-all") permit (principal, action, resource);\n';
const DENY = '@id("deny-all") forbid (principal, action, resource);\n';

function propose(body: Readonly<Record<string, unknown>>, idempotencyKey = randomUUID()) {
  return asOverlord(`/v1/workspaces/${workspaceId}/policies`, { body, idempotencyKey });
}

async function idOf(text: string): Promise<string> {
  const made = await propose({ text });
  expect(made.status).toBe(201);
  return String(Object(made.body['policy']).id);
}

function activate(id: string): Promise<Called> {
  return asOverlord(`/v1/policies/${id}/activate`, { body: {} });
}

function ask(request: Partial<PolicyRequest> = {}): Promise<PolicyDecision[]> {
  const asked = aRequest({ workspaceId, ...request });
  return Promise.all(engines.map((engine) => engine.decide(asked)));
}

function itemsOf(answer: Called): readonly Readonly<Record<string, unknown>>[] {
  const items = answer.body['items'];
  return Array.isArray(items) ? items : [];
}

test('a workspace without a policy shows the built-in one as a text to begin with', async () => {
  const shown = await asOverlord(`/v1/workspaces/${workspaceId}/policy`);
  expect(shown.body).toMatchObject({ id: null, version: 0, engine: 'built-in', active: true });
  expect(shown.body['text']).toBe(DEFAULT_CEDAR);
  expect(await ask()).toMatchObject([{ engine: 'built-in' }, { engine: 'built-in' }]);
  const made = await propose({ text: DEFAULT_CEDAR });
  expect(made).toMatchObject({ status: 201, body: { warnings: [] } });
});

test('a proposal is kept once, decides nothing, and is told and audited', async () => {
  const key = randomUUID();
  const made = await propose({ text: ALLOW, note: 'try' }, key);
  expect(made.body).toMatchObject({
    policy: { version: 1, engine: 'cedar', note: 'try', active: false, createdBy: overlord.id },
  });
  expect((await propose({ text: ALLOW, note: 'try' }, key)).body).toEqual(made.body);
  // The newest version says it already.
  const same = await propose({ text: ALLOW });
  expect(same).toMatchObject({ status: 200, body: { policy: { version: 1 } } });
  expect((await propose({ text: DENY })).body).toMatchObject({ policy: { version: 2 } });
  expect(itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/policies`))).toMatchObject([
    { version: 1, digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
    { version: 2 },
  ]);
  expect(await ask()).toMatchObject([{ engine: 'built-in' }, { engine: 'built-in' }]);
  const events = itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/events`));
  expect(events).toMatchObject([{ type: 'policy.proposed' }, { type: 'policy.proposed' }]);
  const audit = itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/audit`));
  expect(audit).toMatchObject([{ action: 'policy.propose' }, { action: 'policy.propose' }]);
});

test('what is wrong with a text is said with line and column, and nothing is kept', async () => {
  const text = `${ALLOW}permit (principal, action, resource)\nwhen { context.rsk == 1 };`;
  const refused = await propose({ text });
  expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect(refused.body['detail']).toMatch(/line 3, column 8: .*rsk.*did you mean `risk`/);
  const checked = await asOverlord(`/v1/workspaces/${workspaceId}/policies/check`, {
    body: { text },
  });
  expect(checked.body).toMatchObject({
    valid: false,
    rules: [],
    problems: [{ severity: 'error', line: 3, column: 8 }],
  });
  expect(itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/policies`))).toEqual([]);
});

test.each([
  ['no engine', { engine: 'lua', text: '' }],
  ['a text for the built-in one', { engine: 'built-in', text: ALLOW }],
  ['OPA where there is none', { engine: 'opa', text: 'a/b' }],
  ['nothing', {}],
  ['U+0000', { text: `${ALLOW}\u0000` }],
  [
    'nesting that breaks Cedar',
    {
      text: `permit(principal,action,resource) when {${'!('.repeat(5_000)}true${')'.repeat(5_000)}};`,
    },
  ],
])('a proposal with %s is refused', async (_title, body) => {
  expect((await propose(body)).status).toBe(400);
});

test('an answered activation is in force in every process, also back to an older version', async () => {
  const [allow, deny] = [await idOf(ALLOW), await idOf(DENY)];
  for (const [id, expected] of [
    [allow, 'allow'],
    [deny, 'deny'],
    [allow, 'allow'],
  ] as const) {
    // Read just before, so that each process has the one before in its memory.
    await ask();
    expect((await activate(id)).body).toMatchObject({ id, active: true, activatedBy: overlord.id });
    expect((await ask()).map(({ verdict }) => verdict)).toEqual([expected, expected]);
  }
  const events = itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/events`));
  expect(events.filter(({ type }) => type === 'policy.activated')).toMatchObject([
    { subjectId: allow, data: { version: 1, before: { version: 0, engine: 'built-in' } } },
    { subjectId: deny, data: { version: 2, before: { id: allow, version: 1 } } },
    { subjectId: allow, data: { version: 1, before: { id: deny, version: 2 } } },
  ]);
  const audit = itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/audit`));
  expect(audit.filter(({ action }) => action === 'policy.activate')).toHaveLength(3);
});

test('while versions change under load, each decision is whole and of one of them', async () => {
  const [allow, deny] = [await idOf(ALLOW), await idOf(DENY)];
  await activate(allow);
  const over = new AbortController();
  const seen = new Set<string>();
  const load = async (engine: ComposedPolicyEngine): Promise<void> => {
    while (!over.signal.aborted) {
      const { verdict, rule, version } = await engine.decide(aRequest({ workspaceId }));
      seen.add(`${verdict} ${rule} ${version}`);
      await new Promise(setImmediate);
    }
  };
  const loads = engines.map(load);
  await activate(deny);
  await activate(allow);
  over.abort();
  await Promise.all(loads);
  expect([...seen].sort()).toEqual(['allow allow-all 1', 'deny deny-all 2']);
});

test('activating what holds already changes and tells nothing', async () => {
  const allow = await idOf(ALLOW);
  await activate(allow);
  const once = itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/events`)).length;
  expect((await activate(allow)).status).toBe(200);
  expect(itemsOf(await asOverlord(`/v1/workspaces/${workspaceId}/events`))).toHaveLength(once);
});

test('out of a policy that denies everyone the way back is open', async () => {
  await activate(await idOf(DENY));
  expect((await ask()).map(({ rule }) => rule)).toEqual(['deny-all', 'deny-all']);
  const builtIn = await propose({ engine: 'built-in' });
  const { id, version } = Object(builtIn.body['policy']);
  expect((await activate(String(id))).status).toBe(200);
  expect(await ask()).toMatchObject([
    { engine: 'built-in', version, verdict: 'ask' },
    { engine: 'built-in', version },
  ]);
});

test('a version never changes, whoever tries', async () => {
  const id = await idOf(ALLOW);
  const change = db.updateTable('policy').set({ text: DENY }).where('id', '=', id).execute();
  await expect(change).rejects.toThrow('never changes');
  const removal = db.deleteFrom('policy').where('id', '=', id).execute();
  await expect(removal).rejects.toThrow('never changes');
});

test('two versions are compared, by default with the one that holds', async () => {
  await activate(await idOf(ALLOW));
  const deny = await idOf(DENY);
  const diff = await asOverlord(`/v1/policies/${deny}/diff`);
  expect(diff.body).toMatchObject({ from: { version: 1 }, to: { version: 2 } });
  expect(diff.body['diff']).toContain('-@id("allow-all") permit');
  expect(diff.body['diff']).toContain('+@id("deny-all") forbid');
  const whole = await asOverlord(`/v1/policies/${deny}/diff?against=0`);
  expect(whole.body['diff']).toContain('-@id("untrusted-asks")');
  expect((await asOverlord(`/v1/policies/${deny}/diff?against=2`)).body['diff']).toBe('');
  expect((await asOverlord(`/v1/policies/${deny}/diff?against=9`)).status).toBe(404);
});

async function recordedCount(): Promise<number> {
  const rows = await db
    .selectFrom('policy_request')
    .select('seq')
    .where('workspace_id', '=', workspaceId)
    .execute();
  return rows.length;
}

test('a dry-run tells what of the latest requests would be answered otherwise', async () => {
  const [engine] = engines;
  if (engine === undefined) throw new Error('There is an engine.');
  const say = (tool: string) => engine.decide(aRequest({ workspaceId, tool }));
  for (const tool of ['old', 'old', 'old', 'Bash', 'Read', 'Read', 'Write', 'Write'])
    await say(tool);
  // Of each workspace the latest five are kept.
  await expect.poll(recordedCount, { timeout: 5_000 }).toBe(5);
  const text = `@id("reads") permit (principal, action, resource) when { context.tool == "Read" };
@id("writes") forbid (principal, action, resource) when { context.tool == "Write" };
@id("rest") @decision("escalate") permit (principal, action, resource) when { context.tool == "Bash" };`;
  const id = await idOf(text);
  const tried = await asOverlord(`/v1/policies/${id}/dry-run`, { body: {} });
  expect(tried.body).toMatchObject({
    from: 0,
    to: 1,
    requests: 5,
    unchanged: 1,
    unknown: 0,
    counts: { 'ask→allow': 2, 'ask→deny': 2 },
  });
  expect(tried.body['changes']).toMatchObject([
    { tool: 'Write', before: { rule: 'default' }, after: { verdict: 'deny', rule: 'writes' } },
    { tool: 'Write' },
    { tool: 'Read', after: { verdict: 'allow', rule: 'reads' } },
    { tool: 'Read' },
  ]);
  const two = await asOverlord(`/v1/policies/${id}/dry-run`, { body: { last: 2 } });
  expect(two.body).toMatchObject({ requests: 2, counts: { 'ask→deny': 2 } });
});

test('what was recorded without its text is not judged by a policy that looks at texts', async () => {
  const quiet = createPolicyEngine({ db, log, records: { keep: 10, text: 'none' } });
  const secret = 'curl -H "Authorization: Bearer abcdefghijklmnop"';
  await quiet.decide(aRequest({ workspaceId, subject: secret }));
  await quiet.close();
  const id = await idOf(
    'permit (principal, action, resource) when { context.subject like "*curl*" };',
  );
  const tried = await asOverlord(`/v1/policies/${id}/dry-run`, { body: {} });
  expect(tried.body).toMatchObject({ requests: 1, unknown: 1, unchanged: 0 });
  const row = await db
    .selectFrom('policy_request')
    .select('request')
    .where('workspace_id', '=', workspaceId)
    .executeTakeFirstOrThrow();
  expect(JSON.stringify(row.request)).not.toContain('curl');
});

test('what is recorded holds no secret', async () => {
  const loud = createPolicyEngine({ db, log, records: { keep: 10, text: 'masked' } });
  const secrets = ['ghp_0123456789abcdefghij0123', 'sk-ant-0123456789abcdefghij', 'hunter2000'];
  const subject = `GH=${secrets[0]} K=${secrets[1]} psql postgres://me:${secrets[2]}@db/x`;
  await loud.decide(aRequest({ workspaceId, subject, intent: subject }));
  await loud.decide(aRequest({ workspaceId, subject: 'x'.repeat(5_000) }));
  await loud.close();
  const rows = await db
    .selectFrom('policy_request')
    .select(['request', 'has_text'])
    .where('workspace_id', '=', workspaceId)
    .orderBy('seq')
    .execute();
  const text = JSON.stringify(rows);
  for (const secret of secrets) expect(text).not.toContain(secret);
  expect(text).not.toContain('xxxxx');
  expect(rows).toMatchObject([{ has_text: true }, { has_text: false }]);
});

test('a made-up request is answered by any version, and leaves no trace', async () => {
  await activate(await idOf(DENY));
  const path = `/v1/workspaces/${workspaceId}/policies/test`;
  const request = { action: 'agent.spawn', principal: { kind: 'user', role: 'operator' } };
  expect((await asOverlord(path, { body: { request } })).body).toMatchObject({ rule: 'deny-all' });
  expect((await asOverlord(path, { body: { request, version: 0 } })).body).toMatchObject({
    verdict: 'allow',
    rule: 'person-spawns',
  });
  expect((await asOverlord(path, { body: { request: { action: 'nothing' } } })).status).toBe(400);
  expect(await recordedCount()).toBe(0);
});

test('policies are written on the admin listener only, and by those who may', async () => {
  const onPublic = callAs(createApp(api.deps, 'public'), overlord);
  const path = `/v1/workspaces/${workspaceId}/policies`;
  expect((await onPublic(path, { body: { text: ALLOW } })).status).toBe(405);
  expect((await onPublic(`${path}/check`, { body: { text: ALLOW } })).status).toBe(404);
  expect((await onPublic(path)).status).toBe(200);
  const operator = callAs(api.app, await makeKey(db, { role: 'operator', workspaceId }));
  expect((await operator(path, { body: { text: ALLOW } })).status).toBe(403);
  const id = await idOf(ALLOW);
  expect((await operator(`/v1/policies/${id}/activate`, { body: {} })).status).toBe(403);
  expect((await operator(`/v1/policies/${id}`)).status).toBe(200);
  const other = await makeKey(db, { role: 'admin', workspaceId: await makeWorkspace(db) });
  expect((await callAs(api.app, other)(`/v1/policies/${id}`)).status).toBe(404);
});

test('a policy that cannot be read denies', async () => {
  const away = openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', name: 'away' });
  const engine = createPolicyEngine({ db: away.db, log });
  const decided = await engine.decide(aRequest({ workspaceId }));
  expect(decided).toMatchObject({ verdict: 'deny', rule: 'error' });
  await engine.close();
  await away.close();
});

test('an observer that fails keeps nobody from an answer', async () => {
  const heard: string[] = [];
  const engine = createPolicyEngine({
    db,
    log,
    observers: [
      (_request, { rule }) => void heard.push(rule),
      () => {
        throw new Error('down');
      },
    ],
  });
  expect(await engine.decide(aRequest({ workspaceId }))).toMatchObject({ verdict: 'ask' });
  expect(heard).toEqual(['default']);
  await engine.close();
});
