import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TOOLS } from '../../../api/mcp/registry.ts';
import { ownFolder } from '../../../domain/document.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { makeKey, openTestApi } from '../harness.ts';
import { appOf, callTool, connectAgent, spawnAgent, type AgentSession } from './session.ts';

checkLeaks();
const database = await createTestDatabase();
const api = await openTestApi(database);
const app = appOf(api);
const workspace = await makeWorkspace(database.db);
const key = await makeKey(database.db, { role: 'operator' });
let agent: AgentSession;
beforeAll(async () => {
  await api.work();
  agent = await spawnAgent(api, { workspace, key });
});
afterAll(() => api.close());

const ALLOWED = [
  'own_status',
  'list_documents',
  'read_document',
  'write_document',
  'search_documents',
  'send_message',
  'ask_question',
  'check_question',
  'list_messages',
  'request_approval',
  'request_access',
  'check_approval',
  'post_message',
  'note_memory',
  'recall_memory',
  'forget_memory',
];

describe.each([
  { era: 'auto', revision: '2026-07-28' },
  { era: 'legacy', revision: '2025-11-25' },
] as const)('the official client in the revision $revision', ({ era, revision }) => {
  test('negotiates it and is told who answers', async () => {
    const client = await connectAgent(app, agent, era);
    expect(client.getNegotiatedProtocolVersion()).toBe(revision);
    expect(client.getServerVersion()).toMatchObject({ name: 'rookery' });
    expect(client.getInstructions()).toContain('own_status');
    await client.close();
  });

  test('sees the tools that its key opens, each with a schema, and no others', async () => {
    const client = await connectAgent(app, agent, era);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(ALLOWED);
    expect(TOOLS.map(({ name }) => name)).toContain('delete_document');
    for (const { inputSchema, description } of tools) {
      expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(description).not.toBe('');
    }
    await client.close();
  });

  test('writes, reads, lists and searches documents', async () => {
    const client = await connectAgent(app, agent, era);
    const path = `${ownFolder(agent.agentId)}/${era}/diary.md`;
    const written = await callTool(client, 'write_document', { path, text: '# Day 1\nSun.' });
    expect(written.facts).toMatchObject({ path, created: true });
    const read = await callTool(client, 'read_document', { path });
    expect(read.texts[0]).toBe('# Day 1\nSun.');
    expect(read.facts).toMatchObject({ etag: written.facts['etag'], next: null });
    const part = await callTool(client, 'read_document', { path, offset: 2, limit: 5 });
    expect([part.texts[0], part.facts['next']]).toEqual(['Day 1', 7]);
    const listed = await callTool(client, 'list_documents', { folder: ownFolder(agent.agentId) });
    expect(JSON.stringify(listed.facts)).toContain(path);
    const found = await callTool(client, 'search_documents', { glob: '**/*.md', text: 'SUN' });
    expect(JSON.stringify(found.facts)).toContain('"lines":[{"line":2,"text":"Sun."}]');
    const stale = await callTool(client, 'write_document', { path, text: 'x', ifMatch: '' });
    expect([stale.isError, stale.texts[0]]).toEqual([
      true,
      expect.stringContaining('A document is there already'),
    ]);
    await client.close();
  });

  test('reads documents and its status as resources', async () => {
    const client = await connectAgent(app, agent, era);
    const path = `${ownFolder(agent.agentId)}/${era} Zürich.md`;
    await callTool(client, 'write_document', { path, text: 'hello' });
    const { resources } = await client.listResources();
    const uri = resources.find(({ name }) => name === path)?.uri ?? '';
    const read = await client.readResource({ uri });
    expect(read.contents[0]).toMatchObject({ uri, text: 'hello' });
    const status = await client.readResource({ uri: 'rookery://status' });
    expect(JSON.stringify(status)).toContain(agent.agentId);
    await expect(
      client.readResource({ uri: 'rookery://documents/..%2F..%2Fetc%2Fpasswd' }),
    ).rejects.toThrow('Not the path of a document');
    await expect(client.readResource({ uri: 'file:///etc/passwd' })).rejects.toThrow(
      'There is no such resource',
    );
    await client.close();
  });

  test('keeps, finds and forgets notes', async () => {
    const client = await connectAgent(app, agent, era);
    const noted = await callTool(client, 'note_memory', { text: `The cat is ${era}` });
    const recalled = await callTool(client, 'recall_memory', { query: `cat ${era}` });
    expect(JSON.stringify(recalled.facts)).toContain(`The cat is ${era}`);
    const { noteId } = noted.facts;
    expect((await callTool(client, 'forget_memory', { noteId })).isError).toBe(false);
    expect((await callTool(client, 'forget_memory', { noteId })).texts).toEqual([
      'You have no such note.',
    ]);
    const gone = await callTool(client, 'recall_memory', { query: `cat ${era}` });
    expect(gone.facts).toEqual({ notes: [] });
    await client.close();
  });

  test('is told what was wrong with its arguments, and of a tool that does not exist', async () => {
    const client = await connectAgent(app, agent, era);
    const wrong = await callTool(client, 'read_document', { path: 7, more: 1 });
    expect(wrong.isError).toBe(true);
    expect(wrong.texts[0]).toContain('path:');
    await expect(callTool(client, 'no_such_tool')).rejects.toThrow('There is no such tool');
    await client.close();
  });

  test('knows who it is', async () => {
    const client = await connectAgent(app, agent, era);
    expect((await callTool(client, 'own_status')).facts).toMatchObject({
      agentId: agent.agentId,
      workspaceId: workspace,
      epoch: 1,
      ownFolder: ownFolder(agent.agentId),
    });
    await client.close();
  });
});

test('an agent whose spawn chose tools sees those only', async () => {
  const chosen = await spawnAgent(api, { workspace, key }, { tools: ['own_status', 'check_*'] });
  const client = await connectAgent(app, chosen);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toEqual(['own_status', 'check_question', 'check_approval']);
  await expect(callTool(client, 'send_message', { text: 'x' })).rejects.toThrow('needs the grant');
  await client.close();
});
