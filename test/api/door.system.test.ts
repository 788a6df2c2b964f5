import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { sql } from 'kysely';
import { Agent, fetch } from 'undici';
import { afterAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { routes } from '../../api/routes/index.ts';
import { isUserAccess } from '../../api/route.ts';
import { startApi } from '../../api/server.ts';
import { ID_PREFIXES, type IdKind } from '../../domain/id.ts';
import { covers, ROLES } from '../../domain/principal.ts';
import { openAuthority } from '../../infra/ca/authority.ts';
import { revokeCertificate } from '../../infra/db/queries/certificate.ts';
import { setDisabled } from '../../infra/db/queries/user.ts';
import { checkLeaks } from '../support/leaks.ts';
import { run } from '../support/openssl.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { makeAgent, newId } from '../support/records.ts';
import { NAMES, openTestDoor, say, type TestClient } from './door.ts';
import { makeKey } from './harness.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const workspace = await makeWorkspace(db);
const door = await openTestDoor(database);
const foreignFolder = await mkdtemp(join(tmpdir(), 'rookery-foreign-'));
const foreign = await openAuthority({ dataDir: foreignFolder, passphrase: null });
afterAll(async () => {
  await door.close();
  await rm(foreignFolder, { recursive: true, force: true });
});

const { port } = new URL(door.admin.url);
const overlord = await door.makeUser('overlord');
const right = await door.makeClient(overlord);
const expired = await door.makeClient(overlord, { lifetimeMs: -60_000 });
const revoked = await door.makeClient(overlord);
await revokeCertificate(db, { id: revoked.id, by: 'test' });
const stranger = await door.makeClient(overlord, { by: foreign });
/** Made by the authority, but not given out: as by somebody who stole its key and not the database. */
const unknown = await door.makeClient(overlord);
await db.deleteFrom('certificate').where('id', '=', unknown.id).execute();

function pathTo(path: string): string {
  return `${door.admin.url}${path}`;
}

/** Whether there is no answer at all: the connection was cut, in whichever of its ways. */
function isRefused(asking: Promise<unknown>): Promise<boolean> {
  return asking.then(
    () => false,
    () => true,
  );
}

function curl(path: string, client: TestClient | null, more: readonly string[] = []) {
  const own = client === null ? [] : ['--cert', client.pemFile, '--key', client.keyFile];
  const args = ['-sS', '-o', '-', '-w', '\n%{http_code}', '--cacert', door.caFile, ...own, ...more];
  return run('curl', [...args, pathTo(path)]);
}

describe('curl', () => {
  test('gets in with a certificate that is good', async () => {
    const ran = await curl('/v1/keys', right);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toMatch(/"items":\[.*\n200$/s);
  });

  test.each([
    ['no certificate', null],
    ['one of a foreign authority', stranger],
    ['one that has expired', expired],
  ] as const)('gets no answer with %s', async (_name, client) => {
    const ran = await curl('/v1/keys', client);
    // The refusal comes after the handshake: as an alert, a reset or an empty answer.
    expect([35, 52, 55, 56]).toContain(ran.code);
    expect(ran.out.trim()).toBe('000');
  });

  test.each([
    ['one that was revoked', revoked, 'was revoked'],
    ['one that is not on record', unknown, 'was not given out here'],
  ] as const)('is told why not with %s', async (_name, client, words) => {
    for (const path of ['/v1/keys', '/healthz', '/nowhere']) {
      const ran = await curl(path, client);
      expect(ran.out).toMatch(/\n401$/);
      expect(ran.out).toContain(words);
    }
  });

  test('does not trust the listener without the authority, nor under a name that it has not', async () => {
    const own = ['--cert', right.pemFile, '--key', right.keyFile];
    expect((await run('curl', ['-sS', ...own, pathTo('/healthz')])).code).toBe(60);
    const named = [
      '--connect-to',
      `evil.example:${port}:127.0.0.1:${port}`,
      '--cacert',
      door.caFile,
    ];
    const ran = await run('curl', [
      '-sS',
      ...own,
      ...named,
      `https://evil.example:${port}/healthz`,
    ]);
    expect(ran.code).toBe(60);
  });

  test.each(NAMES)('asks for it as %s', async (name) => {
    const host = name.includes(':') ? `[${name}]` : name;
    const to = ['--connect-to', `${host}:${port}:127.0.0.1:${port}`, '--cacert', door.caFile];
    const own = ['--cert', right.pemFile, '--key', right.keyFile];
    const ran = await run('curl', ['-sS', ...own, ...to, `https://${host}:${port}/healthz`]);
    expect([ran.err, ran.code]).toEqual(['', 0]);
  });

  test('speaks no older TLS', async () => {
    const ran = await curl('/healthz', right, ['--tls-max', '1.2']);
    expect(ran.code).toBe(35);
  });
});

describe('openssl', () => {
  async function client(args: readonly string[], request = '') {
    const own = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', door.caFile];
    return run('openssl', [...own, '-ign_eof', ...args], request);
  }
  const request = `GET /v1/certificates HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`;
  const own = ['-cert', right.pemFile, '-key', right.keyFile];

  test('gets an answer over TLS 1.3', async () => {
    const { out } = await client(own, request);
    expect(out).toContain('New, TLSv1.3');
    expect(out).toContain('Verify return code: 0 (ok)');
    expect(out).toContain('HTTP/1.1 200 OK');
  });

  test.each([
    ['no certificate', []],
    ['a foreign one', ['-cert', stranger.pemFile, '-key', stranger.keyFile]],
    ['an expired one', ['-cert', expired.pemFile, '-key', expired.keyFile]],
    ["somebody's certificate without its key", ['-cert', right.pemFile, '-key', stranger.keyFile]],
  ] as const)('gets none with %s', async (_name, args) => {
    const { out } = await client(args, request);
    expect(out).not.toContain('HTTP/1.1');
  });

  test('is not let in by a key alone, nor by TLS 1.2', async () => {
    const key = await makeKey(db);
    const withKey = request.replace(
      'Connection',
      `Authorization: Bearer ${key.secret}\r\nConnection`,
    );
    expect((await client([], withKey)).out).not.toContain('HTTP/1.1');
    expect((await client([...own, '-tls1_2'], request)).out).not.toContain('HTTP/1.1');
  });

  test("the listener's own certificate lets nobody in", async () => {
    const served = await door.authority.issueServer({ names: ['localhost'], lifetimeMs: 60_000 });
    const agent = new Agent({
      connect: { ca: door.authority.certificate, cert: served.pem, key: served.key },
    });
    expect(await isRefused(say(pathTo('/healthz'), { agent }))).toBe(true);
    await agent.destroy();
  });

  test('a session is not taken up again: each connection shows its certificate', async () => {
    const session = join(door.folder, 'session.pem');
    await client([...own, '-sess_out', session], request);
    const { out } = await client([...own, '-sess_in', session], request);
    expect(out).not.toContain('Reused');
  });
});

describe('what a request says', () => {
  test('headers that proxies add about certificates mean nothing', async () => {
    const viewer = await door.makeClient(await door.makeUser('viewer'));
    const headers = {
      'x-client-fp': 'f'.repeat(64),
      'x-client-cert': right.pem.replaceAll('\n', ' '),
      'x-forwarded-client-cert': `URI=urn:rookery:user:${overlord}`,
      'x-ssl-client-verify': 'SUCCESS',
    };
    expect((await say(pathTo('/v1/keys'), { agent: viewer.agent, headers })).status).toBe(403);
    for (const path of ['/v1/workspaces', '/v1/certificates']) {
      const answer = await say(`${door.outside.url}${path}`, { headers });
      expect([401, 404]).toContain(answer.status);
    }
  });

  test('a key beside the certificate changes nobody into somebody else', async () => {
    const viewer = await door.makeClient(await door.makeUser('viewer'));
    const { secret } = await makeKey(db, { role: 'overlord' });
    const headers = { authorization: `Bearer ${secret}` };
    expect((await say(pathTo('/v1/keys'), { agent: viewer.agent, headers })).status).toBe(403);
  });

  test.each(['evil.example', `evil.example:1`, '10.0.0.1', ''])(
    'the name %j is not its own',
    async (host) => {
      const ran = await curl('/v1/keys', right, ['-H', `Host: ${host}`]);
      expect(ran.out).toMatch(/\n(403|400)$/);
    },
  );

  test("a browser's request for another page is not its owner's", async () => {
    const origin = { origin: 'https://evil.example' };
    const answer = await say(pathTo('/v1/keys'), { agent: right.agent, body: {}, headers: origin });
    expect(answer.status).toBe(403);
    const site = { 'sec-fetch-site': 'cross-site' };
    expect((await say(pathTo('/v1/keys'), { agent: right.agent, headers: site })).status).toBe(401);
  });

  test('a page of the panel is shown to a browser with the certificate, without a key', async () => {
    const headers = { accept: 'text/html', 'sec-fetch-site': 'none' };
    const start = await say(pathTo('/'), { agent: right.agent, headers });
    expect(start.status).toBe(303);
    const page = await say(pathTo(start.headers.get('location') ?? ''), {
      agent: right.agent,
      headers,
    });
    expect(page.status).toBe(200);
    expect(page.text).toContain('/panel/w/');
  });
});

const adminRoutes = routes.filter(({ listener }) => listener === 'admin');

describe.each(adminRoutes.map((route) => [route.name, route] as const))('%s', (_name, route) => {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => nobodys(name));
  const what = {
    method: route.method,
    ...(route.method === 'GET' || route.method === 'DELETE' ? {} : { body: {} }),
    headOnly: false,
  };

  test('is not there on the public listener, not even for who may', async () => {
    const answer = await say(`${door.outside.url}${path}`, {
      ...what,
      headers: { authorization: `Bearer ${(await makeKey(db)).secret}` },
    });
    expect([404, 405]).toContain(answer.status);
  });

  test('is reached by no connection without a certificate that is good', async () => {
    const bare = new Agent({ connect: { ca: door.authority.certificate } });
    const agents = [bare, stranger.agent, expired.agent];
    const refused = await Promise.all(
      agents.map((agent) => isRefused(say(pathTo(path), { ...what, agent }))),
    );
    await bare.destroy();
    expect(refused).toEqual([true, true, true]);
    const statuses = await Promise.all(
      [revoked, unknown].map(async ({ agent }) => {
        const ask = () => say(pathTo(path), { ...what, agent });
        // A connection that was open may be cut just then; a new one is told why.
        const { status } = await ask().catch(ask);
        return status;
      }),
    );
    expect(statuses).toEqual([401, 401]);
  });

  test.runIf(isUserAccess(route.access))('asks for the role, of each one', async () => {
    const needed = isUserAccess(route.access) ? route.access.role : 'viewer';
    const answers = await Promise.all(
      ROLES.map(async (role) => {
        const { agent } = await clientOf(role);
        const { status } = await say(pathTo(path), { ...what, agent });
        return { role, status };
      }),
    );
    for (const { role, status } of answers) {
      const isLetIn = status !== 401 && status !== 403;
      const expected = covers(role, needed) || status === 404;
      expect([role, status, isLetIn]).toEqual([role, status, expected]);
    }
  });
});

const clients = new Map<string, TestClient>();
async function clientOf(role: (typeof ROLES)[number]): Promise<TestClient> {
  const made = clients.get(role) ?? (await door.makeClient(await door.makeUser(role)));
  clients.set(role, made);
  return made;
}

/** A name that is well formed and nobody has. */
function nobodys(parameter: string): string {
  if (parameter === 'workspace') return workspace;
  const kind = parameter === 'key' ? 'apiKey' : parameter;
  return isIdKind(kind) ? newId(kind) : 'nobody';
}

function isIdKind(kind: string): kind is IdKind {
  return kind in ID_PREFIXES;
}

test('what is revoked, over or of a disabled user ends at once, on connections that are open too', async () => {
  const cases = [
    async ({ id }: TestClient) => void (await revokeCertificate(db, { id, by: 'test' })),
    async ({ id }: TestClient) =>
      void (await db
        .updateTable('certificate')
        .set({ expires_at: sql<Date>`now()` })
        .where('id', '=', id)
        .execute()),
    async ({ userId }: TestClient) => void (await setDisabled(db, { id: userId, disabled: true })),
  ];
  const words = [/was revoked/, /has expired/, /is disabled/];
  for (const [index, end] of cases.entries()) {
    const client = await door.makeClient(await door.makeUser('overlord'));
    const agent = new Agent({
      connections: 1,
      connect: { ca: door.authority.certificate, cert: client.pem, key: client.key },
    });
    expect((await say(pathTo('/v1/keys'), { agent })).status).toBe(200);
    await end(client);
    const answer = await say(pathTo('/v1/keys'), { agent });
    expect([index, answer.status]).toEqual([index, 401]);
    expect(answer.text).toMatch(words[index] ?? /./);
    await agent.destroy();
  }
});

test('an open stream and an open terminal end within two seconds of the revocation', async () => {
  const client = await door.makeClient(await door.makeUser('overlord'));
  const agentId = await makeAgent(db, workspace);
  await db
    .updateTable('agent')
    .set({ host_id: door.api.host.id })
    .where('id', '=', agentId)
    .execute();
  const stream = await fetch(pathTo(`/v1/workspaces/${workspace}/events/stream`), {
    dispatcher: client.agent,
  });
  expect(stream.status).toBe(200);
  const ended = (async () => {
    for await (const _chunk of stream.body ?? []) void _chunk;
  })().then(
    () => 'ended',
    () => 'ended',
  );
  const socket = new WebSocket(pathTo(`/v1/agents/${agentId}/terminal`).replace('https', 'wss'), {
    ca: door.authority.certificate,
    cert: client.pem,
    key: client.key,
  });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  const closed = once(socket, 'close');
  const startedAt = performance.now();
  await revokeCertificate(db, { id: client.id, by: 'test' });
  expect(await ended).toBe('ended');
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(2_500);
  const other = await fetch(pathTo('/healthz'), { dispatcher: right.agent });
  expect(other.status).toBe(200);
  await other.text();
});

test('the certificate of the listener is renewed while it works, and no request fails', async () => {
  const tls = { authority: door.authority, names: NAMES, lifetimeMs: 4_000 };
  const admin = await startApi(door.deps, { kind: 'admin', hostname: '127.0.0.1', port: 0, tls });
  const serials = new Set<string>();
  const failures: unknown[] = [];
  const until = performance.now() + 7_000;
  const kept = new Agent({
    connections: 1,
    connect: { ca: door.authority.certificate, cert: right.pem, key: right.key },
  });
  const ask = async (fresh: boolean): Promise<void> => {
    while (performance.now() < until) {
      const agent = fresh
        ? new Agent({
            connect: { ca: door.authority.certificate, cert: right.pem, key: right.key },
          })
        : kept;
      await say(`${admin.url}/healthz`, { agent }).then(
        // Asked too often is answered, too.
        ({ status }) => ([200, 429].includes(status) ? undefined : failures.push(status)),
        (error: unknown) => failures.push(error),
      );
      if (fresh) await agent.destroy();
    }
  };
  const look = async (): Promise<void> => {
    while (performance.now() < until) {
      const socket = connectTls({
        port: Number(new URL(admin.url).port),
        host: '127.0.0.1',
        ca: door.authority.certificate,
        cert: right.pem,
        key: right.key,
      });
      await once(socket, 'secureConnect');
      serials.add(socket.getPeerCertificate().serialNumber);
      const closed = once(socket, 'close');
      socket.destroy();
      await closed;
    }
  };
  await Promise.all([ask(true), ask(true), ask(false), look()]);
  await kept.destroy();
  await admin.close();
  expect(failures).toEqual([]);
  expect(serials.size).toBeGreaterThanOrEqual(3);
});

test('with certificates on there is no other way to what admins do', async () => {
  // The public listener and the one with certificates are all that is open.
  const plain = spawn('curl', ['-sS', '-m', '2', `http://127.0.0.1:${port}/v1/keys`]);
  const [code]: unknown[] = await once(plain, 'close');
  expect(code).not.toBe(0);
});
