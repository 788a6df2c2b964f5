import { afterAll, beforeAll, expect, test } from 'vitest';
import { askInside } from '../../api/inside.ts';
import { makeApiKey } from '../../api/api-key.ts';
import { principalOfUser } from '../../api/middleware/auth.ts';
import { CHAT_SCOPES, SCOPES } from '../../domain/principal.ts';
import { parseId } from '../../domain/id.ts';
import { insertKey } from '../../infra/db/queries/key.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import { insertRoleBinding } from '../../infra/db/queries/role-binding.ts';
import { insertUser } from '../../infra/db/queries/user.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { openAsking } from './asking.ts';
import { callAs, openTestApi, type TestKey } from './harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
beforeAll(() => api.work());
afterAll(() => api.close());

const workspaceId = await makeWorkspace(db);

async function makeAdmin(name: string): Promise<string> {
  const id = newId('user');
  const place = { kind: 'workspace', workspaceId } as const;
  await insertUser(db, { id, name, createdBy: 'test' });
  await insertRoleBinding(db, {
    id: newId('roleBinding'),
    userId: id,
    role: 'admin',
    place,
    createdBy: 'test',
  });
  return id;
}

async function keyOf(userId: string): Promise<TestKey> {
  const { secret, prefix, hash } = makeApiKey();
  const id = newId('apiKey');
  await insertKey(db, {
    id,
    prefix,
    hash,
    userId,
    name: 'laptop',
    role: 'admin',
    scopes: [...SCOPES],
    workspaceId: null,
    createdBy: userId,
    expiresAt: null,
  });
  return { id, secret, prefix };
}

const anna = await makeAdmin('Anna');
const bert = await makeAdmin('Bert');
const [annasKey, annasOther, bertsKey] = [await keyOf(anna), await keyOf(anna), await keyOf(bert)];
const asking = openAsking(api, { key: annasKey, workspaceId });

/** Of high risk, since the session is not isolated. */
async function question(subject: string) {
  const agentId = await asking.spawn({ isolated: false });
  const approval = await asking.ask(agentId, { subject });
  expect(approval).toMatchObject({ risk: 'high', requestedBy: anna, roleNeeded: 'admin' });
  return approval;
}

test('nobody approves his own high risk by another key, by his chat or by his certificate', async () => {
  const { id, digest } = await question('make admin');
  const path = `/v1/approvals/${String(id)}/decide`;
  const body = { verdict: 'grant', digest };
  for (const key of [annasKey, annasOther]) {
    const refused = await callAs(api.app, key)(path, { body });
    expect([refused.status, refused.body['code']]).toEqual([403, 'policy_denied']);
  }
  const live = await findLiveUser(db, anna);
  if (live === null) throw new Error('Anna is there.');
  for (const via of ['chat', 'certificate', 'oidc'] as const) {
    const principal = principalOfUser(live, via, via === 'chat' ? CHAT_SCOPES : SCOPES);
    const inside = { principal, contextId: null };
    const request = { method: 'POST', path, body, idempotencyKey: `test:${via}` } as const;
    const answer = await askInside(api.app, inside, request);
    expect(answer).toMatchObject({ ok: false, problem: { code: 'policy_denied' } });
  }
  const granted = await callAs(api.app, bertsKey)(path, { body });
  expect(granted.body).toEqual({ status: 'decided', state: 'granted' });
  expect((await asking.approval(id, 'granted'))['votes']).toMatchObject([{ principalId: bert }]);
});

test('a decision of somebody in chat is that of the same person in the record', async () => {
  const { id, digest } = await question('make audit');
  const live = await findLiveUser(db, bert);
  if (live === null) throw new Error('Bert is there.');
  const inside = { principal: principalOfUser(live, 'chat', CHAT_SCOPES), contextId: null };
  const answer = await askInside(api.app, inside, {
    method: 'POST',
    path: `/v1/approvals/${parseId('approval', id)}/decide`,
    body: { verdict: 'refuse', digest, note: 'Not today.' },
    idempotencyKey: 'chat:1:1',
  });
  expect(answer).toMatchObject({ ok: true, body: { status: 'decided', state: 'refused' } });
  const { votes } = await asking.approval(id, 'refused');
  expect(votes).toMatchObject([{ principalId: bert, principalKind: 'user', note: 'Not today.' }]);
});
