import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { parseId } from '../../domain/id.ts';
import { AgentSpecSchema } from '../../domain/schema/spawn.ts';
import { findContextOfChat, findHub } from '../../infra/db/queries/context.ts';
import { findDeciders, findRole } from '../../infra/db/queries/principal.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { callAs, makeKey, openTestApi } from './harness.ts';
import { makeKeyOf, makeUserOf } from './table-people.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());

const overlord = await makeKey(db);
const as = callAs(api.app, overlord);
const Id = z.object({ id: z.string() });
const connectorId = newId('connector');
await db
  .insertInto('connector')
  .values({ id: connectorId, name: 'test', network: 'telegram', created_by: 'test' })
  .execute();

async function makeContext(workspaceId: string, body: unknown): Promise<string> {
  const answer = await as(`/v1/workspaces/${workspaceId}/contexts`, { body });
  expect([answer.status, answer.text]).toEqual([201, answer.text]);
  return Id.parse(answer.body).id;
}

let chats = 0;
const group = (slug: string, threadId: string | null = null, chatId = `-100${(chats += 1)}`) => ({
  slug,
  name: slug,
  kind: threadId === null ? 'group' : 'thread',
  chat: { connectorId, chatId, threadId },
});

test('a chat is found by its numbers: a thread by its own context, else by that of its chat', async () => {
  const home = await makeWorkspace(db);
  const whole = await makeContext(home, group('all', null, '-55'));
  const thread = await makeContext(home, group('one', '7', '-55'));
  const find = async (chatId: string, threadId: string | null) =>
    (await findContextOfChat(db, { connectorId, chatId, threadId }))?.id ?? null;
  expect(await find('-55', '7')).toBe(thread);
  expect(await find('-55', '8')).toBe(whole);
  expect(await find('-55', null)).toBe(whole);
  expect(await find('55', null)).toBeNull();
  const twice = await as(`/v1/workspaces/${await makeWorkspace(db)}/contexts`, {
    body: group('mine', null, '-55'),
  });
  expect(twice.status).toBe(409);
  await as(`/v1/contexts/${thread}`, { method: 'DELETE' });
  expect(await find('-55', '7')).toBe(whole);
});

test('a workspace has one hub for each connector, switched only by an admin of the whole workspace', async () => {
  const home = await makeWorkspace(db);
  const [first, second] = [
    await makeContext(home, group('a')),
    await makeContext(home, group('b')),
  ];
  const contextId = parseId('context', second);
  const localAdmin = await makeUserOf(db, {
    role: 'admin',
    place: { kind: 'context', workspaceId: home, contextId },
  });
  const key = await makeKeyOf(db, localAdmin, { role: 'overlord' });
  const asLocal = callAs(api.app, { ...key, id: parseId('apiKey', key.id), prefix: '' });
  const hub = (id: string) => as(`/v1/contexts/${id}/hub`, { method: 'POST', body: {} });
  expect((await asLocal(`/v1/contexts/${second}/hub`, { body: {} })).status).toBe(403);
  expect((await hub(first)).body['kind']).toBe('admin_hub');
  expect((await hub(second)).body['kind']).toBe('admin_hub');
  expect((await findHub(db, { workspaceId: home, connectorId }))?.id).toBe(second);
  expect((await as(`/v1/contexts/${first}`)).body['kind']).toBe('group');
  const both = await Promise.all([hub(first), hub(second), hub(first)]);
  expect(both.map(({ status }) => status)).toEqual([200, 200, 200]);
  const hubs = await db
    .selectFrom('context')
    .select('id')
    .where('workspace_id', '=', home)
    .where('kind', '=', 'admin_hub')
    .execute();
  expect(hubs).toHaveLength(1);
  const plain = await makeContext(home, { slug: 'plain', name: 'Plain' });
  expect((await hub(plain)).status).toBe(409);
});

test('settings are inherited with their origin, and a context never allows more than its workspace', async () => {
  const home = await makeWorkspace(db);
  const contextId = await makeContext(home, { slug: 'room', name: 'Room' });
  const put = async (path: string, body: unknown) => {
    const answer = await as(path, { method: 'PUT', raw: JSON.stringify(body) });
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
    return answer.body['effective'];
  };
  await put(`/v1/workspaces/${home}/settings`, {
    systemPrompt: 'Be brief.',
    tools: ['note_*', 'ask'],
    models: ['claude-*'],
    memory: false,
  });
  const effective = await put(`/v1/contexts/${contextId}/settings`, {
    tools: ['note_memory', 'delete_document'],
    model: 'claude-haiku',
    memory: true,
    approvals: 'hub',
  });
  expect(effective).toEqual({
    systemPrompt: { value: 'Be brief.', origin: 'workspace' },
    tools: { value: ['note_memory'], origin: 'both' },
    models: { value: ['claude-*'], origin: 'workspace' },
    model: { value: 'claude-haiku', origin: 'context' },
    memory: { value: false, origin: 'workspace' },
    approvals: { value: 'hub', origin: 'context' },
  });
  const events = await as(`/v1/workspaces/${home}/events?types=settings.changed`);
  expect(z.object({ items: z.array(z.unknown()) }).parse(events.body).items).toHaveLength(2);
  const audit = await as(`/v1/workspaces/${home}/audit`);
  expect(audit.text).not.toContain('Be brief.');
  for (const wrong of [{ owner: true }, { tools: ['*x'] }, { model: 'a\nb' }, { memory: 'no' }]) {
    const answer = await as(`/v1/workspaces/${home}/settings`, {
      method: 'PUT',
      raw: JSON.stringify(wrong),
    });
    expect(answer.status).toBe(400);
  }
});

test('an agent of a context is told, allowed and limited what the context says', async () => {
  const home = await makeWorkspace(db);
  const contextId = await makeContext(home, { slug: 'room', name: 'Room' });
  await as(`/v1/contexts/${contextId}/settings`, {
    method: 'PUT',
    raw: JSON.stringify({
      systemPrompt: 'Speak of nothing private.',
      tools: ['recall_memory', 'note_*'],
      models: ['gpt-*'],
      model: 'gpt-mini',
      memory: false,
    }),
  });
  const spawn = (body: Readonly<Record<string, unknown>>) =>
    as(`/v1/contexts/${contextId}/spawns`, {
      body: { type: 'custom', command: ['true'], ...body },
    });
  const made = await spawn({ task: 'Sum it up.', tools: ['note_memory', 'ask'] });
  expect([made.status, made.text]).toEqual([202, made.text]);
  const { agents } = z.object({ agents: z.array(Id) }).parse(made.body);
  const row = await db
    .selectFrom('agent')
    .select(['spec', 'context_id'])
    .where('id', '=', agents[0]?.id ?? '')
    .executeTakeFirstOrThrow();
  expect(row.context_id).toBe(contextId);
  expect(AgentSpecSchema.parse(row.spec)).toMatchObject({
    task: 'Speak of nothing private.\n\nSum it up.',
    tools: ['note_memory'],
    models: ['gpt-*'],
    model: 'gpt-mini',
    memory: false,
  });
  const refused = await spawn({ model: 'claude-opus' });
  expect([refused.status, refused.body['code']]).toEqual([403, 'policy_denied']);
  const list = await as(`/v1/contexts/${contextId}/agents`);
  expect(z.object({ items: z.array(Id) }).parse(list.body).items).toEqual([
    expect.objectContaining({ id: agents[0]?.id }),
  ]);
  await as(`/v1/contexts/${contextId}`, { method: 'DELETE' });
  expect((await spawn({})).status).toBe(404);
});

test('in a private workspace nobody but its owner and overlords decides, counts or is let in', async () => {
  const ownerId = await makeUserOf(db, null);
  const made = await as('/v1/workspaces', {
    body: { slug: 'diary', name: 'Diary', ownerUserId: ownerId },
  });
  const workspaceId = parseId('workspace', made.body['id']);
  const admin = await makeKey(db, { role: 'admin' });
  const deciders = await findDeciders(db, { workspaceId, role: 'operator' });
  expect(deciders).toContain(ownerId);
  expect(deciders).toContain(overlord.id);
  expect(deciders).not.toContain(admin.id);
  expect(await findRole(db, { principalId: admin.id, workspaceId })).toBeNull();
  const guest = await makeUserOf(db, null);
  const binding = { role: 'viewer', place: { kind: 'workspace', workspaceId } };
  const letIn = await as(`/v1/users/${guest}/role-bindings`, { body: binding });
  expect(letIn.status).toBe(403);
  const key = { name: 'x', role: 'viewer', scopes: ['agents:read'], workspaceId };
  expect((await as('/v1/keys', { body: key })).status).toBe(403);
  expect((await as('/v1/keys', { body: { ...key, userId: ownerId } })).status).toBe(201);
  expect((await callAs(api.app, admin)('/v1/keys', { body: key })).status).toBe(404);
});
