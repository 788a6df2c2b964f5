import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { createPolicyEngine } from '../../infra/policy/engine.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { callAs, makeKey, openTestApi, type Called } from './harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const policy = createPolicyEngine({ db, log: pino({ level: 'silent' }) });
const api = await openTestApi(database, { policy });
afterAll(async () => {
  await policy.close();
  await api.close();
});
const as = callAs(api.app, await makeKey(db));

test('what a written policy says of a spawn is what happens from its activation on', async () => {
  const path = `/v1/workspaces/${await makeWorkspace(db)}`;
  const spawn = (type: string): Promise<Called> =>
    as(`${path}/spawns`, { body: { type, name: `a-${type}` } });
  const activate = async (text: string): Promise<void> => {
    const made = await as(`${path}/policies`, { body: { text } });
    const { id } = Object(made.body['policy']);
    expect(await as(`/v1/policies/${id}/activate`, { body: {} })).toMatchObject({ status: 200 });
  };
  expect((await spawn('gemini')).status).toBe(202);
  await activate(`
@id("no-claude") @reason("Not here.") forbid (principal, action == Action::"agent.spawn", resource)
when { context.tool == "claude" };
@id("ask-codex") @decision("escalate") permit (principal, action == Action::"agent.spawn", resource)
when { context.tool == "codex" };
@id("others") permit (principal is User in Role::"operator", action == Action::"agent.spawn", resource);`);
  const refused = await spawn('claude');
  expect(refused).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
  expect(refused.body['detail']).toContain('no-claude');
  expect((await spawn('codex')).body).toMatchObject({ spawn: { state: 'asked' } });
  expect((await spawn('gemini')).status).toBe(202);
  const audit = await as(`${path}/audit`);
  const entries = Array.isArray(audit.body['items']) ? audit.body['items'] : [];
  const gated = entries.filter(({ action }) => action === 'gate.decide');
  expect(gated.map(({ canonical }) => JSON.parse(canonical).detail)).toMatchObject([
    { rule: 'person-spawns', engine: 'built-in', version: 0, verdict: 'allow' },
    { rule: 'no-claude', engine: 'cedar', version: 1, verdict: 'deny' },
    { rule: 'ask-codex', verdict: 'ask' },
    { rule: 'others', verdict: 'allow' },
  ]);
});
