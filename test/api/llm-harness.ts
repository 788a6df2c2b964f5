import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, afterEach } from 'vitest';
import type { AgentId, WorkspaceId } from '../../domain/id.ts';
import { insertAgentKey } from '../../infra/db/queries/agent-key.ts';
import { listModelCalls, type ModelCall } from '../../infra/db/queries/model-call-view.ts';
import { sumUsage } from '../../infra/db/queries/usage.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { sessionBinding, sessionKey } from '../../infra/secrets/session-keys.ts';
import { makeWorkspace, type TestDatabase } from '../support/postgres.ts';
import { makeAgent, newId } from '../support/records.ts';
import { json, startUpstream, type Upstream, type UpstreamAnswer } from '../support/upstream.ts';
import { openTestApi, type TestApi } from './harness.ts';

/** What the provider says unless a test has it say something else. */
export const ANSWER = {
  id: 'msg_1',
  type: 'message',
  content: [{ type: 'text', text: 'Grüße 🦜' }],
  usage: { input_tokens: 1_000, output_tokens: 200, cache_read_input_tokens: 10_000 },
};
export const ok = json(200, ANSWER);
export const ASK = {
  model: 'claude-sonnet-4-5',
  max_tokens: 500,
  messages: [{ role: 'user', content: 'Hi' }],
};

/** An agent whose session runs, with the headers that its host and its CLI send. */
export interface LlmSession {
  readonly workspaceId: WorkspaceId;
  readonly agentId: AgentId;
  readonly headers: Readonly<Record<string, string>>;
}

export interface LlmTest {
  readonly api: TestApi;
  readonly base: string;
  readonly upstream: Upstream;
  /** The provider that aliases fall back to. */
  readonly second: Upstream;
  readonly session: (options?: {
    readonly workspaceId?: WorkspaceId;
    readonly limits?: Readonly<Record<string, number>>;
  }) => Promise<LlmSession>;
  /** The agent's key of the other use. */
  readonly mcpKeyOf: (session: LlmSession) => string;
  readonly ask: (
    session: Pick<LlmSession, 'headers'>,
    body?: unknown,
    path?: string,
  ) => Promise<Response>;
  /** The calls of a workspace, once all of them are counted. */
  readonly callsOf: (session: LlmSession) => Promise<readonly ModelCall[]>;
  readonly usageOf: (session: LlmSession) => Promise<Readonly<Record<string, number>>>;
}

function provider(baseUrl: string, kind: 'anthropic' | 'openai' | 'gemini' | 'scripted') {
  return { kind, baseUrl, keyRef: 'env:SOME_KEY' };
}

/** The API with a gateway in front of two providers on this machine. Call it at the top of a file. */
export async function openLlmTest(database: TestDatabase): Promise<LlmTest> {
  const { db } = database;
  const agentKey = randomBytes(32);
  const upstream = await startUpstream(ok);
  const second = await startUpstream(ok);
  const api = await openTestApi(database, {
    models: {
      providers: {
        anthropic: provider(upstream.url, 'anthropic'),
        openai: provider(upstream.url, 'openai'),
        gemini: provider(upstream.url, 'gemini'),
        spare: provider(second.url, 'scripted'),
        away: { kind: 'scripted', baseUrl: 'http://127.0.0.1:1' },
      },
      aliases: {
        'alias-u': { model: 'claude-haiku-4-5', fallbacks: [] },
        careful: {
          model: 'claude-haiku-4-5',
          fallbacks: [{ provider: 'spare', model: 'gpt-5-mini' }],
        },
        lost: { provider: 'away', fallbacks: [] },
      },
      timeouts: { firstByteMs: 1_500, idleMs: 1_500 },
      admission: { concurrency: 20, perMinute: 10_000, queueMs: 300 },
      cache: { ttlMs: 60_000, bytesMax: 1_000_000 },
      requestBytesMax: 1_000_000,
    },
  });
  const base = (await api.listen()).url;
  afterAll(async () => {
    await api.close();
    await upstream.close();
    await second.close();
  });
  afterEach(() => {
    for (const each of [upstream, second]) {
      each.answers = [ok];
      each.seen.length = 0;
    }
  });

  return {
    api,
    base,
    upstream,
    second,
    async session(options = {}) {
      const workspaceId = options.workspaceId ?? (await makeWorkspace(db));
      const agentId = await makeAgent(db, workspaceId, 'busy');
      const owner = { agentId, epoch: 1 };
      await sql`update agent set epoch = 1, lease_until = now() + interval '1 hour',
        spec = jsonb_build_object('limits', ${JSON.stringify(options.limits ?? {})}::jsonb)
        where id = ${agentId}`.execute(db);
      const key = sessionKey(agentKey, owner, 'gateway');
      const binding = sessionBinding(agentKey, owner);
      await insertAgentKey(db, {
        id: newId('agentKey'),
        ...owner,
        workspaceId,
        use: 'gateway',
        prefix: key.prefix,
        hash: key.hash,
        bindingHash: sha256Hex(binding),
        grants: [],
        ttlMs: 3_600_000,
      });
      const headers = { 'x-api-key': key.secret, 'x-rookery-binding': binding };
      return { workspaceId, agentId, headers };
    },
    mcpKeyOf: ({ agentId }) => sessionKey(agentKey, { agentId, epoch: 1 }, 'mcp').secret,
    ask: ({ headers }, body = ASK, path = '/llm/anthropic/v1/messages') =>
      fetch(base + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async callsOf({ workspaceId }) {
      const deadline = performance.now() + 10_000;
      for (;;) {
        const calls = await listModelCalls(db, { workspaceId, after: 0, limit: 100 });
        if (calls.every(({ state }) => state !== 'running')) return calls;
        if (performance.now() > deadline) throw new Error('A call was not counted.');
        await sleep(20);
      }
    },
    async usageOf({ workspaceId }) {
      const day = new Date().toISOString().slice(0, 10);
      const rows = await sumUsage(db, { workspaceId, from: day, to: day });
      return Object.fromEntries(rows.map(({ kind, quantity }) => [kind, quantity]));
    },
  };
}

/** Begins, and pings every 50 ms, so that it is no stall. */
export function hanging(first: string, forMs: number): UpstreamAnswer {
  return async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(first);
    const deadline = performance.now() + forMs;
    while (performance.now() < deadline && !response.destroyed) {
      response.write(': ping\n\n');
      await sleep(50);
    }
    response.end();
  };
}

export async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('It did not come to that.');
    await sleep(10);
  }
}
