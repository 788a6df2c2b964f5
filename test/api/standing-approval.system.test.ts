import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from 'kysely';
import type { PolicyDecision, PolicyRequest } from '../../domain/policy.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { itemsIn, openAsking } from './asking.ts';
import { callAs, makeKey, openTestApi } from './harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const ASK: PolicyDecision = {
  verdict: 'ask',
  rule: 'test',
  engine: 'cedar',
  version: 3,
  reason: 'Because.',
};
let decision: (request: PolicyRequest) => PolicyDecision = () => ASK;
const asked: PolicyRequest[] = [];
const api = await openTestApi(database, {
  policy: {
    decide: async (request) => {
      asked.push(request);
      if (request.action === 'agent.spawn') return { ...ASK, verdict: 'allow' };
      return decision(request);
    },
  },
});
beforeAll(() => api.work());
afterAll(() => api.close());
beforeEach(() => {
  decision = () => ASK;
});

const workspaceId = await makeWorkspace(db);
const admin = await makeKey(db, { role: 'admin', workspaceId });
const operator = await makeKey(db, { role: 'operator', workspaceId });
const asAdmin = callAs(api.app, admin);
const asOperator = callAs(api.app, operator);
const asking = openAsking(api, { key: operator, workspaceId });
const list = `/v1/workspaces/${workspaceId}/standing-approvals`;

/** A command as Claude Code's hook tells of it. */
function bash(command: string, more: Readonly<Record<string, unknown>> = {}) {
  const hookPayload = JSON.stringify({ input: { command, ...more }, tool: 'Bash' });
  return { subject: command, hookPayload };
}

async function forever(approval: Readonly<Record<string, unknown>>, body: object = {}) {
  return asAdmin(`/v1/approvals/${String(approval['id'])}/approve-forever`, {
    body: { digest: approval['digest'], ...body },
  });
}

/** A command that was approved for ever, and the agent that had asked. */
async function standing(command: string) {
  const agentId = await asking.spawn();
  const approval = await asking.ask(agentId, bash(command));
  expect(approval).toMatchObject({ state: 'open', risk: 'medium', mayStand: true });
  const made = await forever(approval);
  expect(made.status).toBe(200);
  expect(made.body).toMatchObject({ decision: { status: 'decided', state: 'granted' } });
  return { agentId, approval, id: String(made.body['standingApprovalId']) };
}

async function stateOf(dialog: ReturnType<typeof bash>, wish = {}): Promise<unknown> {
  const approval = await asking.ask(await asking.spawn(wish), dialog);
  expect(approval['gate']).toMatchObject({ verdict: 'ask' });
  return approval['state'];
}

test('what was approved for ever is granted by itself, delivered, counted and audited', async () => {
  const { id, agentId } = await standing('npm run lint');
  expect(itemsIn((await asOperator(list)).body['items'])).toMatchObject([
    { id, state: 'live', createdBy: admin.id, uses: 0 },
  ]);
  const next = await asking.spawn();
  const { id: approvalId } = await asking.ask(next, bash('npm run lint'));
  const granted = await asking.approval(approvalId, 'granted');
  expect(granted).toMatchObject({
    gate: { verdict: 'allow', by: 'standing', standingId: id, rule: 'test', version: 3 },
    votes: [{ principalId: id, principalKind: 'standing', verdict: 'grant' }],
  });
  await asking.until(`/v1/approvals/${String(approvalId)}`, ({ delivery }) => delivery !== null);
  const delivered = api.host.delivered.filter((each) => each.agentId === next);
  expect(delivered).toMatchObject([{ delivery: { kind: 'decision', verdict: 'allow' } }]);
  expect(itemsIn((await asOperator(list)).body['items'])).toMatchObject([{ id, uses: 1 }]);
  const { rows } = await sql<{ action: string; detail: unknown }>`
    select action, canonical::jsonb->'detail' as detail from audit
    where workspace_id = ${workspaceId} and subject_id = ${String(approvalId)} order by seq
  `.execute(db);
  const actions = rows.map(({ action }) => action);
  // What is written in one statement is in no order.
  expect([...actions.slice(0, 2).toSorted(), ...actions.slice(2)]).toEqual([
    'approval.requested',
    'gate.decide',
    'approval.vote',
    'approval.decided',
    'approval.deliver',
  ]);
  expect(rows.find(({ action }) => action === 'gate.decide')?.detail).toMatchObject({
    verdict: 'allow',
    by: 'standing',
    standingId: id,
  });
  expect(api.host.delivered.filter((each) => each.agentId === agentId)).toHaveLength(1);
  const events = await asOperator(`/v1/workspaces/${workspaceId}/events?limit=200`);
  const told = itemsIn(events.body['items']).filter((each) => each['subjectId'] === approvalId);
  // Nobody is told that he is asked.
  expect(told.map(({ type }) => type)).toEqual([
    'approval.voted',
    'approval.decided',
    'approval.delivered',
  ]);
});

test.each([
  ['a shell around it', bash('sh -c "git push origin"')],
  ['further words', bash('git push origin --force')],
  ['fewer words', bash('git push')],
  ['a variable before it', bash('GIT_SSH_COMMAND=evil git push origin')],
  ['another command behind it', bash('git push origin; rm -rf /')],
  ['a heredoc behind it', bash('git push origin <<EOF\nx\nEOF')],
  ['another blank', bash('git  push origin')],
  ['another switch of the tool', bash('git push origin', { dangerouslyDisableSandbox: true })],
  ['a screen alone', { subject: 'git push origin', hookPayload: '' }],
  [
    'another tool',
    {
      subject: 'git push origin',
      hookPayload: '{"input":{"command":"git push origin"},"tool":"Shell"}',
    },
  ],
])('a command that was approved for ever does not match with %s', async (_what, dialog) => {
  const open = itemsIn((await asOperator(`${list}?live=true`)).body['items']);
  if (!open.some(({ title }) => String(title).includes('git push origin')))
    await standing('git push origin');
  expect(await stateOf(dialog)).toBe('open');
});

test('neither does it match in another folder, with another environment, or outside isolation', async () => {
  await standing('make deploy');
  expect(await stateOf(bash('make deploy'), { workDir: '/tmp/elsewhere' })).toBe('open');
  expect(await stateOf(bash('make deploy'), { env: { PATH: '/tmp/evil' } })).toBe('open');
  expect(await stateOf(bash('make deploy'), { isolated: false })).toBe('open');
});

test('a model describing the same command anew does not make it another one', async () => {
  await standing('make test');
  const agentId = await asking.spawn();
  const dialog = bash('make test', { description: 'Runs the tests once more' });
  const { id } = await asking.ask(agentId, dialog);
  expect((await asking.approval(id, 'granted'))['votes']).toHaveLength(1);
});

test('revoked it decides nothing from that moment on, and says who revoked it', async () => {
  const { id } = await standing('make clean');
  expect((await asOperator(`/v1/standing-approvals/${id}`, { method: 'DELETE' })).status).toBe(403);
  const revoked = await asAdmin(`/v1/standing-approvals/${id}`, { method: 'DELETE' });
  expect(revoked.body).toMatchObject({ state: 'revoked', revokedBy: admin.id });
  const again = await asAdmin(`/v1/standing-approvals/${id}`, { method: 'DELETE' });
  expect(again.body).toEqual(revoked.body);
  expect(await stateOf(bash('make clean'))).toBe('open');
});

test('expired it decides nothing', async () => {
  const { id } = await standing('make dist');
  await sql`update standing_approval set expires_at = now() - interval '1 second' where id = ${id}`.execute(
    db,
  );
  expect(await stateOf(bash('make dist'))).toBe('open');
});

test('it decides nothing in another workspace', async () => {
  await standing('make docs');
  const elsewhere = await makeWorkspace(db);
  const key = await makeKey(db, { role: 'operator', workspaceId: elsewhere });
  const other = openAsking(api, { key, workspaceId: elsewhere });
  const approval = await other.ask(await other.spawn(), bash('make docs'));
  expect(approval['state']).toBe('open');
});

test('it decides nothing once its maker may approve nothing any more', async () => {
  const leaving = await makeKey(db, { role: 'admin', workspaceId });
  const approval = await asking.ask(await asking.spawn(), bash('make bench'));
  const made = await callAs(api.app, leaving)(
    `/v1/approvals/${String(approval['id'])}/approve-forever`,
    { body: { digest: approval['digest'] } },
  );
  expect(made.status).toBe(200);
  await sql`update api_key set revoked_at = now() where id = ${leaving.id}`.execute(db);
  expect(await stateOf(bash('make bench'))).toBe('open');
});

test('a policy that denies stands above what was approved for ever', async () => {
  await standing('make site');
  decision = () => ({ ...ASK, verdict: 'deny', rule: 'no-make' });
  const agentId = await asking.spawn();
  const { id } = await asking.ask(agentId, bash('make site'));
  const refused = await asking.approval(id, 'refused');
  expect(refused).toMatchObject({ votes: [{ principalId: 'policy:no-make', verdict: 'refuse' }] });
  await asking.until(`/v1/approvals/${String(id)}`, ({ delivery }) => delivery !== null);
  const told = api.host.delivered.filter((each) => each.agentId === agentId);
  expect(told).toMatchObject([{ delivery: { verdict: 'deny' } }]);
  expect(JSON.stringify(told)).toContain('no-make');
});

test('only an admin, only the whole of it, only a risk that may stand, and only within the limit', async () => {
  const agentId = await asking.spawn();
  const approval = await asking.ask(agentId, bash('make release'));
  const path = `/v1/approvals/${String(approval['id'])}/approve-forever`;
  const body = { digest: approval['digest'] };
  expect((await asOperator(path, { body })).status).toBe(403);
  expect((await asAdmin(path, { body: { digest: '0'.repeat(64) } })).status).toBe(409);
  expect((await asAdmin(path, { body: { ...body, expiresInDays: 366 } })).status).toBe(400);
  expect(
    (await asAdmin(path, { body: { ...body, recipients: [`ctx_${'0'.repeat(26)}`] } })).status,
  ).toBe(400);
  const cut = await asking.ask(await asking.spawn(), {
    ...bash('make cut'),
    payloadComplete: false,
  });
  expect(cut).toMatchObject({ risk: 'high', mayStand: false });
  expect((await forever(cut)).status).toBe(409);
  const loose = await asking.ask(await asking.spawn({ isolated: false }), bash('make loose'));
  expect(loose).toMatchObject({ risk: 'high', mayStand: false });
  expect((await forever(loose)).status).toBe(403);
  expect((await forever(approval, { expiresInDays: 2 })).status).toBe(200);
  const again = await forever(approval);
  expect([again.status, again.body['code']]).toEqual([409, 'conflict']);
});

test('a plain grant makes nothing stand, whoever had meant to say more before', async () => {
  const approval = await asking.ask(await asking.spawn(), bash('make once'));
  const granted = await asAdmin(`/v1/approvals/${String(approval['id'])}/decide`, {
    body: { digest: approval['digest'], verdict: 'grant' },
    idempotencyKey: randomUUID(),
  });
  expect(granted.status).toBe(200);
  expect(await stateOf(bash('make once'))).toBe('open');
});

test('what the gate is asked has the whole of it, and facts of the agent', async () => {
  asked.length = 0;
  const agentId = await asking.spawn();
  await asking.tell(agentId, {
    kind: 'tool_used',
    tool: 'WebFetch',
    summary: 'https://example.org',
    source: 'hook',
  });
  await asking.ask(agentId, bash('make facts'));
  expect(asked.find(({ action }) => action === 'agent.prompt')).toMatchObject({
    workspaceId,
    principal: { kind: 'agent', id: agentId, role: 'operator' },
    tool: 'Bash',
    subject: 'make facts',
    risk: 'medium',
    isolated: true,
    payloadComplete: true,
    dataClass: 'untrusted',
  });
});
