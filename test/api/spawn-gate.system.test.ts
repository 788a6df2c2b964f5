import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from 'kysely';
import type { PolicyDecision } from '../../domain/policy.ts';
import { decideBuiltIn } from '../../infra/policy/built-in.ts';
import { startSweeps } from '../../workers/listeners/sweeps.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { itemsIn, openAsking } from './asking.ts';
import { callAs, makeKey, openTestApi } from './harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const ASK: PolicyDecision = {
  verdict: 'ask',
  rule: 'look-first',
  engine: 'cedar',
  version: 1,
  reason: 'Somebody looks first.',
};
let answer: () => Promise<PolicyDecision> = async () => ASK;
const api = await openTestApi(database, {
  policy: {
    decide: (request) =>
      request.action === 'agent.spawn' ? answer() : Promise.resolve(decideBuiltIn(request)),
  },
});
beforeAll(() => api.work());
afterAll(() => api.close());
beforeEach(() => {
  answer = async () => ASK;
});

const workspaceId = await makeWorkspace(db);
const operator = await makeKey(db, { role: 'operator', workspaceId });
const admin = await makeKey(db, { role: 'admin', workspaceId });
const asOperator = callAs(api.app, operator);
const asAdmin = callAs(api.app, admin);
const spawns = `/v1/workspaces/${workspaceId}/spawns`;
const body = { type: 'custom', command: ['true'], name: 'helper', task: 'Tidy up.', count: 2 };
const asking = openAsking(api, { key: admin, workspaceId });

/** A spawn that waits, and its approval once it is open. */
async function asked(idempotencyKey = randomUUID()) {
  const made = await asOperator(spawns, { body, idempotencyKey });
  expect(made.status).toBe(202);
  expect(made.body).toMatchObject({ spawn: { state: 'asked' }, agents: [] });
  const { id, approvalId } = spawnOf(made.body);
  const { body: approval } = await asking.until(
    `/v1/approvals/${approvalId}`,
    ({ state }) => state === 'open',
  );
  return { id, approvalId, approval, idempotencyKey };
}

function spawnOf(of: Readonly<Record<string, unknown>>) {
  const spawn = { ...(typeof of['spawn'] === 'object' ? of['spawn'] : null) } as Readonly<
    Record<string, unknown>
  >;
  return {
    id: String(spawn['id']),
    approvalId: String(spawn['approvalId']),
    state: String(spawn['state']),
  };
}

async function decide(
  { approvalId, approval }: Awaited<ReturnType<typeof asked>>,
  verdict: 'grant' | 'refuse',
  call = asAdmin,
) {
  return call(`/v1/approvals/${approvalId}/decide`, {
    body: { verdict, digest: approval['digest'] },
  });
}

test('a spawn that people are asked about starts exactly as it was asked, once, when they grant it', async () => {
  const question = await asked();
  expect(question.approval).toMatchObject({
    askerKind: 'system',
    requestedBy: operator.id,
    title: 'Start 2 agents helper (custom): Tidy up.',
    payload: { kind: 'spawn', spawnId: question.id, count: 2, spec: { task: 'Tidy up.' } },
    gate: { verdict: 'ask', rule: 'look-first' },
  });
  const twin = await asOperator(spawns, { body, idempotencyKey: question.idempotencyKey });
  expect(spawnOf(twin.body)).toMatchObject({ id: question.id, state: 'asked' });
  expect((await decide(question, 'grant')).body).toEqual({ status: 'decided', state: 'granted' });
  const { body: started } = await asking.until(
    `/v1/spawns/${question.id}`,
    (spawn) => itemsIn(spawn['agents']).length === 2,
  );
  expect(itemsIn(started['agents'])).toMatchObject([
    { name: 'helper-1', ownerId: operator.id },
    { name: 'helper-2', ownerId: operator.id },
  ]);
  await expect
    .poll(() => api.host.started.filter(({ task }) => task === 'Tidy up.').length, {
      timeout: 20_000,
    })
    .toBe(2);
  const late = await decide(question, 'grant');
  expect([late.status, late.body['code']]).toEqual([409, 'conflict']);
  const after = await asOperator(spawns, { body, idempotencyKey: randomUUID() });
  expect(spawnOf(after.body).id).not.toBe(question.id);
  const { rows } = await sql<{ action: string }>`select action from audit
    where subject_id = ${question.id} order by seq`.execute(db);
  expect(rows.map(({ action }) => action)).toEqual(['gate.decide', 'spawn.request']);
});

test('one that people refuse has no agents, and never will', async () => {
  const question = await asked();
  expect((await decide(question, 'refuse')).status).toBe(200);
  const { body: refused } = await asking.until(
    `/v1/spawns/${question.id}`,
    (spawn) => spawnOf(spawn).state === 'refused',
  );
  expect(refused['agents']).toEqual([]);
  const again = await asOperator(spawns, { body, idempotencyKey: randomUUID() });
  expect(spawnOf(again.body).state).toBe('asked');
});

test('a policy that denies says its rule; nothing is made, and the attempt is on record', async () => {
  answer = async () => ({ ...ASK, verdict: 'deny', rule: 'nobody-spawns' });
  const denied = await asOperator(spawns, { body });
  expect([denied.status, denied.body['code']]).toEqual([403, 'policy_denied']);
  expect(denied.body['detail']).toContain('nobody-spawns');
  const audit = await asAdmin(`/v1/workspaces/${workspaceId}/audit?limit=200`);
  expect(audit.text).toContain('nobody-spawns');
});

test('an engine that fails or says nothing denies', async () => {
  answer = () => Promise.reject(new Error('It is down.'));
  const failed = await asOperator(spawns, { body });
  expect([failed.status, failed.body['code']]).toEqual([403, 'policy_denied']);
  expect(failed.body['detail']).toContain('error');
});

test('what is changed in the table after it was asked is not started', async () => {
  const question = await asked();
  await sql`update approval_request set payload = replace(payload, 'Tidy up', 'Wipe all')
    where approval_id = ${question.approvalId}`.execute(db);
  expect((await decide(question, 'grant')).status).toBe(409);
  expect((await asking.approval(question.approvalId, 'voided'))['state']).toBe('voided');
  const { body: spawn } = await asAdmin(`/v1/spawns/${question.id}`);
  expect(spawn).toMatchObject({ spawn: { state: 'refused' }, agents: [] });
});

test('whoever may start nothing any more has nothing started for him, granted or not', async () => {
  const leaving = await makeKey(db, { role: 'operator', workspaceId });
  const made = await callAs(api.app, leaving)(spawns, { body });
  const { id, approvalId } = spawnOf(made.body);
  const path = `/v1/approvals/${approvalId}`;
  const { body: approval } = await asking.until(path, ({ state }) => state === 'open');
  await sql`update api_key set revoked_at = now() where id = ${leaving.id}`.execute(db);
  const granted = await asAdmin(`${path}/decide`, {
    body: { verdict: 'grant', digest: approval['digest'] },
  });
  expect(granted.status).toBe(409);
  expect((await asAdmin(`/v1/spawns/${id}`)).body).toMatchObject({
    spawn: { state: 'refused' },
    agents: [],
  });
});

test('the sweep voids the question of somebody who left before anybody decided', async () => {
  const leaving = await makeKey(db, { role: 'operator', workspaceId });
  const made = await callAs(api.app, leaving)(spawns, { body });
  const { id, approvalId } = spawnOf(made.body);
  const kept = await asked();
  await asking.until(`/v1/approvals/${approvalId}`, ({ state }) => state === 'open');
  await sql`update api_key set revoked_at = now() where id = ${leaving.id}`.execute(db);
  const retention = {
    eventDays: 30,
    factDays: 30,
    inputDays: 30,
    loginDays: 30,
    slotDays: 30,
    promptDays: 30,
    usageDays: 30,
    chatDays: 30,
  };
  const { temporal, logger: log } = api.deps;
  const sweeps = startSweeps({ db, temporal, log, retention, intervalMs: 200 });
  await asking.approval(approvalId, 'voided');
  await sweeps.stop();
  expect((await asAdmin(`/v1/spawns/${id}`)).body).toMatchObject({ spawn: { state: 'refused' } });
  expect((await asAdmin(`/v1/approvals/${kept.approvalId}`)).body['state']).toBe('open');
});

test('the former API of threads says that people decide first', async () => {
  const spawned = await asOperator('/api/agents', {
    body: { type: 'claude', name: 'old', workdir: '/tmp' },
    headers: { 'x-workspace': workspaceId },
  });
  expect([spawned.status, spawned.text]).toEqual([409, expect.stringContaining('apr_')]);
});
