import { once } from 'node:events';
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { makeId } from '../../domain/id.ts';

export interface TestServer {
  readonly url: string;
  readonly app: Hono;
  close(): Promise<void>;
}

/** A real server on a real socket that answers what a test wants: for answers the real API gives only when ill. */
export async function startServer(): Promise<TestServer> {
  const app = new Hono();
  const listen = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer((incoming, outgoing) => {
    listen(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('No port.');
  return {
    url: `http://127.0.0.1:${address.port}`,
    app,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export function idOf<K extends Parameters<typeof makeId>[0]>(kind: K, number: number) {
  return makeId(kind, `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`);
}

export const WORKSPACE = {
  id: idOf('workspace', 1),
  slug: 'default',
  name: 'Default',
  createdAt: '2026-11-20T12:00:00.000Z',
  kind: 'community',
  ownerUserId: null,
};

export function agent(number: number, fields: Readonly<Record<string, unknown>> = {}) {
  return {
    id: idOf('agent', number),
    workspaceId: WORKSPACE.id,
    spawnId: idOf('spawn', 1),
    ordinal: number - 1,
    name: `gemini-${number}`,
    type: 'gemini',
    body: 'cli',
    state: 'ready',
    stateDetail: '',
    lifecycle: 'ready',
    hostId: 'host-1',
    epoch: 1,
    turn: 0,
    queuePosition: null,
    contextId: null,
    ownerId: idOf('apiKey', 1),
    definitionId: null,
    definitionVersion: null,
    labels: {},
    limitReached: null,
    createdAt: '2026-11-21T11:55:00.000Z',
    endedAt: null,
    exitCode: null,
    error: null,
    ...fields,
  };
}

export function problem(code: string, status: number, detail: string) {
  return new Response(
    JSON.stringify({
      type: `urn:rookery:problem:${code}`,
      title: 'Error',
      status,
      detail,
      code,
      requestId: 'req-1',
    }),
    { status, headers: { 'content-type': 'application/problem+json' } },
  );
}

export function event(seq: number, fields: Readonly<Record<string, unknown>> = {}) {
  return {
    workspaceId: WORKSPACE.id,
    seq,
    type: 'agent.state_changed',
    version: 1,
    subjectId: idOf('agent', 1),
    at: '2026-11-21T11:59:00.000Z',
    data: { from: 'starting', to: 'ready' },
    ...fields,
  };
}

export function sse(events: readonly ReturnType<typeof event>[]): string {
  return events
    .map((each) => `id: ${each.seq}\nevent: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`)
    .join('');
}
