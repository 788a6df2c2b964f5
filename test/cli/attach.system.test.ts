import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { getRequestListener } from '@hono/node-server';
import { spawn, type IPty } from '@lydell/node-pty';
import { Hono } from 'hono';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { canonicalJson } from '../../domain/canonical.ts';
import { checkLeaks } from '../support/leaks.ts';
import { KEY } from './run-cli.ts';
import { agent, event, idOf, problem, sse } from './server.ts';

checkLeaks();
const CHILD = new URL('child.ts', import.meta.url).pathname;
const CRASHING = new URL('crash-child.ts', import.meta.url).pathname;
const AGENT = agent(1);
let server: Server;
let url = '';
let refusal: Response | null = null;
let stream: ReadableStreamDefaultController<Uint8Array> | null = null;
let approvals: readonly unknown[] = [];
const viewers: Viewer[] = [];
const decided: unknown[] = [];
const PAYLOAD = { text: 'rm?', subject: 'rm -rf x', kind: 'permission' };
const DIGEST = createHash('sha256').update(canonicalJson(PAYLOAD)).digest('hex');
const ptys: IPty[] = [];

/** One connection of `attach`, as the API sees it. */
interface Viewer {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly typed: Buffer[];
  readonly commands: unknown[];
}

beforeAll(async () => {
  const app = new Hono();
  app.get('/v1/agents/:id', (c) =>
    c.req.param('id') === AGENT.id ? c.json(AGENT) : problem('not_found', 404, 'No.'),
  );
  app.get('/v1/workspaces/:id/events/stream', () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        stream = controller;
      },
      cancel: () => {
        stream = null;
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  });
  app.get('/v1/approvals/code/K7M2QX', (c) => c.json(asked()));
  app.post('/v1/approvals/:id/decide', async (c) => {
    decided.push(await c.req.json());
    return c.json({ status: 'decided', state: 'granted' });
  });
  app.get('/v1/workspaces/:id/approvals', (c) => c.json({ items: approvals, next: null }));
  const listen = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  server = createServer((incoming, outgoing) => void listen(incoming, outgoing));
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    if (refusal !== null) {
      void refusal
        .clone()
        .text()
        .then((text) =>
          socket.end(
            `HTTP/1.1 403 Forbidden\r\ncontent-type: application/problem+json\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
          ),
        );
      return;
    }
    sockets.handleUpgrade(request, socket, head, (opened) => {
      const joined: Viewer = { socket: opened, request, typed: [], commands: [] };
      opened.on('message', (data: Buffer, isBinary) => {
        if (isBinary) joined.typed.push(data);
        else joined.commands.push(JSON.parse(data.toString('utf8')));
      });
      viewers.push(joined);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
});
afterAll(async () => {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});
beforeEach(() => {
  refusal = null;
  approvals = [];
  viewers.length = 0;
  decided.length = 0;
});
afterEach(() => {
  for (const pty of ptys.splice(0)) pty.kill('SIGKILL');
  for (const { socket } of viewers) socket.terminate();
});

interface Attached {
  readonly pty: IPty;
  readonly output: () => string;
  readonly exited: Promise<number>;
}

/** Under a shell of its own, so that the state in which the terminal is left can be asked for afterwards. */
function run(flags: string, { size = { cols: 80, rows: 24 }, program = CHILD } = {}): Attached {
  const command = `trap : INT; stty -a | grep -oE '[ -](icanon|echo|isig)( |;|$)'; echo before; "${process.execPath}" "${program}" ${flags}; echo "code=$?"; stty -a | grep -oE '[ -](icanon|echo|isig)( |;|$)'; echo after`;
  const pty = spawn('bash', ['--norc', '-c', command], {
    ...size,
    env: {
      PATH: process.env['PATH'] ?? '',
      TERM: 'xterm-256color',
      ROOKERY_URL: url,
      ROOKERY_API_KEY: KEY,
    },
  });
  ptys.push(pty);
  let text = '';
  pty.onData((data) => {
    text += data;
  });
  const exited = new Promise<number>((resolve) => {
    pty.onExit(({ exitCode }) => resolve(exitCode));
  });
  return { pty, output: () => text, exited };
}

async function until<T>(find: () => T | undefined | false, what: string): Promise<T> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`Waited too long for ${what}.`);
    await sleep(20);
  }
}

async function viewer(number = 1): Promise<Viewer> {
  return until(() => viewers[number - 1], `viewer ${number}`);
}

function snapshot({ socket }: Viewer, text: string, size = { cols: 80, rows: 24 }): void {
  socket.send(JSON.stringify({ type: 'snapshot', offset: 0, ...size }));
  socket.send(Buffer.from(text));
}

function flagsOf(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.trim()).filter((line) => /^-?(icanon|echo|isig)/.test(line));
}

/** The settings of the terminal before and after are the same lines. */
function expectSane(output: string): void {
  const lines = output.split(/\r?\n/);
  const before = flagsOf(lines.slice(0, lines.indexOf('before')));
  const after = flagsOf(
    lines.slice(
      lines.findIndex((line) => line.includes('code=')),
      lines.indexOf('after'),
    ),
  );
  expect(before.length).toBeGreaterThan(0);
  expect(after).toEqual(before);
}

/** What would keep a terminal strange after the program has gone. */
function expectReset(output: string): void {
  const end = output.slice(output.lastIndexOf('\u001b[?1049l'));
  for (const mode of ['?1000l', '?1006l', '?2004l', '?25h', '>4;0m', '[0m'])
    expect(end).toContain(mode);
}

describe('attach', () => {
  test('shows the snapshot, then the stream, and gives the terminal back at the detach key', async () => {
    const { pty, output, exited } = run(`attach ${AGENT.id}`);
    const first = await viewer();
    expect(first.request.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(first.request.url).toBe(`/v1/agents/${AGENT.id}/terminal?mode=view`);
    snapshot(first, 'SNAPSHOT\u001b[?1000h\u001b[?2004h');
    first.socket.send(Buffer.from('STREAM\u001b[6n\u001b]52;c;eA==\u0007END'));
    await until(() => output().includes('END'), 'the stream');
    expect(output()).toContain('STREAMEND');
    pty.write('x');
    await until(() => output().includes('You only look.'), 'the remark');
    expect(first.typed).toEqual([]);
    pty.write('\u001d');
    await exited;
    expect(output()).toContain('Detached from gemini-1; it goes on.');
    expect(output()).toContain('code=0');
    expectSane(output());
    expectReset(output());
  });

  test('with --type keys arrive as they are, Ctrl-C too, and the size follows', async () => {
    const { pty, output, exited } = run(`attach ${AGENT.id} --type --detach-key ctrl-q`);
    const first = await viewer();
    expect(first.request.url).toContain('mode=type&cols=80&rows=24');
    snapshot(first, 'READY');
    await until(() => output().includes('READY'), 'the snapshot');
    pty.write('ls\r\u0003\u001d\u001b[A');
    await until(
      () => Buffer.concat(first.typed).toString() === 'ls\r\u0003\u001d\u001b[A',
      'the keys',
    );
    pty.resize(100, 30);
    await until(
      () =>
        first.commands.some(
          (command) => JSON.stringify(command) === '{"type":"resize","cols":100,"rows":30}',
        ),
      'the resize',
    );
    pty.write('bye\u0011not this');
    await exited;
    expect(Buffer.concat(first.typed).toString().endsWith('bye')).toBe(true);
    expect(output()).toContain('code=0');
    expectSane(output());
  });

  test('says how to decide an open prompt, and takes the line away with it', async () => {
    approvals = [asked()];
    const { pty, output, exited } = run(`attach ${AGENT.id}`, { size: { cols: 120, rows: 30 } });
    const first = await viewer();
    snapshot(first, 'SCREEN');
    const prompt = {
      promptId: 'prm_1',
      digest: 'b',
      prompt: { kind: 'permission', text: 'rm?', subject: 'rm' },
    };
    first.socket.send(JSON.stringify({ type: 'prompt', prompt }));
    await until(
      () => output().includes('rookery approve K7M2QX | rookery deny K7M2QX'),
      'the notice',
    );
    expect(output()).toContain('\u001b[30;1H');
    const length = output().length;
    first.socket.send(JSON.stringify({ type: 'prompt', prompt: null }));
    await until(
      () => output().slice(length).includes('\u001b[30;1H\u001b[0m\u001b[2K'),
      'the empty line',
    );
    pty.write('\u0003');
    await exited;
    expect(output()).toContain('code=0');
  });

  test('comes back after the API was away, and ends with the session', async () => {
    const { output, exited } = run(`attach ${AGENT.id}`);
    const first = await viewer();
    snapshot(first, 'ONE');
    await until(() => output().includes('ONE'), 'the first screen');
    first.socket.close(1001, 'The API is going away.');
    const second = await viewer(2);
    expect(output()).toContain('The API is going away. Trying again');
    snapshot(second, 'TWO');
    await until(() => output().includes('TWO'), 'the second screen');
    second.socket.send(JSON.stringify({ type: 'exited', exitCode: 3, signal: null }));
    second.socket.close(1000);
    await exited;
    expect(output()).toContain('gemini-1 ended with exit code 3.');
    expectSane(output());
    expectReset(output());
  });

  test.each([
    [4401, 'The API key is no longer valid.', 4],
    [4404, 'There is no such session.', 3],
    [1008, 'Too much.', 1],
  ])('close code %i is told, with exit code and a sane terminal', async (code, reason, exit) => {
    const { output, exited } = run(`attach ${AGENT.id}`);
    const first = await viewer();
    snapshot(first, '\u001b[?1049hX\u001b[?25l');
    first.socket.close(code, reason);
    await exited;
    expect(output()).toContain(`rookery: ${reason}`.replace('rookery:', 'rookery:\u001b[39m'));
    expect(output()).toContain(`code=${exit}`);
    expectSane(output());
  });

  test('a refused upgrade says why, as any other request', async () => {
    refusal = problem('policy_denied', 403, 'Typing needs the role operator.');
    const { output, exited } = run(`attach ${AGENT.id} --type`);
    await exited;
    expect(output()).toContain('Typing needs the role operator.');
    expect(output()).toContain('code=4');
    expectSane(output());
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ])('%s gives the terminal back', async (signal, code) => {
    const { output, exited } = run(`attach ${AGENT.id} --type`);
    const first = await viewer();
    snapshot(first, '\u001b[?1049h\u001b[?1003hPID');
    await until(() => output().includes('PID'), 'the screen');
    const pid = await pidOf();
    process.kill(pid, signal);
    await exited;
    expect(output()).toContain(`code=${code}`);
    expectSane(output());
    expectReset(output());
  });

  test('a crash in the middle gives the terminal back', async () => {
    const { output, exited } = run('', { program: CRASHING });
    await exited;
    expect(output()).toContain('TAKEN');
    expect(output()).toContain('a bug');
    expect(output()).toContain('code=1');
    expectSane(output());
    expectReset(output());
  });

  test('a terminal of 20 columns shows what fits, and says that it is too small', async () => {
    const { pty, output, exited } = run(`attach ${AGENT.id}`, { size: { cols: 20, rows: 5 } });
    const first = await viewer();
    snapshot(first, 'WIDE');
    await until(() => output().includes('The agent'), 'the remark');
    pty.write('\u0003');
    await exited;
    expect(output()).toContain('code=0');
    expectSane(output());
  });
});

describe('approve at a terminal', () => {
  test.each([
    ['y\r', 0, 1],
    ['n\r', 1, 0],
    ['\r', 1, 0],
    ['\u0004', 1, 0],
    ['\u0003', 130, 0],
  ])('%j ends with exit code %i and %i decisions', async (keys, code, decisions) => {
    const { pty, output, exited } = run('approve K7M2QX');
    await until(() => output().includes('Approve this? [y/N]'), 'the question');
    expect(output()).toContain('rm -rf x');
    pty.write(keys);
    await exited;
    expect(output()).toContain(`code=${code}`);
    expect(decided).toHaveLength(decisions);
    for (const each of decided) expect(each).toEqual({ verdict: 'grant', digest: DIGEST });
    expectSane(output());
  });
});

describe('a list that is watched', () => {
  test('is drawn again when something happens, and Ctrl-C ends it', async () => {
    const { pty, output, exited } = run(`approvals --watch --workspace ${AGENT.workspaceId}`);
    await until(() => output().includes('Nothing waits for a decision.'), 'the empty list');
    approvals = [asked()];
    await until(() => stream !== null, 'the event stream');
    stream?.enqueue(Buffer.from(sse([event(1, { type: 'approval.requested' })])));
    await until(() => output().includes('K7M2QX'), 'the new row');
    pty.write('\u0003');
    await exited;
    expect(output()).toContain('code=130');
    expectSane(output());
  });
});

/** As the API tells of one that is open. */
function asked() {
  return {
    id: idOf('approval', 1),
    workspaceId: AGENT.workspaceId,
    title: 'gemini: rm -rf x',
    askerKind: 'agent',
    askerId: AGENT.id,
    risk: 'high',
    roleNeeded: 'admin',
    state: 'open',
    code: 'K7M2QX',
    digest: DIGEST,
    quorum: 1,
    requestedBy: 'key',
    requestedAt: '2026-11-21T11:58:00.000Z',
    expiresAt: null,
    decidedAt: null,
    payload: PAYLOAD,
    options: [],
    votes: [],
    delivery: null,
    contextId: null,
    gate: null,
    mayStand: false,
    recipients: [],
  };
}

/** The node process below the shell of the newest PTY. */
async function pidOf(): Promise<number> {
  const shell = ptys.at(-1)?.pid ?? 0;
  const children = await readFile(`/proc/${shell}/task/${shell}/children`, 'utf8');
  const [pid] = children.trim().split(' ');
  if (pid === undefined || pid === '') throw new Error('There is no child.');
  return Number(pid);
}
