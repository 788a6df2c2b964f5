import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { PROVIDER_KEY } from '../support/gateway.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { json, stream, type UpstreamAnswer } from '../support/upstream.ts';
import { ANSWER, ASK, hanging, openLlmTest, until, type LlmSession } from './llm-harness.ts';

const database = await createTestDatabase();
const { db } = database;
const llm = await openLlmTest(database);
const { base, upstream, session, ask, callsOf, usageOf } = llm;

test('a call is passed on with the provider’s key, and counted to the microdollar', async () => {
  const agent = await session();
  const response = await ask(agent);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual(ANSWER);
  const [seen] = upstream.seen;
  expect(seen?.url).toBe('/v1/messages');
  expect(seen?.headers['x-api-key']).toBe(PROVIDER_KEY);
  expect(seen?.headers['x-rookery-binding']).toBeUndefined();
  expect(JSON.stringify(seen?.headers)).not.toContain('ak_');
  expect(seen?.body.toString()).toBe(JSON.stringify(ASK));
  const [call] = await callsOf(agent);
  expect(call).toMatchObject({
    state: 'succeeded',
    status: 200,
    provider: 'anthropic',
    model: 'claude-sonnet-4-5',
    attempts: 1,
    flags: [],
    // 1000·3 + 200·15 + 10000·0.3
    costMicrodollars: 9_000,
  });
  expect(response.headers.get('x-rookery-call')).toBe(call?.id);
  expect(await usageOf(agent)).toMatchObject({
    model_calls_count: 1,
    model_input_tokens: 1_000,
    model_output_tokens: 200,
    model_cache_read_tokens: 10_000,
    model_cost_microdollars: 9_000,
  });
});

test('a model that is not allowed where the agent works is refused before anything is sent or counted', async () => {
  const agent = await session();
  const allow = (models: readonly string[]) =>
    sql`update agent set spec = spec || ${JSON.stringify({ models })}::jsonb
      where id = ${agent.agentId}`.execute(db);
  await allow(['claude-haiku*', 'gpt-5-mini']);
  const refused = await ask(agent);
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain('claude-sonnet-4-5 is not allowed here');
  expect(upstream.seen).toEqual([]);
  expect(await callsOf(agent)).toEqual([]);
  expect((await ask(agent, { ...ASK, model: 'claude-haiku-4-5' })).status).toBe(200);
  await allow([]);
  expect((await ask(agent, { ...ASK, model: 'claude-haiku-4-5' })).status).toBe(403);
});

test(
  'a stream arrives byte by byte as it was sent, however it was cut',
  { timeout: 60_000 },
  async () => {
    const agent = await session();
    const event = fc.oneof(
      fc
        .string({ unit: 'grapheme', maxLength: 60 })
        .map((text) => `data: ${JSON.stringify({ text })}\n\n`),
      fc.string({ maxLength: 30 }).map((text) => `: ${text}\r\n`),
      fc.constant('data: [DONE]\n\n'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 1, maxLength: 30 }),
        fc.array(fc.nat(4_000), { maxLength: 30 }),
        async (events, at) => {
          const bytes = Buffer.from(events.join(''));
          const places = [...new Set(at.map((place) => place % bytes.length))].toSorted(
            (a, b) => a - b,
          );
          const pieces = [0, ...places].map((from, index) =>
            bytes.subarray(from, places[index] ?? bytes.length),
          );
          upstream.answers = [stream(pieces.filter((piece) => piece.length > 0))];
          const response = await ask(agent, { ...ASK, stream: true });
          expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  },
);

test('the first event arrives while the provider still works on the second', async () => {
  const agent = await session();
  const goOn = Promise.withResolvers<void>();
  upstream.answers = [
    async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"n":1}\n\n');
      await goOn.promise;
      response.end('data: {"n":2}\n\n');
    },
  ];
  const response = await ask(agent, { ...ASK, stream: true });
  const reader = response.body?.getReader();
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: {"n":1}\n\n');
  goOn.resolve();
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: {"n":2}\n\n');
});

test.each([
  [
    '/llm/openai/v1/responses',
    { model: 'gpt-5', input: 'Hi' },
    '/v1/responses',
    { usage: { input_tokens: 100, output_tokens: 10 } },
    'authorization',
  ],
  [
    '/llm/openai/v1/chat/completions',
    { model: 'gpt-5', messages: [] },
    '/v1/chat/completions',
    { usage: { prompt_tokens: 100, completion_tokens: 10 } },
    'authorization',
  ],
  [
    '/llm/gemini/v1beta/models/gemini-2.5-pro:generateContent?key=mine',
    { contents: [] },
    '/v1beta/models/gemini-2.5-pro:generateContent',
    { usageMetadata: { promptTokenCount: 100, candidatesTokenCount: 10 } },
    'x-goog-api-key',
  ],
  [
    '/llm/gemini/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse',
    { contents: [] },
    '/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse',
    { usageMetadata: { promptTokenCount: 100, candidatesTokenCount: 10 } },
    'x-goog-api-key',
  ],
])('%s is spoken, and counted', async (...[path, body, asked, answer, keyHeader]) => {
  const agent = await session();
  upstream.answers = [json(200, answer)];
  const response = await ask(agent, body, path);
  expect(await response.json()).toEqual(answer);
  expect(upstream.seen[0]?.url).toBe(asked);
  expect(upstream.seen[0]?.headers[keyHeader]).toContain(PROVIDER_KEY);
  expect((await callsOf(agent))[0]).toMatchObject({ costMicrodollars: 225, flags: [] });
});

test('what costs nothing is passed on and not counted', async () => {
  const agent = await session();
  upstream.answers = [json(200, { input_tokens: 5 })];
  expect((await ask(agent, ASK, '/llm/anthropic/v1/messages/count_tokens')).status).toBe(200);
  const list = await fetch(`${base}/llm/openai/v1/models`, {
    headers: {
      authorization: `Bearer ${agent.headers['x-api-key']}`,
      ...without(agent, 'x-api-key'),
    },
  });
  expect(list.status).toBe(200);
  expect(upstream.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'POST /v1/messages/count_tokens',
    'GET /v1/models',
  ]);
  expect(await callsOf(agent)).toEqual([]);
});

test('an alias changes the name of the model and nothing else', async () => {
  const agent = await session();
  const text = '{ "messages" : [ {"content":"\\u00fc"} ],\n "model":"alias-u" }';
  expect((await ask(agent, text)).status).toBe(200);
  expect(upstream.seen[0]?.body.toString()).toBe(text.replace('alias-u', 'claude-haiku-4-5'));
  expect((await callsOf(agent))[0]).toMatchObject({
    askedModel: 'alias-u',
    model: 'claude-haiku-4-5',
  });
});

test('a key is worth nothing outside its session, in another use, or once anything of it has ended', async () => {
  const agent = await session();
  const other = await session();
  const refused = async (headers: Record<string, string>): Promise<void> => {
    const response = await ask({ ...agent, headers });
    expect(response.status).toBe(401);
    const told: unknown = await response.json();
    expect(told).toMatchObject({ type: 'error', error: { type: 'authentication_error' } });
  };
  await refused(without(agent, 'x-rookery-binding'));
  await refused(without(agent, 'x-api-key'));
  await refused({
    ...agent.headers,
    'x-rookery-binding': other.headers['x-rookery-binding'] ?? '',
  });
  await refused({ ...agent.headers, 'x-rookery-binding': '' });
  await refused({ ...agent.headers, 'x-api-key': `${agent.headers['x-api-key']?.slice(0, -1)}~` });
  const mcp = llm.mcpKeyOf(agent);
  await refused({ ...agent.headers, 'x-api-key': mcp });
  expect((await ask(agent)).status).toBe(200);
  await sql`update agent set lease_until = now() where id = ${agent.agentId}`.execute(db);
  await refused(agent.headers);
  await sql`update agent set lease_until = now() + interval '1 hour', epoch = 2 where id = ${agent.agentId}`.execute(
    db,
  );
  await refused(agent.headers);
  await sql`update agent set epoch = 1, ended_at = now() where id = ${agent.agentId}`.execute(db);
  await refused(agent.headers);
  await sql`update agent set ended_at = null where id = ${agent.agentId}`.execute(db);
  expect((await ask(agent)).status).toBe(200);
  await sql`update agent_key set revoked_at = now() where agent_id = ${agent.agentId}`.execute(db);
  await refused(agent.headers);
  expect(upstream.seen).toHaveLength(2);
});

test('an open stream of an agent that ended is cut within a second or two', async () => {
  const agent = await session();
  upstream.answers = [hanging('data: {"n":1}\n\n', 20_000)];
  const api2 = await ask(agent, { ...ASK, stream: true });
  const reading = api2.text().then(
    () => 'ended',
    () => 'broken',
  );
  await until(() => upstream.seen.length === 1);
  await sql`update agent set ended_at = now() where id = ${agent.agentId}`.execute(db);
  const startedAt = performance.now();
  expect(await reading).toBe('broken');
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect((await callsOf(agent))[0]).toMatchObject({ state: 'cut', flags: ['estimated'] });
});

test('other paths lead nowhere, whatever tricks are in them', async () => {
  const agent = await session();
  const { hostname, port } = new URL(base);
  const raw = async (path: string): Promise<string> => {
    const socket = connect(Number(port), hostname);
    const headers = Object.entries(agent.headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(
      [
        `POST ${path} HTTP/1.1`,
        `host: ${hostname}`,
        'content-length: 2',
        'connection: close',
        ...headers,
        '',
        '{}',
      ].join('\r\n'),
    );
    let got = '';
    socket.on('data', (data) => {
      got += data.toString();
    });
    await once(socket, 'close');
    return got.slice(9, 12);
  };
  const paths = [
    '/llm/anthropic/../../v1/keys',
    '/llm/anthropic/v1/messages/../files',
    '/llm/anthropic/v1/files',
    '/llm/anthropic/%2e%2e/v1/messages',
    '/llm/anthropic//v1/messages',
    '/llm/anthropic/v1/messages/',
    '/llm/openai/v1/responses/resp_1',
    '/llm/gemini/v1beta/models/x%2F..%2F..%2Ffiles:generateContent',
    '/llm/gemini/v1beta/models/gemini:deleteModel',
    '/llm/gemini/v1beta/models/gemini',
    '/llm/gemini/upload/v1beta/files',
    'http://169.254.169.254/llm/anthropic/v1/files',
  ];
  for (const path of paths)
    expect([path, await raw(path)]).toEqual([path, expect.stringMatching(/^40[0-5]$/)]);
  expect(upstream.seen).toEqual([]);
});

test('a body that is too large, folded, no object, or names its model twice goes nowhere', async () => {
  const agent = await session();
  const big = await ask(agent, { ...ASK, more: 'x'.repeat(1_100_000) });
  expect(big.status).toBe(413);
  expect(await big.json()).toMatchObject({ error: { type: 'request_too_large' } });
  for (const body of ['[]', 'model', '{"model":"a","model":"b"}', '{"messages":[]}']) {
    expect((await ask(agent, body)).status).toBe(400);
  }
  const folded = await fetch(`${base}/llm/anthropic/v1/messages`, {
    method: 'POST',
    headers: { ...agent.headers, 'content-encoding': 'gzip' },
    body: new Uint8Array(gzipSync(JSON.stringify(ASK))),
  });
  expect(folded.status).toBe(415);
  expect(upstream.seen).toEqual([]);
});

test('an answer that comes folded goes on folded, and is counted', async () => {
  const agent = await session();
  const folded = gzipSync(JSON.stringify(ANSWER));
  upstream.answers = [
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(folded);
    },
  ];
  expect(await (await ask(agent)).json()).toEqual(ANSWER);
  expect((await callsOf(agent))[0]).toMatchObject({
    responseBytes: folded.length,
    costMicrodollars: 9_000,
  });
});

test('an answer of 500 MB passes through without being kept', { timeout: 120_000 }, async () => {
  const agent = await session();
  const piece = Buffer.alloc(1_048_576, 'a');
  const [head, tail] = ['data: {"text":"', '","usage":{"input_tokens":7,"output_tokens":9}}\n\n'];
  upstream.answers = [
    async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(head);
      for (let index = 0; index < 500; index += 1) {
        if (!response.write(piece)) await once(response, 'drain');
      }
      response.end(tail);
    },
  ];
  const before = process.memoryUsage().rss;
  let most = 0;
  let size = 0;
  const response = await ask(agent, { ...ASK, stream: true });
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    most = Math.max(most, process.memoryUsage.rss());
  }
  expect(size).toBe(500 * piece.length + head.length + tail.length);
  // Provider, gateway and reader are all in this process.
  expect(most - before).toBeLessThan(400 * 1_048_576);
  expect((await callsOf(agent))[0]).toMatchObject({ tokens: { inputTokens: 7, outputTokens: 9 } });
});

test('a provider that stalls before it answers is given up, in the agent’s own words', async () => {
  const agent = await session();
  upstream.answers = [() => undefined];
  const response = await ask(agent);
  expect(response.status).toBe(504);
  expect(await response.json()).toMatchObject({ error: { type: 'timeout_error' } });
  expect((await callsOf(agent))[0]).toMatchObject({ state: 'broken', flags: ['estimated'] });
  expect(upstream.seen).toHaveLength(1);
});

test.each<[string, UpstreamAnswer]>([
  [
    'stalls',
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"type":"message_start","message":{"usage":{"input_tokens":40}}}\n\n');
      response.write('data: {"type":"content_block_delta"}\n\n');
    },
  ],
  [
    'breaks off',
    async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"type":"message_start","message":{"usage":{"input_tokens":40}}}\n\n');
      response.write('data: {"type":"content_block_delta"}\n\n');
      await sleep(50);
      response.destroy();
    },
  ],
])(
  'a provider that %s in mid-stream is passed on as a break, and what came is counted',
  async (_what, answer) => {
    const agent = await session();
    upstream.answers = [answer];
    const response = await ask(agent, { ...ASK, stream: true });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow('terminated');
    expect((await callsOf(agent))[0]).toMatchObject({
      state: 'broken',
      flags: ['estimated'],
      tokens: { inputTokens: 40, outputTokens: 2 },
    });
    expect(upstream.seen).toHaveLength(1);
  },
);

test('an agent that goes away ends the provider’s work, and what came is counted', async () => {
  const agent = await session();
  upstream.answers = [hanging('data: {"n":1}\n\ndata: {"n":2}\n\n', 20_000)];
  const leaving = new AbortController();
  const response = await fetch(`${base}/llm/anthropic/v1/messages`, {
    method: 'POST',
    headers: agent.headers,
    body: JSON.stringify({ ...ASK, stream: true }),
    signal: leaving.signal,
  });
  await response.body?.getReader().read();
  leaving.abort();
  await upstream.seen[0]?.closed;
  const [call] = await callsOf(agent);
  expect(call).toMatchObject({ state: 'aborted', flags: ['estimated'] });
  expect(call?.tokens.outputTokens).toBeGreaterThan(1);
});

test('what a provider says about Rookery’s key is not told to agents', async () => {
  const agent = await session();
  for (const answer of [
    json(401, { error: { message: `Incorrect API key provided: ${PROVIDER_KEY}` } }),
    json(400, { error: { message: `API key not valid: ${PROVIDER_KEY}` } }),
    json(302, {}, { location: 'http://169.254.169.254/' }),
  ]) {
    upstream.answers = [answer];
    const response = await ask(agent);
    expect([403, 502]).toContain(response.status);
    const text = await response.text();
    expect(text).not.toContain(PROVIDER_KEY);
    expect(text).toContain('The provider anthropic');
  }
});

test('a provider that is away is told, and costs nothing', async () => {
  const agent = await session();
  const response = await ask(agent, { ...ASK, model: 'lost' });
  expect(response.status).toBe(503);
  expect((await callsOf(agent))[0]).toMatchObject({ state: 'rejected', costMicrodollars: 0 });
});

test.each<[string, UpstreamAnswer, Record<string, unknown>]>([
  [
    'garbage',
    stream(['\u0000\u0001data:{{{', '\n\ndata: [[[[\n', 'event', '\n\n']),
    { flags: ['estimated'] },
  ],
  ['nothing', (response) => void response.end(), { flags: ['estimated'] }],
  [
    'a lie about its tokens',
    json(200, { usage: { input_tokens: -1, output_tokens: 9e99, cache_read_input_tokens: 1e18 } }),
    { flags: ['suspect'] },
  ],
])(
  'a provider that answers with %s is passed on and counted with a flag',
  async (_what, answer, expected) => {
    const agent = await session();
    upstream.answers = [answer];
    const response = await ask(agent, { ...ASK, stream: true });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    const [call] = await callsOf(agent);
    expect(call).toMatchObject({ state: 'succeeded', ...expected });
    expect(call?.tokens.outputTokens).toBeLessThanOrEqual(1_100);
    expect(call?.costMicrodollars).toBeGreaterThanOrEqual(0);
  },
);

test('an upload that never ends holds nothing for long', async () => {
  const agent = await session();
  const { hostname, port } = new URL(base);
  const sent = httpRequest({
    host: hostname,
    port,
    method: 'POST',
    path: '/llm/anthropic/v1/messages',
    headers: { ...agent.headers, 'content-length': '1000' },
  });
  sent.on('error', () => undefined);
  sent.write('{"model":');
  await sleep(100);
  sent.destroy();
  expect((await ask(agent)).status).toBe(200);
  expect(upstream.seen).toHaveLength(1);
});

function without({ headers }: Pick<LlmSession, 'headers'>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}
