import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { createTokenSignIn } from '../../api/middleware/oidc.ts';
import type { WorkspaceId } from '../../domain/id.ts';
import { ConfigSchema } from '../../infra/config/schema.ts';
import { linkIdentity } from '../../infra/db/queries/identity.ts';
import { findRole } from '../../infra/db/queries/principal.ts';
import { insertRoleBinding } from '../../infra/db/queries/role-binding.ts';
import { insertUser, setDisabled } from '../../infra/db/queries/user.ts';
import { createTokenVerifier } from '../../infra/identity/oidc.ts';
import { checkLeaks } from '../support/leaks.ts';
import { AUDIENCE, startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { callAs, makeKey, openTestApi, type Called } from './harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());
const asOverlord = callAs(api.app, await makeKey(db));
let issuer: TestIssuer;
let workspaceId: WorkspaceId;
let deps: ApiDeps;

beforeEach(async () => {
  issuer = await startIssuer();
  workspaceId = await makeWorkspace(db);
  configure({});
});
afterEach(() => issuer.stop());

function configure(changes: Readonly<Record<string, unknown>>): void {
  const given = { name: 'corp', issuer: issuer.issuer, audience: AUDIENCE, ...changes };
  const { issuers } = ConfigSchema.shape.oidc.parse({ issuers: [given] });
  const verifier = createTokenVerifier(issuers, () => Date.now());
  deps = { ...api.deps, oidc: createTokenSignIn({ db, verifier, logger: api.deps.logger }) };
}

const seconds = (fromNow: number): number => Math.floor(Date.now() / 1_000) + fromNow;

function signed(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return issuer.sign({ exp: seconds(600), iat: seconds(0), ...claims });
}

function call(token: string, path = `/v1/workspaces/${workspaceId}/approvals`): Promise<Called> {
  return callAs(createApp(deps, 'public'), null)(path, {
    headers: { authorization: `Bearer ${token}` },
  });
}

async function makeLinked(subject = 'ada'): Promise<string> {
  const id = newId('user');
  await insertUser(db, { id, name: 'Ada', createdBy: 'test' });
  await linkIdentity(db, {
    id: newId('identity'),
    userId: id,
    kind: 'oidc',
    issuer: issuer.issuer,
    subject,
    displayName: 'Ada',
    linkedBy: 'test',
  });
  return id;
}

function roleOf(principalId: string): Promise<string | null> {
  return findRole(db, { principalId, workspaceId });
}

test('a token of somebody who was linked is as good as his key', async () => {
  const token = await issuer.token();
  expect((await call(token)).status).toBe(401);
  const userId = await makeLinked();
  // Known, and with no right here: for him the workspace does not exist.
  expect((await call(token)).status).toBe(404);
  const place = { kind: 'workspace', workspaceId } as const;
  await insertRoleBinding(db, {
    id: newId('roleBinding'),
    userId,
    role: 'viewer',
    place,
    createdBy: 'test',
  });
  expect((await call(token)).status).toBe(200);
  const path = `/v1/workspaces/${workspaceId}/policies/check`;
  expect((await call(token, path)).status).toBeGreaterThanOrEqual(403);
  await setDisabled(db, { id: userId, disabled: true });
  expect((await call(token)).status).toBe(401);
});

test('who shows a token that is not good is told no more than anybody', async () => {
  await makeLinked();
  const refused = await call(await signed({ exp: seconds(-600) }));
  expect(refused).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
  expect(refused.text).not.toContain('expired');
  expect(api.logLines.join('')).toContain('"reason":"expired"');
});

test('a name or an address in a token is nobody', async () => {
  const userId = await makeLinked('ada');
  await insertRoleBinding(db, {
    id: newId('roleBinding'),
    userId,
    role: 'admin',
    place: { kind: 'installation' },
    createdBy: 'test',
  });
  const token = await signed({ sub: 'eve', name: 'Ada', email: 'ada@example.com', user: userId });
  expect((await call(token)).status).toBe(401);
});

test('claims give and take roles, where votes are checked too, and each change is audited', async () => {
  configure({
    roles: [
      { value: 'ops', role: 'operator', workspace: workspaceId },
      { value: 'auditors', role: 'viewer' },
    ],
  });
  const userId = await makeLinked();
  const at = seconds(-300);
  const ops = await signed({ groups: ['ops', 'other'], iat: at });
  expect((await call(ops)).status).toBe(200);
  expect(await roleOf(userId)).toBe('operator');
  expect((await call(await signed({ groups: ['auditors'], iat: at + 10 }))).status).toBe(200);
  expect(await roleOf(userId)).toBe('viewer');
  // An old token, shown again elsewhere, gives nothing back.
  configure({ roles: [{ value: 'ops', role: 'operator', workspace: workspaceId }] });
  expect((await call(ops)).status).toBe(200);
  expect(await roleOf(userId)).toBe('viewer');
  expect((await call(await signed({ groups: [], iat: at + 20 }))).status).toBe(404);
  expect(await roleOf(userId)).toBe(null);
  const answer = await asOverlord(`/v1/workspaces/${workspaceId}/audit`);
  const items = answer.body['items'];
  expect(items).toMatchObject([
    { action: 'role.granted', actorKind: 'system', actorId: 'oidc:corp' },
    { action: 'role.revoked', actorKind: 'system', actorId: 'oidc:corp' },
  ]);
});

test('what a person gave stays when claims change', async () => {
  configure({ roles: [{ value: 'ops', role: 'operator', workspace: workspaceId }] });
  const userId = await makeLinked();
  await insertRoleBinding(db, {
    id: newId('roleBinding'),
    userId,
    role: 'admin',
    place: { kind: 'workspace', workspaceId },
    createdBy: 'test',
  });
  await call(await signed({ groups: ['ops'], iat: seconds(-20) }));
  await call(await signed({ groups: [], iat: seconds(-10) }));
  expect(await roleOf(userId)).toBe('admin');
});

test('somebody nobody knows becomes a user only where that is configured and a role is given', async () => {
  const roles = [{ value: 'ops', role: 'operator', workspace: workspaceId }];
  const token = await signed({ sub: 'grace', name: 'Grace', groups: ['ops'] });
  configure({ roles });
  expect((await call(token)).status).toBe(401);
  configure({ roles, autoProvision: true });
  expect((await call(await signed({ sub: 'alan', groups: [] }))).status).toBe(401);
  expect((await call(token)).status).toBe(200);
  // Twice at once, and again: one user.
  configure({ roles, autoProvision: true });
  await Promise.all([call(token), call(token)]);
  const users = await db
    .selectFrom('user_account')
    .select(['id', 'name'])
    .where('created_by', '=', 'oidc:corp')
    .execute();
  expect(users).toMatchObject([{ name: 'Grace' }]);
  // Once a person has unlinked him, his token makes nobody of him again.
  await db
    .updateTable('identity')
    .set({ unlinked_at: new Date() })
    .where('subject', '=', 'grace')
    .execute();
  expect((await call(token)).status).toBe(401);
});

test('a role in a workspace that is somebody’s own comes with no token', async () => {
  const owner = newId('user');
  await insertUser(db, { id: owner, name: 'Owner', createdBy: 'test' });
  await db
    .updateTable('workspace')
    .set({ kind: 'private', owner_user_id: owner })
    .where('id', '=', workspaceId)
    .execute();
  configure({ roles: [{ value: 'ops', role: 'admin', workspace: workspaceId }] });
  const userId = await makeLinked();
  expect((await call(await signed({ groups: ['ops'] }))).status).toBe(404);
  expect(await roleOf(userId)).toBe(null);
});
