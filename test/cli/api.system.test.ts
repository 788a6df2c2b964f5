import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseId, type AgentId } from '../../domain/id.ts';
import { openPrompt } from '../../infra/db/queries/prompt.ts';
import { promptDigest } from '../../infra/host/prompt-digest.ts';
import type { Fact } from '../../domain/fact.ts';
import { insertFacts } from '../../infra/db/queries/fact.ts';
import { factsArrived } from '../../workflows/contracts/agent.ts';
import { makeKey, openTestApi } from '../api/harness.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { runCli, type CliRun } from './run-cli.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());

const workspace = await makeWorkspace(db);
const owner = await makeKey(db);
const viewer = await makeKey(db, { role: 'viewer', workspaceId: workspace });
let url = '';
let agentId: AgentId;

beforeAll(async () => {
  await api.work();
  ({ url } = await api.listen());
});

/** As the owner, unless told otherwise, in the one workspace of this file. */
function cli(line: string, key = owner.secret): Promise<CliRun> {
  const env = { ROOKERY_API_KEY: key, ROOKERY_WORKSPACE: workspace };
  return runCli(line.split(' '), { url, env, now: () => Date.now() });
}

async function json(line: string): Promise<Record<string, unknown>> {
  const { code, out, err } = await cli(
    line.includes(' -- ') ? line.replace(' -- ', ' --json -- ') : `${line} --json`,
  );
  expect({ line, code, err }).toEqual({ line, code: 0, err: '' });
  return z.record(z.string(), z.unknown()).parse(JSON.parse(out));
}

let seq = 0;
/** As the listener of the host's facts does: first the row, then the word that there is one. */
async function tell(fact: Fact): Promise<void> {
  seq += 1;
  const at = new Date().toISOString();
  const facts = [{ agentId, epoch: 1, seq, hostSeq: seq, at, fact }];
  await insertFacts(db, { cursorName: 'test', facts });
  await api.deps.temporal.workflow.getHandle(agentId).signal(factsArrived, {});
}

async function until(line: string, holds: (run: CliRun) => boolean): Promise<CliRun> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const run = await cli(line);
    if (holds(run)) return run;
    if (performance.now() > deadline) throw new Error(`Waited 20 s: ${run.out}${run.err}`);
    await sleep(50);
  }
}

/** The code of the approval of a dialog as the host's listener stores it. */
async function ask(subject: string): Promise<string> {
  const promptId = newId('prompt');
  const prompt = {
    kind: 'permission' as const,
    text: `Run this?\n${subject}`,
    subject,
    payloadComplete: true,
    options: [
      { label: 'Yes', selected: true, effect: 'allow_once' as const },
      { label: 'No', selected: false, effect: 'deny' as const },
    ],
    source: 'screen' as const,
    hookPayload: '',
    cliSessionId: null,
    turn: 1,
  };
  await openPrompt(db, {
    id: promptId,
    agentId,
    epoch: 1,
    ...prompt,
    digest: promptDigest(prompt),
  });
  await tell({ kind: 'prompt_opened', promptId, prompt });
  const Code = z.object({ items: z.array(z.object({ code: z.string() })).min(1) });
  const { out } = await until(
    'approvals --json',
    (run) => Code.safeParse(JSON.parse(run.out)).success,
  );
  return Code.parse(JSON.parse(out)).items[0]?.code ?? '';
}

describe('the command line against the API as it is', () => {
  test('spawns, waits, and shows the way to ready', async () => {
    const waiting = cli('spawn custom --name worker --wait --timeout 20s -- true');
    const Listed = z.object({
      items: z.array(z.object({ id: z.string(), state: z.string() })).min(1),
    });
    const { out } = await until('agents --json', (run) => {
      const listed = Listed.safeParse(JSON.parse(run.out));
      return listed.success && listed.data.items[0]?.state === 'starting';
    });
    agentId = parseId('agent', Listed.parse(JSON.parse(out)).items[0]?.id);
    await tell({ kind: 'ready' });
    const run = await waiting;
    expect(run).toMatchObject({ code: 0, out: expect.stringContaining(agentId) });
    expect(run.err).toMatch(/worker: provisioning\n(.*\n)*worker: ready\n$/);
  });

  test('the same idempotency key finds the same spawn, and another request under it is a conflict', async () => {
    const first = await json('spawn custom --idempotency-key k1 -- true');
    expect(await json('spawn custom --idempotency-key k1 -- true')).toEqual(first);
    expect((await cli('spawn custom --idempotency-key k1 -- false')).code).toBe(5);
    const { id } = z.object({ id: z.string() }).parse(first['spawn']);
    expect(await json(`spawn status ${id}`)).toMatchObject({ spawn: { id } });
  });

  test('shows one agent by its name, its history, screen and output', async () => {
    expect(await json('agents get worker')).toMatchObject({ id: agentId, state: 'ready' });
    expect((await cli('agents get worker --history')).out).toMatch(/FROM +TO.*\n.*starting/);
    expect((await cli('screen worker')).out).toBe('first line\n\nthird line\n');
    expect((await cli('output worker --from 6 --limit 4')).out).toBe('from');
    expect((await cli('logs worker --tail 10')).out).toBe('terminal\r\n'.slice(-10));
    expect((await cli('recording worker')).out).toContain('{"version":2');
    expect((await cli('agents get nobody')).code).toBe(3);
  });

  test('a message and an interrupt reach the host', async () => {
    expect(await json('send worker run the tests')).toMatchObject({ state: 'queued' });
    expect(await json('interrupt worker')).toMatchObject({ state: 'queued' });
    const kinds = () => api.host.delivered.map(({ delivery }) => delivery.kind);
    await until('agents', () => kinds().includes('input') && kinds().includes('interrupt'));
    expect(
      api.host.delivered.find(({ delivery }) => delivery.kind === 'input')?.delivery,
    ).toMatchObject({ text: 'run the tests' });
  });

  test('approves what was shown, once; the second is told who was first', async () => {
    const code = await ask('rm -rf build');
    const shown = await cli(`approvals get ${code}`);
    expect(shown.out).toContain('│ rm -rf build');
    expect((await cli(`approve ${code} --yes --digest ${'0'.repeat(64)}`)).code).toBe(5);
    expect((await cli(`approve ${code} --yes`, viewer.secret)).code).toBe(4);
    const id = /apr_\w+/.exec(shown.out)?.[0] ?? '';
    expect(await cli(`approve ${code} --yes`)).toMatchObject({
      code: 0,
      out: expect.stringContaining('Granted.'),
    });
    const second = await cli(`deny ${id} --yes`);
    expect(second).toMatchObject({
      code: 5,
      err: expect.stringContaining(`already granted by ${owner.id}`),
    });
    await until('agents', () =>
      api.host.delivered.some(
        ({ delivery }) => delivery.kind === 'decision' && delivery.verdict === 'allow',
      ),
    );
  });

  test('denies with a note, and an option that is not there is named', async () => {
    const code = await ask('curl evil');
    const wrong = await runCli(['deny', code, '--yes', '--option', 'Perhaps'], {
      url,
      env: { ROOKERY_API_KEY: owner.secret },
    });
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('It has: "Yes", "No".') });
    const run = await runCli(['deny', code, '--yes', '--note', 'not here'], {
      url,
      env: { ROOKERY_API_KEY: owner.secret },
    });
    expect(run).toMatchObject({ code: 0, out: expect.stringContaining('Refused.') });
    await until('agents', () =>
      api.host.delivered.some(
        ({ delivery }) => delivery.kind === 'decision' && delivery.note === 'not here',
      ),
    );
  });

  test('events by number, of one type and one agent, and the audit is whole', async () => {
    const { out } = await cli('events --subject worker --type agent.state_changed --json');
    const seqs = out
      .trimEnd()
      .split('\n')
      .map((line) => z.object({ seq: z.int() }).parse(JSON.parse(line)).seq);
    expect(seqs.length).toBeGreaterThan(1);
    expect(seqs).toEqual(seqs.toSorted((left, right) => left - right));
    expect((await cli(`events --after ${seqs[0]} --limit 1 --json`)).out).toContain(
      `"seq":${(seqs[0] ?? 0) + 1}`,
    );
    expect(await json('audit verify')).toMatchObject({ kind: 'intact' });
    expect((await cli('audit')).out).toMatch(/spawn\.request/);
    expect((await cli('audit', viewer.secret)).code).toBe(4);
    expect((await cli('usage')).code).toBe(0);
  });

  test('keys are made, listed and revoked; a revoked one is told so', async () => {
    const { key, secret } = z
      .object({ key: z.object({ id: z.string() }), secret: z.string() })
      .parse(
        await json('key create ci --role viewer --scopes agents:read,workspaces:read --expires 1d'),
      );
    expect((await cli('agents', secret)).code).toBe(0);
    expect((await cli('stop worker', secret)).code).toBe(4);
    expect((await cli('key list')).out).toContain('ci');
    expect((await cli(`key revoke ${key.id} --yes`)).code).toBe(0);
    expect(await cli('agents', secret)).toMatchObject({
      code: 4,
      err: expect.stringContaining('A valid API key is needed'),
    });
    expect((await cli('login worker')).code).toBe(3);
  });

  test('workspaces are made and found by slug', async () => {
    expect(await json('workspace create shop --name Shop')).toMatchObject({ slug: 'shop' });
    expect((await cli('workspace create shop')).code).toBe(5);
    expect((await cli('agents --workspace shop')).out).toContain('No agents.');
    const run = await runCli(['agents'], { url, env: { ROOKERY_API_KEY: owner.secret } });
    expect(run).toMatchObject({ code: 2, err: expect.stringContaining('Say which workspace:') });
  });
});

describe('as a process of its own', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const one of children.splice(0)) one.kill('SIGKILL');
  });
  const child = (line: string) => {
    const started = spawn(
      process.execPath,
      [new URL('child.ts', import.meta.url).pathname, ...line.split(' ')],
      {
        env: { ROOKERY_URL: url, ROOKERY_API_KEY: owner.secret, ROOKERY_WORKSPACE: workspace },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    children.push(started);
    return started;
  };

  test.each(['events', 'events -f --after 0', 'logs -f worker', 'agents --watch --json', 'audit'])(
    '%s into a pipe that closes ends quietly',
    async (line) => {
      const started = child(line);
      let err = '';
      started.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      await once(started.stdout, 'data');
      started.stdout.destroy();
      // What comes next finds the pipe closed; a follower has to be given something.
      let turn = 0;
      const feeding = setInterval(() => {
        turn += 1;
        api.host.log = Buffer.concat([api.host.log, Buffer.from('more\r\n')]);
        void tell({ kind: turn % 2 === 1 ? 'busy' : 'ready' });
      }, 300);
      const [code] = await once(started, 'exit');
      clearInterval(feeding);
      expect({ code, err }).toEqual({ code: 0, err: '' });
    },
    20_000,
  );

  test.each([
    ['events -f --after 0', 'SIGINT', 130],
    ['agents --watch', 'SIGTERM', 143],
    ['approvals --all --watch', 'SIGINT', 130],
    ['logs -f worker', 'SIGINT', 130],
    ['attach worker --json', 'SIGINT', 130],
  ] as const)('%s ends at %s without a word', async (line, signal, exit) => {
    const started = child(line);
    let err = '';
    started.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    await once(started.stdout, 'data');
    started.kill(signal);
    const [code] = await once(started, 'exit');
    expect({ code, err }).toEqual({ code: exit, err: '' });
  });

  test('events -f shows what happens next', async () => {
    const started = child('events -f --json --type key.created');
    let out = '';
    started.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const making = setInterval(() => void cli('key create later --role viewer'), 500);
    await once(started.stdout, 'data');
    clearInterval(making);
    started.kill('SIGTERM');
    await once(started, 'exit');
    expect(JSON.parse(out.split('\n')[0] ?? '')).toMatchObject({ type: 'key.created' });
  });
});

test('stops the agent; stopping it again is fine; what it asked is void', async () => {
  const stopped = await cli('stop worker');
  expect(stopped.err).toBe('');
  expect([0, 7]).toContain(stopped.code);
  await until('agents get worker', (run) => run.out.includes('stopped'));
  expect((await cli('stop worker')).code).toBe(0);
  expect((await cli('send worker hello')).code).toBe(5);
});
