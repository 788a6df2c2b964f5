import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApp } from '../../api/app.ts';
import { askInside } from '../../api/inside.ts';
import { principalOfUser } from '../../api/middleware/auth.ts';
import { CHAT_SCOPES, type Role, type RolePlace } from '../../domain/principal.ts';
import { parseId } from '../../domain/id.ts';
import { findUserByIdentity } from '../../infra/db/queries/identity.ts';
import { listAudit } from '../../infra/db/queries/audit.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { makeAgent, makeApproval } from '../support/records.ts';
import { callAs, makeKey, openTestApi, type TestKey } from './harness.ts';
import { bearer, makeKeyOf, makeUserOf, signIns } from './table-people.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());

const home = await makeWorkspace(db);
const other = await makeWorkspace(db);
const overlord = await makeKey(db);
const asOverlord = callAs(api.app, overlord);
const inHome = { kind: 'workspace', workspaceId: home } as const;
const everywhere = { kind: 'installation' } as const;
const Id = z.object({ id: z.string() });

async function make(path: string, body: unknown, key: TestKey = overlord): Promise<string> {
  const answer = await callAs(api.app, key)(path, { body });
  expect([path, answer.status, answer.text]).toEqual([path, 201, answer.text]);
  return Id.parse(answer.body).id;
}

const makeUser = (name = 'Anna') => make('/v1/users', { name });
const grant = (userId: string, role: Role, place: RolePlace) =>
  make(`/v1/users/${userId}/role-bindings`, { role, place });

/** A key that acts as a user with one role. */
async function personWith(role: Role, place: RolePlace): Promise<TestKey & { userId: string }> {
  const userId = await makeUserOf(db, { role, place });
  const { id, secret } = await makeKeyOf(db, userId, { role: 'overlord' });
  return { id: parseId('apiKey', id), secret, prefix: '', userId };
}

async function auditsOf(subjectId: string) {
  const { items } = z
    .object({ items: z.array(z.object({ action: z.string(), canonical: z.string() })) })
    .parse({ items: await listAudit(db, { workspaceId: home, after: 0, limit: 500, subjectId }) });
  const Canonical = z.object({ detail: z.record(z.string(), z.unknown()) });
  return items.map(({ action, canonical }) => ({
    action,
    ...Canonical.parse(JSON.parse(canonical)).detail,
  }));
}

test('a user without a role may do nothing, and with one what it says, at once', async () => {
  const userId = await makeUser();
  const made = await asOverlord('/v1/keys', {
    body: { name: 'Anna', role: 'operator', scopes: ['agents:read', 'workspaces:read'], userId },
  });
  const { secret } = z.object({ secret: z.string() }).parse(made.body);
  const asAnna = (path: string) => api.app.request(path, { headers: bearer(secret) });
  expect((await asAnna(`/v1/workspaces/${home}/agents`)).status).toBe(404);
  const binding = await grant(userId, 'admin', inHome);
  expect((await asAnna(`/v1/workspaces/${home}/agents`)).status).toBe(200);
  // The key is an operator's, so that its admin is one.
  const approvals = await asAnna(`/v1/workspaces/${home}/approvals`);
  expect([approvals.status, (await approvals.text()).includes('approvals:read')]).toEqual([
    403,
    true,
  ]);
  await asOverlord(`/v1/role-bindings/${binding}`, { method: 'DELETE' });
  expect((await asAnna(`/v1/workspaces/${home}/agents`)).status).toBe(404);
  expect(await auditsOf(binding)).toMatchObject([
    { action: 'role.granted', before: null, after: { role: 'admin', place: inHome }, userId },
    { action: 'role.revoked', before: { role: 'admin', place: inHome }, after: null, userId },
  ]);
});

test('nobody grants above his own role, or outside his own place', async () => {
  const admin = await personWith('admin', inHome);
  const userId = await makeUser();
  const ask = async (role: Role, place: RolePlace) =>
    (
      await callAs(api.app, admin)(`/v1/users/${userId}/role-bindings`, {
        body: { role, place },
      })
    ).status;
  expect(await ask('admin', inHome)).toBe(201);
  expect(await ask('overlord', inHome)).toBe(403);
  expect(await ask('viewer', everywhere)).toBe(403);
  expect(await ask('viewer', { kind: 'workspace', workspaceId: other })).toBe(403);
  const tool = { kind: 'tool', workspaceId: home, name: 'deploy' } as const;
  expect(await ask('operator', tool)).toBe(201);
  const above = await grant(await makeUser(), 'overlord', inHome);
  const taken = await callAs(api.app, admin)(`/v1/role-bindings/${above}`, { method: 'DELETE' });
  expect([taken.status, taken.body['code']]).toEqual([403, 'policy_denied']);
});

test('a context counts in its own workspace only', async () => {
  const contextId = parseId(
    'context',
    await make(`/v1/workspaces/${home}/contexts`, { slug: 'mine', name: 'Mine' }),
  );
  const place = { kind: 'context', workspaceId: other, contextId };
  const answer = await asOverlord(`/v1/users/${await makeUser()}/role-bindings`, {
    body: { role: 'viewer', place },
  });
  expect(answer.status).toBe(404);
});

test('roles, owner flags and ids that a body brings along are refused, not believed', async () => {
  const userId = await makeUser();
  const bodies: readonly (readonly [string, unknown])[] = [
    ['/v1/users', { name: 'Eve', role: 'overlord' }],
    ['/v1/users', { name: 'Eve', isOwner: true }],
    ['/v1/users', { name: 'Eve', id: userId }],
    [`/v1/users/${userId}/role-bindings`, { role: 'viewer', place: inHome, userId: 'usr_other' }],
    [`/v1/users/${userId}/role-bindings`, { role: 'root', place: inHome }],
    [`/v1/workspaces/${home}/contexts`, { slug: 'x', name: 'x', kind: 'admin_hub' }],
  ];
  for (const [path, body] of bodies) {
    const answer = await asOverlord(path, { body });
    expect([path, answer.status, answer.body['code']]).toEqual([path, 400, 'invalid_input']);
  }
});

test('identity is a number: a user name or a display name recognises nobody', async () => {
  const userId = await makeUser('anna');
  const path = `/v1/users/${userId}/identities`;
  for (const subject of ['anna', '@anna', '12 34', '-5', '0']) {
    const answer = await asOverlord(path, { body: { kind: 'telegram', subject } });
    expect([subject, answer.status]).toEqual([subject, 400]);
  }
  await make(path, { kind: 'telegram', subject: '4242', displayName: 'Anna' });
  const find = (subject: string) =>
    findUserByIdentity(db, { kind: 'telegram', issuer: '', subject });
  expect((await find('4242'))?.id).toBe(userId);
  for (const subject of ['anna', 'Anna', userId, '424', '42421']) {
    expect(await find(subject)).toBeNull();
  }
  expect(await findUserByIdentity(db, { kind: 'discord', issuer: '', subject: '4242' })).toBeNull();
  // Another user cannot be linked to it until it is unlinked from the first.
  const second = `/v1/users/${await makeUser('anna')}/identities`;
  const taken = await asOverlord(second, { body: { kind: 'telegram', subject: '4242' } });
  expect(taken.status).toBe(409);
});

test('an identity ends at once, and whoever is linked anew is another one', async () => {
  const first = await makeUser();
  const second = await makeUser();
  const body = { kind: 'oidc', issuer: 'https://login.example', subject: 'abc' };
  const identity = await make(`/v1/users/${first}/identities`, body);
  const name = { kind: 'oidc', issuer: 'https://login.example', subject: 'abc' } as const;
  expect((await findUserByIdentity(db, name))?.id).toBe(first);
  const ended = await asOverlord(`/v1/identities/${identity}`, { method: 'DELETE' });
  expect(ended.body['unlinkedAt']).toEqual(expect.any(String));
  expect(await findUserByIdentity(db, name)).toBeNull();
  await make(`/v1/users/${second}/identities`, body);
  expect((await findUserByIdentity(db, name))?.id).toBe(second);
  expect(await auditsOf(identity)).toMatchObject([
    { action: 'identity.linked', before: null, after: { subject: 'abc' } },
    { action: 'identity.unlinked', before: { subject: 'abc' }, after: null },
  ]);
});

test('an admin does not become an overlord by linking himself to one, or by a key in his name', async () => {
  const admin = await personWith('admin', everywhere);
  const top = await makeUserOf(db, { role: 'overlord', place: everywhere });
  const as = callAs(api.app, admin);
  const link = await as(`/v1/users/${top}/identities`, {
    body: { kind: 'telegram', subject: '666' },
  });
  const disable = await as(`/v1/users/${top}/disable`, { method: 'POST', body: {} });
  const key = await as('/v1/keys', {
    body: { name: 'x', role: 'viewer', scopes: ['agents:read'], userId: top },
  });
  const colleague = await makeUserOf(db, { role: 'viewer', place: everywhere });
  const asColleague = await as('/v1/keys', {
    body: { name: 'x', role: 'viewer', scopes: ['agents:read'], userId: colleague },
  });
  const statuses = [link, disable, key, asColleague].map(({ status }) => status);
  expect(statuses).toEqual([403, 403, 403, 403]);
});

test('the last overlord is neither disabled nor loses his role', async () => {
  const lonely = await createTestDatabase();
  const place = await makeWorkspace(lonely.db);
  const alone = await openTestApi(lonely);
  try {
    const userId = await makeUserOf(lonely.db, { role: 'overlord', place: everywhere });
    const key = await makeKeyOf(lonely.db, userId, { role: 'overlord' });
    const as = callAs(alone.app, { ...key, id: parseId('apiKey', key.id), prefix: '' });
    const roles = await as(`/v1/users/${userId}/role-bindings`);
    const binding = z.object({ items: z.array(Id) }).parse(roles.body).items[0]?.id ?? '';
    const disable = () => as(`/v1/users/${userId}/disable`, { method: 'POST', body: {} });
    const revoke = () => as(`/v1/role-bindings/${binding}`, { method: 'DELETE' });
    expect([(await disable()).status, (await revoke()).status]).toEqual([409, 409]);
    // Of two, each may take the other's away, but not both at once.
    const second = await makeUserOf(lonely.db, { role: 'overlord', place: everywhere });
    const secondKey = await makeKeyOf(lonely.db, second, { role: 'overlord' });
    const asSecond = callAs(alone.app, {
      ...secondKey,
      id: parseId('apiKey', secondKey.id),
      prefix: '',
    });
    const both = await Promise.all([
      as(`/v1/users/${second}/disable`, { method: 'POST', body: {} }),
      asSecond(`/v1/users/${userId}/disable`, { method: 'POST', body: {} }),
    ]);
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(place).toMatch(/^wsp_/);
  } finally {
    await alone.close();
  }
});

test('a disabled user is refused by whatever he is recognised, and his open stream ends', async () => {
  const person = await personWith('operator', inHome);
  const doors = signIns(db);
  const app = createApp({ ...api.deps, ...doors }, 'admin');
  const path = `/v1/workspaces/${home}/agents`;
  const asked = async () => {
    const headers = [bearer(person.secret), bearer(`a.${person.userId}.c`), {}];
    const answers = await Promise.all(
      headers.map(async (shown, index) => {
        const env = index === 2 ? { incoming: doors.connectionOf(person.userId) } : {};
        return app.request(path, { headers: shown }, env);
      }),
    );
    return answers.map(({ status }) => status);
  };
  expect(await asked()).toEqual([200, 200, 200]);
  const stream = await app.request(`/v1/workspaces/${home}/events/stream`, {
    headers: bearer(person.secret),
  });
  expect(stream.status).toBe(200);
  const reader = stream.body?.getReader();
  const disabled = await asOverlord(`/v1/users/${person.userId}/disable`, {
    method: 'POST',
    body: {},
  });
  expect(disabled.body['disabledAt']).toEqual(expect.any(String));
  expect(await asked()).toEqual([401, 401, 401]);
  expect(await findLiveUser(db, person.userId)).toBeNull();
  let isOver = false;
  while (!isOver) isOver = (await reader?.read())?.done ?? true;
  expect(isOver).toBe(true);
  await asOverlord(`/v1/users/${person.userId}/enable`, { method: 'POST', body: {} });
  expect(await asked()).toEqual([200, 200, 200]);
});

test('another site’s page asks nothing with the certificate of a browser', async () => {
  const userId = await makeUserOf(db, { role: 'overlord', place: everywhere });
  const doors = signIns(db);
  const app = createApp({ ...api.deps, ...doors }, 'public');
  const ask = async (headers: Readonly<Record<string, string>>) =>
    (
      await app.request(
        '/v1/workspaces',
        { headers: { host: '127.0.0.1:7777', ...headers } },
        { incoming: doors.connectionOf(userId) },
      )
    ).status;
  expect(await ask({})).toBe(200);
  expect(await ask({ 'sec-fetch-site': 'same-origin' })).toBe(200);
  expect(await ask({ 'sec-fetch-site': 'cross-site' })).toBe(401);
  expect(await ask({ 'sec-fetch-site': 'same-site' })).toBe(401);
  expect(await ask({ origin: 'https://evil.example' })).toBe(401);
  expect(await ask({ origin: 'http://127.0.0.1:7777' })).toBe(200);
});

test('from chat nobody approves or starts work without the right to, whatever he writes', async () => {
  const agentId = await makeAgent(db, home);
  const approval = await makeApproval(db, { workspaceId: home, agentId });
  const viewer = await makeUserOf(db, { role: 'viewer', place: inHome });
  const live = await findLiveUser(db, viewer);
  if (live === null) throw new Error('He was just made.');
  const app = createApp(api.deps, 'public');
  const inside = { principal: principalOfUser(live, 'chat', CHAT_SCOPES), contextId: null };
  const ask = (path: string, body: unknown) =>
    askInside(app, inside, { method: 'POST', path, body, idempotencyKey: `${path}:1` });
  const decided = await ask(`/v1/approvals/${approval.id}/decide`, {
    verdict: 'grant',
    digest: approval.digest,
  });
  expect(decided).toMatchObject({ ok: false, problem: { status: 403 } });
  const spawned = await ask(`/v1/workspaces/${home}/spawns`, { type: 'custom', command: ['true'] });
  expect(spawned).toMatchObject({ ok: false, problem: { status: 403 } });
  const typed = await ask(`/v1/agents/${agentId}/input`, { kind: 'text', text: 'go' });
  expect(typed).toMatchObject({ ok: false, problem: { status: 403 } });
  // The admin's side is not there at all.
  expect(await ask('/v1/users', { name: 'Eve' })).toMatchObject({
    ok: false,
    problem: { status: 404 },
  });
});

test('who has a role in one context only sees and starts what is in it, and nothing else', async () => {
  const contextId = await make(`/v1/workspaces/${home}/contexts`, { slug: 'room', name: 'Room' });
  const place = {
    kind: 'context',
    workspaceId: home,
    contextId: parseId('context', contextId),
  } as const;
  const guest = await makeUserOf(db, { role: 'operator', place });
  const outside = await makeAgent(db, home);
  const live = await findLiveUser(db, guest);
  if (live === null) throw new Error('He was just made.');
  const app = createApp(api.deps, 'public');
  const inside = { principal: principalOfUser(live, 'chat', CHAT_SCOPES), contextId };
  const ask = (method: 'GET' | 'POST', path: string, body?: unknown) =>
    askInside(app, inside, { method, path, body, idempotencyKey: `${method}:${path}` });
  const spawned = await ask('POST', `/v1/workspaces/${home}/spawns`, {
    type: 'custom',
    command: ['true'],
  });
  expect(spawned.ok).toBe(true);
  const rows = await db.selectFrom('spawn').select('context_id').execute();
  expect(rows.map((row) => row.context_id)).toContain(contextId);
  const listed = await ask('GET', `/v1/workspaces/${home}/agents?limit=200`);
  expect(JSON.stringify(listed)).not.toContain(outside);
  // An agent of the workspace is not the context's because somebody speaks of it there.
  expect(await ask('POST', `/v1/agents/${outside}/stop`, {})).toMatchObject({
    problem: { status: 403 },
  });
  expect(await ask('GET', `/v1/workspaces/${home}/definitions`)).toMatchObject({
    problem: { status: 403 },
  });
  expect(await ask('POST', `/v1/contexts/${contextId}/hub`, {})).toMatchObject({
    problem: { status: 403 },
  });
});

test('it is told why somebody may not do something, and what he would need', async () => {
  const person = await personWith('viewer', inHome);
  const why = async (query: string, key: TestKey = overlord) =>
    callAs(api.app, key)(`/v1/explain?${query}`);
  const denied = await why(`principal=${person.userId}&action=spawnAgents&workspace=${home}`);
  expect(denied.body).toMatchObject({
    decision: 'deny',
    rule: 'role:operator',
    role: 'viewer',
    needs: { role: 'operator', scope: 'agents:write' },
    bindings: [{ role: 'viewer', reaches: true, covers: false }],
    missing: [`the role operator or more in ${home}`],
  });
  const elsewhere = await why(`principal=${person.userId}&action=listAgents&workspace=${other}`);
  expect(elsewhere.body).toMatchObject({
    decision: 'deny',
    bindings: [{ reaches: false, why: 'holds in another workspace' }],
  });
  const chat = await why(
    `principal=${person.userId}&action=openTerminal&workspace=${home}&via=chat`,
  );
  expect(chat.body).toMatchObject({
    decision: 'deny',
    hasScope: false,
    rule: 'scope:terminal:read',
  });
  // Of himself everybody may ask; of others, who manages people there.
  const self = await why(`action=listAgents&workspace=${home}`, person);
  expect(self.body).toMatchObject({ decision: 'allow', principal: { id: person.id } });
  const ofOther = await why(`principal=${overlord.id}&action=listAgents`, person);
  expect(ofOther.status).toBe(403);
  await asOverlord(`/v1/users/${person.userId}/disable`, { method: 'POST', body: {} });
  const gone = await why(`principal=${person.userId}&action=listAgents&workspace=${home}`);
  expect(gone.body).toMatchObject({ decision: 'deny', rule: 'user:disabled' });
  const wrong = await why('action=toString');
  expect(wrong.status).toBe(400);
});
