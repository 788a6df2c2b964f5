import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { routes } from '../../api/routes/index.ts';
import { isUserAccess, type Route, type UserAccess } from '../../api/route.ts';
import { ruleOf } from '../../domain/action.ts';
import {
  ROLES,
  SCOPES,
  covers,
  type Role,
  type RoleBinding,
  type Scope,
} from '../../domain/principal.ts';
import { revokeKey } from '../../infra/db/queries/key.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { callAs, makeKey, openTestApi } from './harness.ts';
import { bearer, makeKeyOf, makePeople, makeUserOf, signIns, type Person } from './table-people.ts';
import { makeTableRecords } from './table-records.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());

const own = await makeWorkspace(db);
const owner = await makeKey(db);
const records = await makeTableRecords(db);
const doors = signIns(db);
const app = createApp({ ...api.deps, ...doors }, 'admin');
const people = await makePeople(
  db,
  { there: records.workspaceId, elsewhere: own, contextId: records.contextId },
  doors,
);
const expired = await makeKey(db, { expiresAt: new Date(Date.now() - 1_000) });
const revoked = await makeKey(db);
await revokeKey(db, revoked.id);

type Restricted = Route & { readonly access: UserAccess };
const restricted = routes.filter((route): route is Restricted => isUserAccess(route.access));

/** The route's path; a parameter that names no record of a workspace is not looked at before the handler. */
function pathOf({ path, target }: Route, which: 'name' | 'nobodys' = 'name'): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, param: string) =>
    target?.param === param ? records.of[target.kind][which] : param,
  );
}

/**
 * Asks for a route without doing what it does: the gate reads the query after it has let somebody through and before
 * the handler runs, and a parameter that is given twice ends there with 400.
 */
async function probe(route: Route, { comes }: Pick<Person, 'comes'>): Promise<Response> {
  const { headers, env } = await comes();
  return app.request(`${pathOf(route)}?twice=1&twice=2`, { method: route.method, headers }, env);
}

/** What the table of actions says, worked out as plainly as it can be, and by none of the code that decides. */
function expectedStatus({ access, target }: Restricted, person: Person): number {
  if (!person.isKnown) return 401;
  const { role, scope, inContext, withAnyRole } = ruleOf(access.action);
  const isOfInstallation = target !== null && records.of[target.kind].isOfInstallation === true;
  const isThere = ({ place }: RoleBinding): boolean =>
    place.kind === 'installation' ||
    (!isOfInstallation && place.workspaceId === records.workspaceId);
  if (target !== null && !person.bindings.some(isThere)) return 404;
  const speaksThere = inContext === true && person.contextId === records.contextId;
  const isInContext = target?.kind === 'context' || (target?.kind === 'workspace' && speaksThere);
  const counts = ({ place }: RoleBinding): boolean => {
    if (place.kind === 'installation' || place.kind === 'workspace') return true;
    if (target === null) return withAnyRole === true;
    return place.kind === 'context' && isInContext;
  };
  const isEnough = person.bindings
    .filter((binding) => target === null || isThere(binding))
    .some((binding) => counts(binding) && covers(binding.role, role));
  return isEnough && person.scopes.includes(scope) ? 400 : 403;
}

const scopeless = new Map<Scope, Promise<string>>();

/** The secret of a key that may do everything but what takes one scope. */
function keyWithout(scope: Scope): Promise<string> {
  const scopes = SCOPES.filter((other) => other !== scope);
  const secret =
    scopeless.get(scope) ??
    makeKeyOf(db, null, { role: 'overlord', scopes }).then((key) => key.secret);
  scopeless.set(scope, secret);
  return secret;
}

test('every route says what it needs, and no two are the same', () => {
  const places = routes.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(places).size).toBe(places.length);
  expect(new Set(routes.map(({ name }) => name)).size).toBe(routes.length);
  expect(routes.filter(({ access }) => access === 'public').map(({ name }) => name)).toEqual([
    'getHealth',
    'getReadiness',
    'getMetrics',
    'getOpenApi',
    'enrol',
    'getPanelLogin',
    'postPanelLogin',
    'postPanelLogout',
    'getPanelAsset',
    'linkHost',
    'openHostTunnel',
    'reachLinkedHost',
    'takeTelegramUpdate',
    'takeCallback',
    'compatHealth',
  ]);
  for (const { method, idempotent, isRaw } of routes)
    expect(idempotent).toBe(method === 'POST' && !isRaw);
});

test('the app answers nothing that is not in the table', () => {
  const registered = app.routes
    .filter(({ method, path }) => method !== 'ALL' && path !== '/*')
    .map(({ method, path }) => `${method} ${path}`);
  const listed = routes.map(
    ({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
  );
  expect(registered.sort()).toEqual(listed.sort());
});

describe.each(restricted.map((route) => [route.name, route] as const))('%s', (_name, route) => {
  test('answers everybody as the table of actions says', async () => {
    const answers = await Promise.all(
      people.map(async (person) => {
        const { status } = await probe(route, person);
        return [person.name, status] as const;
      }),
    );
    api.clock.advance(60_000);
    const expected = people.map((person) => [person.name, expectedStatus(route, person)]);
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(expected));
  });

  test('answers 403 without its scope, and says which it is', async () => {
    const headers = bearer(await keyWithout(route.access.scope));
    const answer = await probe(route, { comes: async () => ({ headers, env: {} }) });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain(route.access.scope);
  });

  test('answers 401 to everybody it does not know, and the same to all of them', async () => {
    const wrongSecret = `${owner.secret.slice(0, -2)}zz`;
    const strangers: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      none: {},
      garbage: bearer('garbage'),
      basic: { authorization: `Basic ${btoa('a:b')}` },
      'unknown prefix': bearer(`rk_nobody00_${'x'.repeat(43)}`),
      'wrong secret': bearer(wrongSecret),
      expired: bearer(expired.secret),
      revoked: bearer(revoked.secret),
      'token of nobody': bearer('a.usr_nobody.c'),
    };
    const answers = await Promise.all(
      Object.entries(strangers).map(async ([kind, shown]) => {
        const headers = { ...shown, 'x-request-id': 'same' };
        const answer = await probe(route, { comes: async () => ({ headers, env: {} }) });
        expect([kind, answer.status]).toEqual([kind, 401]);
        expect(answer.headers.get('www-authenticate')).toContain('Bearer');
        return answer.text();
      }),
    );
    expect(new Set(answers).size).toBe(1);
    api.clock.advance(60_000);
  });

  test.runIf(route.target !== null)('tells no stranger that a record exists', async () => {
    const stranger = people.find(({ name }) => name === 'token of overlord elsewhere');
    const { headers } = (await stranger?.comes()) ?? { headers: {} };
    const what = { method: route.method, headers: { ...headers, 'x-request-id': 'same' } };
    const theirs = await app.request(pathOf(route), what);
    const nobodys = await app.request(pathOf(route, 'nobodys'), what);
    expect(theirs.status).toBe(404);
    expect(await theirs.text()).toBe(await nobodys.text());
  });
});

test('a private workspace is its owner’s, and an overlord’s', async () => {
  const ownerId = await makeUserOf(db, null);
  const made = await callAs(app, owner)('/v1/workspaces', {
    body: { slug: 'diary', name: 'Diary', ownerUserId: ownerId },
  });
  expect(made.body).toMatchObject({ kind: 'private', ownerUserId: ownerId });
  const path = `/v1/workspaces/${String(made.body['id'])}`;
  const statusOf = async (role: Role): Promise<number> => {
    const key = await makeKey(db, { role });
    const list = await callAs(app, key)('/v1/workspaces?limit=200');
    expect(list.text.includes('diary')).toBe(role === 'overlord');
    return (await callAs(app, key)(path)).status;
  };
  const statuses = await Promise.all(ROLES.map(statusOf));
  expect(statuses).toEqual([200, 404, 404, 404, 404]);
  const ownersKey = await makeKeyOf(db, ownerId, { role: 'overlord' });
  const asked = await app.request(path, { headers: bearer(ownersKey.secret) });
  expect(asked.status).toBe(200);
});

test('a key of one workspace sees its own', async () => {
  const key = await makeKey(db, { workspaceId: own, role: 'viewer' });
  expect((await callAs(api.app, key)(`/v1/workspaces/${own}`)).status).toBe(200);
  const list = await callAs(api.app, key)('/v1/workspaces');
  expect(list.body['items']).toMatchObject([{ id: own }]);
});

async function timeOf(secret: string): Promise<number> {
  const startedAt = performance.now();
  await api.app.request('/v1/workspaces', { headers: { authorization: `Bearer ${secret}` } });
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

test('an unknown prefix takes as long as a wrong secret', async () => {
  const times = { unknown: [] as number[], wrong: [] as number[] };
  for (let round = 0; round < 60; round += 1) {
    times.unknown.push(await timeOf(`rk_${randomUUID().slice(0, 8)}_${'x'.repeat(43)}`));
    times.wrong.push(await timeOf(`rk_${owner.prefix}_${'x'.repeat(43)}`));
    api.clock.advance(1_000);
  }
  // Both are one indexed look-up and one hash; far apart would mean that one of them does less.
  const ratio = median(times.unknown) / median(times.wrong);
  expect(ratio).toBeGreaterThan(0.5);
  expect(ratio).toBeLessThan(2);
});

test('the last use of a key is noted, once a minute at most', async () => {
  const key = await makeKey(db);
  const lastUse = async () => {
    const row = await sql<{ at: Date | null }>`select last_used_at as at from api_key
      where id = ${key.id}`.execute(db);
    return row.rows[0]?.at?.getTime() ?? null;
  };
  expect(await lastUse()).toBeNull();
  await callAs(api.app, key)('/v1/workspaces');
  const first = await lastUse();
  expect(first).not.toBeNull();
  await callAs(api.app, key)('/v1/workspaces');
  expect(await lastUse()).toBe(first);
});

test('roles are ordered as the requirements say', () => {
  const above: readonly Role[] = ROLES.filter((role) => covers(role, 'operator'));
  expect(above).toEqual(['overlord', 'admin', 'operator']);
});
