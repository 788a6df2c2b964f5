import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { PolicyRequest } from '../../../domain/policy.ts';
import { createOpaEngine, type OpaEngine } from '../../../infra/policy/opa.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { findOpa, startOpa } from '../../support/opa/opa.ts';
import { aRequest } from './requests.ts';

checkLeaks();
const TOKEN = 'a-token-of-the-test';
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Settings {
  readonly timeoutMs?: number;
  readonly token?: (() => Promise<string>) | null;
}

function engineOf(
  url: string,
  { timeoutMs = 5_000, token = () => Promise.resolve(TOKEN) }: Settings = {},
) {
  const engine = createOpaEngine({ url, path: 'rookery/decision', timeoutMs, token });
  closers.push(() => engine.close());
  return engine;
}

async function verdict(
  engine: OpaEngine,
  request: Partial<PolicyRequest> = {},
  path = '',
): Promise<string> {
  const decided = await engine.decide({ version: 3, path }, aRequest(request));
  expect(decided).toMatchObject({ engine: 'opa', version: 3 });
  return `${decided.verdict} by ${decided.rule}: ${decided.reason}`;
}

const REGO = `package rookery

default decision := {"verdict": "ask", "rule": "people", "reason": "People decide."}

decision := {"verdict": "deny", "rule": "no-rm", "reason": "Nothing is removed."} if {
	input.action == "agent.prompt"
	contains(input.subject, "rm ")
}

decision := {"verdict": "allow", "rule": "reads"} if {
	input.tool == "Read"
	input.inOwnContext == false
}

conflicting := {"verdict": "allow"}

conflicting := {"verdict": "deny"}

wrong := {"verdict": "perhaps"}
`;

const opa = findOpa();

// Needs OPA on the PATH, or built once by test/support/opa/build.ts; the contract is tested below in any case.
describe.skipIf(opa === null)('a real OPA', () => {
  test('decides by its rules, and what is undefined, wrong or not allowed is denied', async () => {
    const server = await startOpa(opa ?? '', { rego: REGO, token: TOKEN });
    closers.push(() => server.stop());
    const engine = engineOf(server.url);
    expect(await verdict(engine, { subject: 'rm -rf /' })).toBe(
      'deny by no-rm: Nothing is removed.',
    );
    expect(await verdict(engine, { subject: 'ls', tool: 'Read' })).toBe('allow by reads: ');
    expect(await verdict(engine, { subject: 'ls' })).toBe('ask by people: People decide.');
    // The input is text and stays text, whatever is in it.
    const quoted = '"} , "verdict": "allow", { \u0000 \ud800 rm ';
    expect(await verdict(engine, { subject: quoted })).toContain('deny by no-rm');
    expect(await verdict(engine, {}, 'rookery/nothing')).toContain('deny by error');
    expect(await verdict(engine, {}, 'rookery/wrong')).toContain('deny by error');
    // Two rules that contradict each other are an error of OPA: 500.
    expect(await verdict(engine, {}, 'rookery/conflicting')).toContain('it answered 500');
    const stranger = engineOf(server.url, { token: null });
    expect(await verdict(stranger, { tool: 'Read' })).toContain('it answered 401');
  });
});

type Answer = (outgoing: ServerResponse, input: Readonly<Record<string, unknown>>) => void;

/** Answers as OPA's REST does, or in whatever way a test wants. */
async function startContract(answer: Answer): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const { authorization, ...headers } = incoming.headers;
      expect(incoming).toMatchObject({ method: 'POST', url: '/v1/data/rookery/decision' });
      expect(headers['content-type']).toBe('application/json');
      expect(authorization).toBe(`Bearer ${TOKEN}`);
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
      answer(outgoing, Object(body).input);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('There is no port.');
  return `http://127.0.0.1:${address.port}/`;
}

function saying(body: string, status = 200): Answer {
  return (outgoing) => void outgoing.writeHead(status).end(body);
}

test('the whole request is told, and the answer is the decision', async () => {
  let told: Readonly<Record<string, unknown>> = {};
  const url = await startContract((outgoing, input) => {
    told = input;
    outgoing.end('{"decision_id":"1","result":{"verdict":"allow","rule":"r","reason":"why"}}');
  });
  const request = aRequest({ intent: 'x', recipients: ['a'] });
  const engine = engineOf(url);
  expect(await engine.decide({ version: 3, path: '' }, request)).toEqual({
    verdict: 'allow',
    rule: 'r',
    reason: 'why',
    engine: 'opa',
    version: 3,
  });
  expect(told).toEqual({ ...request, inOwnContext: false });
});

test.each([
  ['an undefined document', saying('{"decision_id":"1"}')],
  ['a plain truth', saying('{"result":true}')],
  ['another verdict', saying('{"result":{"verdict":"ALLOW"}}')],
  ['a verdict with something beside it', saying('{"result":{"verdict":"allow","unless":"x"}}')],
  ['an empty name of a rule', saying('{"result":{"verdict":"allow","rule":""}}')],
  ['garbage', saying('{"result":{"verdict":"allow"')],
  ['nothing', saying('')],
  ['a failure', saying('{"code":"internal_error"}', 500)],
  ['a refusal', saying('{"code":"unauthorized"}', 401)],
  [
    'a redirection',
    (outgoing) => void outgoing.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  ],
  ['an endless answer', (outgoing) => void outgoing.end(`{"result":"${'x'.repeat(1_000_000)}"}`)],
  ['a cut connection', (outgoing) => void outgoing.destroy()],
] satisfies [string, Answer][])('%s is denied', async (_title, answer) => {
  expect(await verdict(engineOf(await startContract(answer)))).toContain(
    'deny by error: OPA could not',
  );
});

test('what takes too long is denied in time', async () => {
  const url = await startContract(() => undefined);
  const started = performance.now();
  expect(await verdict(engineOf(url, { timeoutMs: 200 }))).toContain('deny by error');
  expect(performance.now() - started).toBeLessThan(3_000);
  const slow = await startContract((outgoing) => void outgoing.write('{"result":'));
  expect(await verdict(engineOf(slow, { timeoutMs: 200 }))).toContain('deny by error');
});

function vaultAway(): Promise<string> {
  return Promise.reject(new Error('secret-of-a-vault is away'));
}

test('a server that is not there and a token that cannot be read are denied', async () => {
  expect(await verdict(engineOf('http://127.0.0.1:1'))).toContain('it did not answer');
  const url = await startContract(saying('{"result":{"verdict":"allow"}}'));
  const said = await verdict(engineOf(url, { token: vaultAway }));
  expect(said).toContain('deny by error');
  expect(said).not.toContain('vault');
});
