import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import stringWidth from 'string-width';
import { canonicalJson } from '../../domain/canonical.ts';
import { checkLeaks } from '../support/leaks.ts';
import { runCli } from './run-cli.ts';
import {
  agent,
  event,
  idOf,
  problem,
  sse,
  startServer,
  WORKSPACE,
  type TestServer,
} from './server.ts';

checkLeaks();
let server: TestServer;
type Handler = (request: Request, url: URL) => Response | Promise<Response>;
const handlers = new Map<string, Handler>();

beforeAll(async () => {
  server = await startServer();
  server.app.all('*', async (c) => {
    const url = new URL(c.req.url);
    const handler = handlers.get(`${c.req.method} ${url.pathname}`);
    return handler === undefined
      ? problem('not_found', 404, `No ${url.pathname}`)
      : handler(c.req.raw, url);
  });
});
beforeEach(() => {
  handlers.clear();
  handlers.set('GET /v1/workspaces', () => Response.json({ items: [WORKSPACE], next: null }));
});
afterAll(() => server.close());

const AGENTS = `/v1/workspaces/${WORKSPACE.id}/agents`;
const cli = (argv: readonly string[], setting: Parameters<typeof runCli>[1] = {}) =>
  runCli(argv, { url: server.url, ...setting });

describe('lists', () => {
  test('all pages are read, and asked for by their cursor', async () => {
    handlers.set(`GET ${AGENTS}`, (_request, url) =>
      url.searchParams.get('cursor') === null
        ? Response.json({ items: [agent(1)], next: 'two' })
        : Response.json({
            items: [agent(2, { name: url.searchParams.get('cursor') })],
            next: null,
          }),
    );
    const run = await cli(['agents', '--json']);
    expect(JSON.parse(run.out)).toMatchObject({ items: [{ name: 'gemini-1' }, { name: 'two' }] });
  });

  test.each([20, 34, 60, 80, 200])('a table fits a terminal of %i columns', async (columns) => {
    const long = agent(2, {
      name: 'ein-sehr-langer-name-日本語-🤖',
      state: 'login_required',
      stateDetail: 'x'.repeat(90),
    });
    handlers.set(`GET ${AGENTS}`, () => Response.json({ items: [agent(1), long], next: null }));
    const run = await cli(['agents'], { columns, env: { NO_COLOR: '1' } });
    expect(run.code).toBe(0);
    const lines = run.out.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.filter((line) => stringWidth(line) > Math.max(columns, 22))).toEqual([]);
    expect(run.out).toContain('login_required');
  });

  test('in a pipe nothing is cut and nothing is coloured; on a terminal colours come and NO_COLOR takes them', async () => {
    const long = agent(1, { stateDetail: 'y'.repeat(300) });
    handlers.set(`GET ${AGENTS}`, () => Response.json({ items: [long], next: null }));
    expect((await cli(['agents'])).out).toContain('y'.repeat(300));
    expect((await cli(['agents'])).out).not.toContain('\u001b');
    expect((await cli(['agents'], { columns: 100 })).out).toContain('\u001b[32mready');
    expect((await cli(['agents'], { columns: 100, env: { NO_COLOR: '1' } })).out).not.toContain(
      '\u001b',
    );
  });

  test('what an agent calls itself cannot steer the terminal', async () => {
    handlers.set(`GET ${AGENTS}`, () =>
      Response.json({ items: [agent(1, { name: 'a\u001b[2J\u202eb' })], next: null }),
    );
    expect((await cli(['agents'])).out).toContain('a\\e[2J\\u{202e}b');
  });
});

describe('decisions', () => {
  const payload = {
    cliSessionId: null,
    turn: 1,
    kind: 'permission',
    text: 'Apply this?\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\u001b[8m\n+new',
    subject: 'x',
    options: ['Yes', 'No'],
  };
  const digest = createHash('sha256').update(canonicalJson(payload)).digest('hex');
  const approval = (fields: Readonly<Record<string, unknown>> = {}) => ({
    id: idOf('approval', 1),
    workspaceId: WORKSPACE.id,
    title: 'gemini: x',
    askerKind: 'agent',
    askerId: idOf('agent', 1),
    risk: 'medium',
    roleNeeded: 'operator',
    state: 'open',
    code: 'K7M2QX',
    digest,
    quorum: 1,
    requestedBy: idOf('apiKey', 1),
    requestedAt: '2026-11-21T11:58:00.000Z',
    expiresAt: '2026-11-22T12:00:00.000Z',
    decidedAt: null,
    payload,
    options: [{ label: 'Yes', effect: 'allow_once' }],
    votes: [],
    delivery: null,
    contextId: null,
    gate: null,
    mayStand: false,
    recipients: [],
    ...fields,
  });
  const CODE = 'GET /v1/approvals/code/K7M2QX';
  const DECIDE = `POST /v1/approvals/${idOf('approval', 1)}/decide`;

  test('the digest that was shown is sent, with the verdict and the note', async () => {
    const sent: unknown[] = [];
    handlers.set(CODE, () => Response.json(approval()));
    handlers.set(DECIDE, async (request) => {
      sent.push(await request.json(), request.headers.get('idempotency-key'));
      return Response.json({ status: 'decided', state: 'refused' });
    });
    const run = await cli(['deny', 'k7m-2qx', '--yes', '--note', 'no']);
    expect(run.code).toBe(0);
    expect(sent).toEqual([
      { verdict: 'refuse', digest, note: 'no' },
      expect.stringMatching(/^[0-9a-f-]{36}$/),
    ]);
    expect(run.out).toContain('│ +new');
    expect(run.out).toContain('-old\\e[8m');
    expect(run.out).toContain('Refused.');
  });

  test('a diff is coloured on a terminal', async () => {
    handlers.set(CODE, () => Response.json(approval()));
    const run = await cli(['approvals', 'get', 'K7M2QX'], { columns: 80 });
    expect(run.out).toContain('\u001b[32m+new\u001b[39m');
    expect(run.out).toContain('in 1 d');
  });

  test('a payload that its digest does not cover is never decided', async () => {
    handlers.set(CODE, () =>
      Response.json(approval({ payload: { ...payload, subject: 'harmless' } })),
    );
    const run = await cli(['approve', 'K7M2QX', '--yes']);
    expect(run.code).toBe(1);
    expect(run.err).toContain('not that of the payload shown');
  });

  test('without a terminal and without --yes nothing is decided', async () => {
    handlers.set(CODE, () => Response.json(approval()));
    expect(await cli(['approve', 'K7M2QX'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('--yes'),
    });
  });

  test('pending, already decided, changed and counted have their words and codes', async () => {
    handlers.set(CODE, () => Response.json(approval()));
    handlers.set(DECIDE, () => Response.json({ status: 'pending' }, { status: 202 }));
    expect(await cli(['approve', 'K7M2QX', '--yes'])).toMatchObject({
      code: 7,
      out: expect.stringContaining('applied by itself'),
    });
    handlers.set(DECIDE, () => Response.json({ status: 'counted', votes: 1, quorum: 2 }));
    expect(await cli(['approve', 'K7M2QX', '--yes'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('1 of 2'),
    });
    handlers.set(DECIDE, () => changed());
    expect(await cli(['approve', 'K7M2QX', '--yes'])).toMatchObject({
      code: 5,
      err: expect.stringContaining('changed while you were looking'),
    });
    const votes = [
      {
        principalId: 'key_anna',
        principalKind: 'user',
        verdict: 'grant',
        optionLabel: null,
        note: '',
        at: '2026-11-21T11:59:00.000Z',
      },
    ];
    handlers.set(CODE, () =>
      Response.json(approval({ state: 'granted', votes, decidedAt: '2026-11-21T11:59:00.000Z' })),
    );
    expect(await cli(['approve', 'K7M2QX', '--yes'])).toMatchObject({
      code: 5,
      err: expect.stringContaining('already granted by key_anna'),
    });
    expect(await cli(['approve', 'K7M2QX', '--digest', 'ab', '--yes'])).toMatchObject({ code: 5 });
  });
});

describe('spawning', () => {
  const POST = `POST /v1/workspaces/${WORKSPACE.id}/spawns`;

  test('every flag arrives in the request', async () => {
    let body: unknown;
    handlers.set(POST, async (request) => {
      body = await request.json();
      return Response.json(spawned(), { status: 202 });
    });
    const run = await cli([
      'spawn',
      'custom',
      '--task',
      't',
      '--name',
      'n',
      '--count',
      '2',
      '--work-dir',
      '/w',
      '--model',
      'm',
      '--env',
      'A=b=c',
      '--secret',
      'K=env:K',
      '--cols',
      '100',
      '--rows',
      '30',
      '--allow-host',
      '*.x.org',
      '--memory',
      '1G',
      '--processes',
      '9',
      '--output',
      '8M',
      '--ready-timeout',
      '90s',
      '--json',
      '--',
      'bash',
      '-i',
    ]);
    expect(run.code).toBe(0);
    expect(body).toEqual({
      type: 'custom',
      task: 't',
      name: 'n',
      count: 2,
      workDir: '/w',
      model: 'm',
      env: { A: 'b=c' },
      secretRefs: { K: 'env:K' },
      cols: 100,
      rows: 30,
      egressAllow: ['*.x.org'],
      command: ['bash', '-i'],
      limits: {
        memoryBytesMax: 2 ** 30,
        processesMax: 9,
        outputBytesMax: 2 ** 23,
        readyTimeoutMs: 90_000,
      },
    });
    expect(JSON.parse(run.out)).toMatchObject({
      idempotencyKey: expect.any(String),
      spawn: { count: 1 },
    });
  });

  test('a busy or cut-off request is sent again under the same key', async () => {
    const keys: (string | null)[] = [];
    handlers.set(POST, (request) => {
      keys.push(request.headers.get('idempotency-key'));
      if (keys.length > 1) return Response.json(spawned(), { status: 202 });
      return new Response(problem('upstream_unavailable', 503, 'Not now.').body, {
        status: 503,
        headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
      });
    });
    expect((await cli(['spawn', 'gemini'])).code).toBe(0);
    expect(new Set(keys).size).toBe(1);
    expect(keys).toHaveLength(2);
  });

  test('--wait tells the way to ready, over a broken line, and fails with the agent', async () => {
    const stream = `GET /v1/workspaces/${WORKSPACE.id}/events/stream`;
    const states = [
      { state: 'provisioning', queuePosition: 2 },
      { state: 'starting' },
      { state: 'ready' },
    ];
    const asked: (string | null)[] = [];
    handlers.set(POST, () => Response.json(spawned(states[0]), { status: 202 }));
    handlers.set(stream, (request, url) => {
      if (url.searchParams.has('after')) return lastSeq();
      asked.push(request.headers.get('last-event-id'));
      const next = event(8 + asked.length);
      return new Response(sse([event(1), next]), {
        headers: { 'content-type': 'text/event-stream' },
      });
    });
    handlers.set(`GET /v1/spawns/${idOf('spawn', 1)}`, () =>
      Response.json(spawned(states[asked.length])),
    );
    const run = await cli(['spawn', 'gemini', '--wait']);
    expect(run.code).toBe(0);
    expect(asked).toEqual(['8', '9']);
    expect(run.err).toBe('gemini-1: provisioning (queue 2)\ngemini-1: starting\ngemini-1: ready\n');
    states[1] = { state: 'failed' };
    asked.length = 0;
    expect((await cli(['spawn', 'gemini', '--wait'])).code).toBe(1);
  });

  test('--wait gives up with exit code 7 when the time is over', async () => {
    handlers.set(POST, () => Response.json(spawned({ state: 'starting' }), { status: 202 }));
    handlers.set(`GET /v1/workspaces/${WORKSPACE.id}/events/stream`, (_request, url) =>
      url.searchParams.has('after')
        ? lastSeq()
        : new Response(new ReadableStream(), { headers: { 'content-type': 'text/event-stream' } }),
    );
    expect((await cli(['spawn', 'gemini', '--wait', '--timeout', '300ms', '--json'])).code).toBe(7);
  });
});

describe('streams', () => {
  test('logs -f goes on from the same byte after an outage, and ends with the agent', async () => {
    const log = Buffer.from('héllo wörld');
    let asks = 0;
    handlers.set(`GET ${AGENTS}`, () => Response.json({ items: [agent(1)], next: null }));
    handlers.set(`GET /v1/agents/${idOf('agent', 1)}`, () =>
      Response.json(agent(1, { state: 'stopped' })),
    );
    handlers.set(`GET /v1/agents/${idOf('agent', 1)}/output`, (_request, url) => {
      asks += 1;
      if (asks === 2) return problem('upstream_unavailable', 503, 'Host away.');
      const from = Number(url.searchParams.get('from'));
      const end = asks === 1 ? 2 : log.length;
      const next = Math.min(end, from + 4);
      return new Response(log.subarray(from, next), {
        headers: {
          'rookery-from': String(from),
          'rookery-next': String(next),
          'rookery-end': String(end),
        },
      });
    });
    const run = await cli(['logs', '-f', 'gemini-1', '--from', '0']);
    expect(run).toMatchObject({ code: 0, out: 'héllo wörld' });
    expect(run.err).toContain('Host away. Trying again.');
  });

  test('a recording that is cut off leaves no file, a whole one does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rookery-cli-'));
    const file = join(folder, 'x.cast');
    const path = `GET /v1/agents/${idOf('agent', 1)}/recording`;
    handlers.set(`GET /v1/agents/${idOf('agent', 1)}`, () => Response.json(agent(1)));
    handlers.set(path, () => {
      const body = new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(Buffer.from('{"version":2}\n'));
          await sleep(100);
          controller.error(new Error('The host went away in the middle.'));
        },
      });
      return new Response(body);
    });
    const broken = await cli(['recording', idOf('agent', 1), '-o', file]);
    expect(broken).toMatchObject({
      code: 6,
      err: expect.stringContaining('stopped in the middle'),
    });
    expect(await readdir(folder)).toEqual([]);
    handlers.set(path, () => new Response('{"version":2}\n'));
    expect((await cli(['recording', idOf('agent', 1), '-o', file])).code).toBe(0);
    expect(await readFile(file, 'utf8')).toBe('{"version":2}\n');
    await rm(folder, { recursive: true });
  });

  test('send reads standard input and drops its last newline', async () => {
    let body: unknown;
    handlers.set(`GET /v1/agents/${idOf('agent', 1)}`, () => Response.json(agent(1)));
    handlers.set(`POST /v1/agents/${idOf('agent', 1)}/input`, async (request) => {
      body = await request.json();
      return Response.json({ inputId: idOf('input', 1), state: 'queued' }, { status: 202 });
    });
    const run = await cli(['send', idOf('agent', 1), '-'], { stdin: 'two\nlines\n' });
    expect(run.code).toBe(0);
    expect(body).toEqual({ text: 'two\nlines' });
  });

  test('stop tries all of them, tells each failure, and exits with the first', async () => {
    handlers.set(`GET /v1/agents/${idOf('agent', 1)}`, () => Response.json(agent(1)));
    handlers.set(`POST /v1/agents/${idOf('agent', 1)}/stop`, () =>
      Response.json({ status: 'accepted', state: 'stopped' }),
    );
    const run = await cli(['stop', idOf('agent', 9), idOf('agent', 1)]);
    expect(run.code).toBe(3);
    expect(run.out).toContain('gemini-1 is stopped.');
    expect(run.err).toContain(idOf('agent', 9));
  });
});

function changed(): Response {
  const body = {
    type: 'x',
    title: 'x',
    status: 409,
    detail: 'x',
    code: 'conflict',
    requestId: 'r',
    current: { digest: 'f'.repeat(64) },
  };
  return Response.json(body, { status: 409 });
}

function lastSeq(): Response {
  const body = {
    type: 'x',
    title: 'x',
    status: 400,
    detail: 'x',
    code: 'invalid_input',
    requestId: 'r',
    current: { lastSeq: 8 },
  };
  return Response.json(body, { status: 400 });
}

function spawned(fields = {}) {
  return {
    spawn: {
      id: idOf('spawn', 1),
      workspaceId: WORKSPACE.id,
      state: 'running',
      count: 1,
      createdBy: 'key',
      createdAt: '2026-11-21T11:59:00.000Z',
      approvalId: null,
    },
    agents: [agent(1, fields)],
  };
}
