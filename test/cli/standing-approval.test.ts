import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { canonicalJson } from '../../domain/canonical.ts';
import { checkLeaks } from '../support/leaks.ts';
import { runCli } from './run-cli.ts';
import { idOf, problem, startServer, WORKSPACE, type TestServer } from './server.ts';

checkLeaks();
let server: TestServer;
const asked: { readonly at: string; readonly body: unknown }[] = [];
const answers = new Map<string, unknown>();

beforeAll(async () => {
  server = await startServer();
  server.app.all('*', async (c) => {
    const url = new URL(c.req.url);
    const at = `${c.req.method} ${url.pathname}${url.search}`;
    asked.push({ at, body: c.req.method === 'POST' ? await c.req.json() : null });
    const answer = answers.get(`${c.req.method} ${url.pathname}`);
    return answer === undefined ? problem('not_found', 404, `No ${at}`) : Response.json(answer);
  });
});
afterAll(() => server.close());
beforeEach(() => {
  asked.length = 0;
  answers.clear();
  answers.set('GET /v1/workspaces', { items: [WORKSPACE], next: null });
});

const cli = (argv: readonly string[]) => runCli(argv, { url: server.url });
const approvalId = idOf('approval', 1);
const standingId = idOf('standingApproval', 1);
const at = '2026-11-21T11:58:00.000Z';

const standing = {
  id: standingId,
  workspaceId: WORKSPACE.id,
  approvalId,
  title: 'worker: make\u001b[2J lint',
  template: { for: 'agent.prompt' },
  templateHash: 'a'.repeat(64),
  recipients: [],
  risk: 'medium',
  state: 'live',
  createdBy: 'usr_anna',
  createdAt: at,
  expiresAt: '2027-02-21T11:58:00.000Z',
  revokedAt: null,
  revokedBy: null,
  uses: 7,
  lastUsedAt: at,
};

function openApproval(): string {
  const payload = { kind: 'post', message: 'Hello', chatId: '-200' };
  const digest = createHash('sha256').update(canonicalJson(payload)).digest('hex');
  answers.set('GET /v1/approvals/code/K7M2QX', {
    id: approvalId,
    workspaceId: WORKSPACE.id,
    title: 'herald: post “Hello”',
    askerKind: 'agent',
    askerId: idOf('agent', 1),
    risk: 'medium',
    roleNeeded: 'operator',
    state: 'open',
    code: 'K7M2QX',
    digest,
    quorum: 1,
    requestedBy: 'usr_anna',
    requestedAt: at,
    expiresAt: null,
    decidedAt: null,
    payload,
    options: [],
    votes: [],
    delivery: null,
    contextId: null,
    gate: {
      verdict: 'ask',
      by: 'policy',
      rule: 'look-first',
      engine: 'cedar',
      version: 2,
      reason: 'Somebody looks first.',
      standingId: null,
    },
    mayStand: true,
    recipients: ['con_1/-200'],
  });
  return digest;
}

test('approve --forever sends the digest that was shown, and says how to take it back', async () => {
  const digest = openApproval();
  const decision = { status: 'decided', state: 'granted' };
  const made = { decision, standingApprovalId: standingId };
  answers.set(`POST /v1/approvals/${approvalId}/approve-forever`, made);
  const run = await cli(['approve', 'K7M2QX', '--forever', '--days', '30', '--yes']);
  expect(run.code).toBe(0);
  expect(run.out).toContain(`rookery standing-approval revoke ${standingId}`);
  // Whoever decides sees where it goes and by which rule he is asked.
  for (const words of ['look-first', 'Somebody looks first.', 'con_1/-200', '"message": "Hello"'])
    expect(run.out).toContain(words);
  expect(asked.at(-1)?.body).toEqual({ digest, expiresInDays: 30 });
});

test.each([
  [['approve', 'K7M2QX', '--days', '30', '--yes'], '--forever'],
  [['approve', 'K7M2QX', '--forever', '--option', 'Yes', '--yes'], '--option'],
  [['deny', 'K7M2QX', '--forever', '--yes'], '--forever'],
])('%j is refused before anything is sent', async (argv, words) => {
  openApproval();
  const run = await cli(argv);
  expect(run.code).not.toBe(0);
  expect(run.err).toContain(words);
  expect(asked.filter(({ at: where }) => where.startsWith('POST'))).toEqual([]);
});

test('what was approved for ever is listed and revoked, and its words steer nothing', async () => {
  const list = `/v1/workspaces/${WORKSPACE.id}/standing-approvals`;
  answers.set(`GET ${list}`, { items: [standing], next: null });
  const listed = await cli(['standing-approval', 'list']);
  expect(listed.out).toContain('make\\e[2J lint');
  expect(listed.out).toContain(standingId);
  expect(asked.at(-1)?.at).toContain('live=true');
  const all = await cli(['standing-approval', 'list', '--all', '--json']);
  expect(JSON.parse(all.out)).toMatchObject({ items: [{ id: standingId, uses: 7 }] });
  expect(asked.at(-1)?.at).not.toContain('live');

  const revoked = { ...standing, state: 'revoked', revokedAt: at, revokedBy: 'usr_anna' };
  answers.set(`DELETE /v1/standing-approvals/${standingId}`, revoked);
  const run = await cli(['standing-approval', 'revoke', standingId, '--yes']);
  expect([run.code, run.out]).toEqual([0, expect.stringContaining(`(${standingId})`)]);
  const wrong = await cli(['standing-approval', 'revoke', 'apr_1', '--yes']);
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('sta_')]);
});

test('a spawn that people decide about first says so, and what to look at', async () => {
  answers.set(`POST /v1/workspaces/${WORKSPACE.id}/spawns`, {
    spawn: {
      id: idOf('spawn', 1),
      workspaceId: WORKSPACE.id,
      state: 'asked',
      count: 1,
      createdBy: 'usr_anna',
      createdAt: at,
      approvalId,
    },
    agents: [],
  });
  const run = await cli(['spawn', 'claude']);
  expect([run.code, run.out]).toEqual([
    7,
    expect.stringContaining(`rookery approvals get ${approvalId}`),
  ]);
});
