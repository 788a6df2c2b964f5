import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from 'kysely';
import { z } from 'zod';
import type { PolicyDecision, PolicyRequest } from '../../../domain/policy.ts';
import { createContext } from '../../../infra/db/queries/context.ts';
import { decideBuiltIn } from '../../../infra/policy/built-in.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { newId } from '../../support/records.ts';
import { callAs, makeKey, openTestApi } from '../harness.ts';
import {
  appOf,
  callTool,
  connectAgent,
  spawnAgent,
  type AgentSession,
  type ToolResult,
} from './session.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
let decide: (request: PolicyRequest) => PolicyDecision = decideBuiltIn;
const api = await openTestApi(database, { policy: { decide: async (each) => decide(each) } });
const app = appOf(api);
const workspace = await makeWorkspace(db);
const owner = await makeKey(db, { role: 'operator', workspaceId: workspace });
const admin = await makeKey(db, { role: 'admin', workspaceId: workspace });
const asAdmin = callAs(api.app, admin);
beforeAll(() => api.work());
afterAll(() => api.close());
beforeEach(() => {
  decide = decideBuiltIn;
});

const connectorId = newId('connector');
await db
  .insertInto('connector')
  .values({ id: connectorId, network: 'telegram', name: 'bot', created_by: 'test' })
  .execute();

async function makeContext(slug: string, chatId: string | null, workspaceId = workspace) {
  const id = newId('context');
  const spot = chatId === null ? null : { connectorId, chatId, threadId: null };
  const context = { id, workspaceId, slug, name: slug, spot, createdBy: 'test' };
  await createContext(db, { ...context, kind: chatId === null ? 'plain' : 'group' });
  return id;
}
const home = await makeContext('home', '-100');
const news = await makeContext('news', '-200');
await makeContext('nowhere', null);
await makeContext('foreign', '-300', await makeWorkspace(db));

async function agentAtHome(): Promise<AgentSession> {
  const agent = await spawnAgent(api, { workspace, key: owner }, { name: 'herald' });
  await sql`update agent set context_id = ${home} where id = ${agent.agentId}`.execute(db);
  return agent;
}

async function post(agent: AgentSession, input: object): Promise<ToolResult> {
  const client = await connectAgent(app, agent);
  try {
    return await callTool(client, 'post_message', { waitSeconds: 0, ...input });
  } finally {
    await client.close();
  }
}

function factsOf({ facts }: ToolResult): ToolResult['facts'] {
  return facts;
}

/** What is in the outbox, opened. */
async function outbox(place: string) {
  const rows = await db
    .selectFrom('post')
    .select(['key', 'sealed'])
    .where('place', '=', place)
    .orderBy('seq')
    .execute();
  return rows.map(({ sealed }) => {
    const text = sealed === null ? '{}' : api.deps.secrets.unseal(sealed);
    return z.object({ spans: z.array(z.object({ text: z.string() })) }).parse(JSON.parse(text));
  });
}

async function wordsAt(place: string): Promise<readonly string[]> {
  return (await outbox(place)).map(({ spans }) => spans.map(({ text }) => text).join(''));
}

async function opened(approvalId: unknown) {
  const path = `/v1/approvals/${String(approvalId)}`;
  await expect.poll(async () => (await asAdmin(path)).status, { timeout: 20_000 }).toBe(200);
  return (await asAdmin(path)).body;
}

async function grant(approvalId: unknown) {
  const { digest } = await opened(approvalId);
  return asAdmin(`/v1/approvals/${String(approvalId)}/decide`, {
    body: { verdict: 'grant', digest },
  });
}

async function writeTemplate(path: string, text: string): Promise<void> {
  const written = await callAs(api.app, owner)(
    `/v1/workspaces/${workspace}/document?path=${encodeURIComponent(path)}`,
    { method: 'PUT', body: { text } },
  );
  expect([written.status, written.text]).toEqual([200, expect.any(String)]);
}

test('an agent answers in the chat it was started from, at once, under its own name', async () => {
  const agent = await agentAtHome();
  const said = await post(agent, { text: 'Done. *Not* markup: [x](https://evil.example)' });
  expect([said.isError, factsOf(said)]).toEqual([false, { state: 'posted' }]);
  expect(await wordsAt('-100')).toEqual(['herald\nDone. *Not* markup: [x](https://evil.example)']);
  const { rows } = await sql<{ action: string }>`
    select action from audit where workspace_id = ${workspace} and actor_id = ${agent.agentId}
      and action in ('gate.decide', 'chat.post') order by seq`.execute(db);
  expect(rows.map(({ action }) => action)).toEqual(['gate.decide', 'chat.post']);
});

test('the same post under the same name is said once, also by two calls at a time', async () => {
  const agent = await agentAtHome();
  const input = { text: 'Only once.', once: 'report-1' };
  await Promise.all([post(agent, input), post(agent, input)]);
  await post(agent, input);
  const said = (await wordsAt('-100')).filter((words) => words.includes('Only once.'));
  expect(said).toHaveLength(1);
});

test('elsewhere people are asked, see all of it, and what they grant is said once', async () => {
  const agent = await agentAtHome();
  const asked = await post(agent, { text: 'To everybody.', context: 'news' });
  const { approvalId, state } = factsOf(asked);
  expect(state).toBe('open');
  expect(await wordsAt('-200')).toEqual([]);
  expect(await opened(approvalId)).toMatchObject({
    payload: { kind: 'post', message: 'To everybody.', contextId: news, chatId: '-200' },
    mayStand: false,
    recipients: [`${connectorId}/-200`],
    gate: { verdict: 'ask', rule: 'default' },
  });
  const [first, second] = await Promise.all([grant(approvalId), grant(approvalId)]);
  expect(new Set([first.status, second.status])).toContain(200);
  expect(await wordsAt('-200')).toEqual(['herald\nTo everybody.']);
  const late = await grant(approvalId);
  expect([late.status, late.body['code']]).toEqual([409, 'conflict']);
  expect(await wordsAt('-200')).toHaveLength(1);
});

test('what was changed in the table since it was asked is not said, and the approval is void', async () => {
  const agent = await agentAtHome();
  const { approvalId } = factsOf(await post(agent, { text: 'Harmless.', context: 'news' }));
  await opened(approvalId);
  await sql`update approval_request set payload = replace(payload, 'Harmless', 'Evil')
    where approval_id = ${String(approvalId)}`.execute(db);
  const granted = await grant(approvalId);
  expect([granted.status, granted.body['code']]).toEqual([409, 'conflict']);
  expect((await opened(approvalId))['state']).toBe('voided');
  expect((await wordsAt('-200')).join()).not.toContain('Evil');
});

test('a denied post says the rule, and nothing is said', async () => {
  const agent = await agentAtHome();
  decide = () => ({
    verdict: 'deny',
    rule: 'no-posts',
    engine: 'cedar',
    version: 1,
    reason: '',
  });
  const said = await post(agent, { text: 'Never.' });
  expect([said.isError, said.texts.join()]).toEqual([true, expect.stringContaining('no-posts')]);
  decide = () => {
    throw new Error('The engine is down.');
  };
  const failed = await post(agent, { text: 'Never.' });
  expect([failed.isError, failed.texts.join()]).toEqual([true, expect.stringContaining('error')]);
  expect((await wordsAt('-100')).join()).not.toContain('Never');
});

test('a template that was approved for ever is said at once, to those alone, and only from that very document', async () => {
  const agent = await agentAtHome();
  await writeTemplate(
    'templates/release.md',
    '---\nplaceholders: version(20)\n---\nVersion {{version}} is out.\n',
  );
  const ask = (version: string, context = 'news') =>
    post(agent, { context, template: { path: 'templates/release.md', values: { version } } });
  const { approvalId } = factsOf(await ask('1.0'));
  const approval = await opened(approvalId);
  expect(approval['mayStand']).toBe(true);
  const forever = await asAdmin(`/v1/approvals/${String(approvalId)}/approve-forever`, {
    body: { digest: approval['digest'] },
  });
  expect(forever.status).toBe(200);
  expect(factsOf(await ask('1.1'))).toEqual({ state: 'posted' });
  expect(await wordsAt('-200')).toEqual(
    expect.arrayContaining(['herald\nVersion 1.0 is out.', 'herald\nVersion 1.1 is out.']),
  );

  const tooLong = await ask('x'.repeat(21));
  expect([tooLong.isError, tooLong.texts.join()]).toEqual([true, expect.stringContaining('20')]);
  const twoLines = await ask('1.2\nBuy now');
  expect(twoLines.isError).toBe(true);

  const other = await makeContext('other', '-201');
  expect(factsOf(await ask('1.3', other))).toMatchObject({ state: 'open' });
  expect(await wordsAt('-201')).toEqual([]);
  expect(
    factsOf(await post(agent, { text: 'Version 1.4 is out.', context: 'news' })),
  ).toMatchObject({ state: 'open' });

  await writeTemplate(
    'templates/release.md',
    '---\nplaceholders: version(20)\n---\nVersion {{version}} is out. Buy it.\n',
  );
  expect(factsOf(await ask('1.5'))).toMatchObject({ state: 'open' });
  const id = String(forever.body['standingApprovalId']);
  await writeTemplate(
    'templates/release.md',
    '---\nplaceholders: version(20)\n---\nVersion {{version}} is out.\n',
  );
  await asAdmin(`/v1/standing-approvals/${id}`, { method: 'DELETE' });
  expect(factsOf(await ask('1.6'))).toMatchObject({ state: 'open' });
});

test.each([
  ['both or neither', {}, 'either'],
  ['another workspace', { text: 'x', context: 'foreign' }, 'no such context'],
  ['no chat', { text: 'x', context: 'nowhere' }, 'no chat'],
  ['too much', { text: 'x'.repeat(4_000) }, 'text'],
  ['a document that is none', { template: { path: 'a.md', values: {} } }, 'a.md'],
  ['a document of another kind', { template: { path: 'a.txt', values: {} } }, '.md'],
])('a post with %s is refused in words', async (_what, input, words) => {
  const said = await post(await agentAtHome(), input);
  expect([said.isError, said.texts.join()]).toEqual([true, expect.stringContaining(words)]);
});

test('without the grant the tool is not there', async () => {
  const agent = await spawnAgent(api, { workspace, key: owner }, { grants: ['read:documents'] });
  const client = await connectAgent(app, agent);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).not.toContain('post_message');
  await client.close();
});
