import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { parseId } from '../../domain/id.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { callAs, makeKey, openTestApi } from './harness.ts';
import { makeKeyOf, makeUserOf } from './table-people.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());
beforeAll(() => api.work());

const home = await makeWorkspace(db);
const as = callAs(api.app, await makeKey(db));
const Id = z.object({ id: z.string() });

async function makeContext(slug: string): Promise<string> {
  const made = await as(`/v1/workspaces/${home}/contexts`, { body: { slug, name: slug } });
  return Id.parse(made.body).id;
}

/** What an agent may do that somebody with a role in this context only has spawned there. */
async function grantsOf(contextId: string): Promise<readonly string[]> {
  const guest = await makeUserOf(db, {
    role: 'operator',
    place: { kind: 'context', workspaceId: home, contextId: parseId('context', contextId) },
  });
  const key = await makeKeyOf(db, guest, { role: 'overlord' });
  const asGuest = callAs(api.app, { ...key, id: parseId('apiKey', key.id), prefix: '' });
  const spawned = await asGuest(`/v1/contexts/${contextId}/spawns`, {
    body: { type: 'custom', command: ['true'] },
  });
  expect([spawned.status, spawned.text]).toEqual([202, spawned.text]);
  const [agent] = z.object({ agents: z.array(Id) }).parse(spawned.body).agents;
  const find = () =>
    db
      .selectFrom('agent_key')
      .select('grants')
      .where('agent_id', '=', agent?.id ?? '')
      .where('use', '=', 'mcp')
      .executeTakeFirst();
  await expect.poll(find, { timeout: 20_000 }).toBeDefined();
  return (await find())?.grants ?? [];
}

test('an agent of one context has what its owner may give there, and no notes where there are to be none', async () => {
  const open = await makeContext('open');
  expect(await grantsOf(open)).toContain('write:memory');
  const quiet = await makeContext('quiet');
  await as(`/v1/contexts/${quiet}/settings`, {
    method: 'PUT',
    raw: JSON.stringify({ memory: false }),
  });
  const grants = await grantsOf(quiet);
  expect(grants).toContain('read:documents');
  expect(grants.filter((grant) => grant.endsWith(':memory'))).toEqual([]);
});
