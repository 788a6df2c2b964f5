import { createServer } from 'node:https';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTerminalSocket } from '../../cli/attach/socket.ts';
import { ApiClient } from '../../cli/client.ts';
import { identityIn, readProfile } from '../../cli/profile.ts';
import type { UserId } from '../../domain/id.ts';
import { openAuthority } from '../../infra/ca/authority.ts';
import { revokeCertificate } from '../../infra/db/queries/certificate.ts';
import { openTestDoor } from '../api/door.ts';
import { checkLeaks } from '../support/leaks.ts';
import { run } from '../support/openssl.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { makeAgent, newId } from '../support/records.ts';
import { runCli } from './run-cli.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const workspace = await makeWorkspace(db);
const door = await openTestDoor(database);
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rookery-enrol-'));
});
afterAll(async () => {
  await door.close();
  await rm(folder, { recursive: true, force: true });
});

let count = 0;
/** A machine with nothing on it. */
async function machine() {
  const cwd = join(folder, String(count++));
  const path = join(cwd, '.rookery', 'admin.json');
  const read = async (): Promise<Record<string, string>> =>
    JSON.parse(await readFile(path, 'utf8'));
  return {
    path,
    read,
    write: async (changes: Readonly<Record<string, string>>) =>
      writeFile(path, JSON.stringify({ ...(await read()), ...changes })),
    cli: (...argv: readonly string[]) => runCli(argv, { cwd, now: () => Date.now() }),
    enrol: async (userId: UserId) =>
      runCli(['enrol', door.outside.url, await door.offer(userId)], { cwd, now: () => Date.now() }),
  };
}

describe('rookery enrol', () => {
  test('makes a key that stays here, and everything else then works with the certificate alone', async () => {
    const { cli, path, read } = await machine();
    const secret = await door.offer(await door.makeUser('overlord'));
    const ran = await cli('enrol', door.outside.url, secret, '--label', 'laptop', '--json');
    expect([ran.err, ran.code]).toEqual(['', 0]);
    const { adminUrl } = await read();
    expect(JSON.parse(ran.out)).toMatchObject({ adminUrl, path });
    expect(ran.out).not.toContain('PRIVATE KEY');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
    const { key = '' } = await read();
    const { rows } = await sql<{ text: string }>`select certificate::text as text from certificate
      union all select enrolment_secret::text from enrolment_secret
      union all select canonical from audit`.execute(db);
    const [, line = ''] = key.split('\n');
    expect(line.length).toBeGreaterThan(40);
    expect(rows.some(({ text }) => text.includes(line))).toBe(false);

    expect((await cli('key', 'list')).code).toBe(0);
    expect(JSON.parse((await cli('certificate', 'list', '--json')).out)).toMatchObject({
      items: [{ label: 'laptop' }],
    });
    // Also what the public listener has, and a stream.
    expect((await cli('workspace', 'list')).code).toBe(0);
    expect((await cli('events', '--json')).err).toBe('');
    const shown = await cli('certificate', 'show');
    expect(shown.out).toContain('Somebody (usr_');
  });

  test.each([
    {
      what: 'garbage',
      spoil: (secret: string) => `${secret}0`,
      code: 2,
      words: 'begins with rkb_',
    },
    {
      what: 'another authority',
      spoil: (secret: string) => secret.replace(/[0-9a-f]{64}$/, '0'.repeat(64)),
      code: 4,
      words: 'is not good',
    },
  ])('refuses a secret of $what, and stores nothing', async ({ spoil, code, words }) => {
    const { cli, path } = await machine();
    const secret = spoil(await door.offer(await door.makeUser('viewer')));
    const ran = await cli('enrol', door.outside.url, secret);
    expect(ran.code).toBe(code);
    expect(ran.err).toContain(words);
    expect(ran.err).not.toContain(secret.slice(16, 60));
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    await db.deleteFrom('enrolment_failure').execute();
  });

  test('does not trust an answer of somebody in between', async () => {
    const { cli, path } = await machine();
    const other = await openAuthority({ dataDir: folder, passphrase: null });
    const userId = newId('user');
    const { startServer } = await import('./server.ts');
    const between = await startServer();
    between.app.post('/v1/enrolments', async (c) => {
      const { csr } = await c.req.json<{ csr: string }>();
      const { publicKey } = await other.readRequest(csr);
      const issued = await other.issueClient({ userId, publicKey, lifetimeMs: 60_000 });
      const at = new Date().toISOString();
      return c.json(
        {
          certificate: {
            id: newId('certificate'),
            userId,
            serial: issued.serial,
            fingerprint: issued.fingerprint,
            label: '',
            renewsId: null,
            issuedAt: at,
            expiresAt: at,
            revokedAt: null,
            revokedBy: null,
            lastUsedAt: null,
          },
          pem: issued.pem,
          chain: other.certificate,
          user: { id: userId, name: 'Mallory' },
          adminUrl: 'https://localhost:1',
        },
        201,
      );
    });
    const ran = await cli('enrol', between.url, await door.offer(await door.makeUser('viewer')));
    await between.close();
    expect(ran.code).toBe(4);
    expect(ran.err).toContain('another authority');
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('sends no secret unencrypted to another machine, and overwrites no certificate unasked', async () => {
    const { cli, enrol, read } = await machine();
    const userId = await door.makeUser('viewer');
    const secret = await door.offer(userId);
    const open = await cli('enrol', 'http://rookery.example', secret);
    expect([open.code, open.err]).toEqual([2, expect.stringContaining('unencrypted')]);
    await enrol(userId);
    const before = await read();
    const again = await cli('enrol', door.outside.url, secret);
    expect([again.code, again.err]).toEqual([5, expect.stringContaining('--replace')]);
    expect(await read()).toEqual(before);
    expect((await cli('enrol', door.outside.url, secret, '--replace')).code).toBe(0);
    expect((await read())['key']).not.toBe(before['key']);
  });
});

describe('a certificate', () => {
  test('is renewed in its last ten days by whatever is run, and not before', async () => {
    const { cli, enrol, read, write } = await machine();
    await enrol(await door.makeUser('overlord'));
    const first = await read();
    await cli('key', 'list');
    expect(await read()).toEqual(first);
    await write({ expiresAt: new Date(Date.now() + 9 * 86_400_000).toISOString() });
    expect(await cli('key', 'list')).toMatchObject({ code: 0, err: '' });
    const second = await read();
    expect(second['certificateId']).not.toBe(first['certificateId']);
    expect(second['key']).not.toBe(first['key']);
    expect(Date.parse(second['expiresAt'] ?? '')).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    const ran = await cli('certificate', 'renew', '--json');
    expect(JSON.parse(ran.out).certificateId).not.toBe(second['certificateId']);
  });

  test('that cannot be renewed is used on, with a word about it, once an hour', async () => {
    const { cli, enrol, write } = await machine();
    await enrol(await door.makeUser('overlord'));
    await write({
      adminUrl: 'https://127.0.0.1:9',
      expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    });
    const ran = await cli('key', 'list', '--admin-url', door.admin.url);
    expect(ran.code).toBe(0);
    expect(ran.err).toContain('was not renewed');
    const again = await cli('key', 'list', '--admin-url', door.admin.url);
    expect(again).toMatchObject({ code: 0, err: '' });
  });

  test('that is over, revoked or of another installation is told in words', async () => {
    const { cli, enrol, read, write } = await machine();
    await enrol(await door.makeUser('overlord'));
    const good = await read();

    await write({ expiresAt: new Date(Date.now() - 1_000).toISOString() });
    const over = await cli('key', 'list');
    expect([over.code, over.err]).toEqual([4, expect.stringContaining('ended on')]);
    expect((await cli('certificate', 'show')).out).toContain('Ended');

    // The clock of this machine is behind: it believes in what the server does not.
    const userId = await door.makeUser('overlord');
    const past = await door.makeClient(userId, { lifetimeMs: -60_000 });
    await write({ ...good, certificate: past.pem, key: past.key });
    const late = await cli('key', 'list');
    expect([late.code, late.err]).toEqual([4, expect.stringContaining('not accepted')]);

    const other = await openAuthority({ dataDir: folder, passphrase: null });
    const foreign = await door.makeClient(userId, { by: other });
    await write({ ...good, certificate: foreign.pem, key: foreign.key });
    const theirs = await cli('key', 'list');
    expect([theirs.code, theirs.err]).toEqual([4, expect.stringContaining('not accepted')]);

    await write({ ...good, authority: other.certificate });
    const between = await cli('key', 'list');
    expect([between.code, between.err]).toEqual([4, expect.stringContaining('another authority')]);

    await write(good);
    expect((await cli('key', 'list')).code).toBe(0);
    await revokeCertificate(db, { id: good['certificateId'] ?? '', by: 'test' });
    for (const argv of [['key', 'list'], ['events']]) {
      const ran = await cli(...argv);
      expect([ran.code, ran.err]).toEqual([4, expect.stringMatching(/was revoked.*enrol again/)]);
    }
  });

  test('refused without a word, as TLS 1.3 may have it, is told as that', async () => {
    const { cli, enrol } = await machine();
    await enrol(await door.makeUser('overlord'));
    const { key, pem } = await door.authority.issueServer({
      names: ['localhost'],
      lifetimeMs: 60_000,
    });
    const server = createServer({ key, cert: pem, minVersion: 'TLSv1.3' }, (request) => {
      request.socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const ran = await cli('key', 'list', '--admin-url', `https://localhost:${port}`);
    const closed = once(server, 'close');
    server.close();
    await closed;
    expect([ran.code, ran.err]).toEqual([4, expect.stringContaining('not accepted')]);
  });

  test('is not used where others may read it', async () => {
    const { cli, enrol, path } = await machine();
    await enrol(await door.makeUser('overlord'));
    await chmod(path, 0o640);
    const ran = await cli('key', 'list');
    expect([ran.code, ran.err]).toEqual([4, expect.stringContaining(`chmod 600 ${path}`)]);
  });

  test('is missed by who has none, who is told how to get one', async () => {
    const { cli } = await machine();
    const ran = await cli('key', 'list', '--url', door.outside.url, '--admin-url', door.admin.url);
    expect(ran.code).not.toBe(0);
    expect(ran.err).toMatch(/rookery enrol|NODE_EXTRA_CA_CERTS/);
  });
});

test('an admin invites somebody, who enrols, works, and is shut out again', async () => {
  const [admin, guest] = [await machine(), await machine()];
  await admin.enrol(await door.makeUser('overlord'));
  const userId = await door.makeUser('admin');
  const invited = await admin.cli('certificate', 'invite', userId, '--json');
  const { secret } = JSON.parse(invited.out);
  expect((await guest.cli('enrol', door.outside.url, secret)).code).toBe(0);
  expect((await guest.cli('key', 'list')).code).toBe(0);
  const { certificateId = '' } = await guest.read();
  const revoked = await admin.cli('certificate', 'revoke', certificateId, '--yes');
  expect([revoked.err, revoked.code]).toEqual(['', 0]);
  expect((await guest.cli('key', 'list')).code).toBe(4);
  const list = await admin.cli('certificate', 'list', '--user', userId);
  expect(list.out).toContain('revoked');
});

test('a terminal is watched and typed in with it, until it is revoked', async () => {
  const { enrol, path } = await machine();
  await enrol(await door.makeUser('overlord'));
  const profile = readProfile(path);
  if (profile === null) throw new Error('It enrolled.');
  const agentId = await makeAgent(db, workspace);
  await db
    .updateTable('agent')
    .set({ host_id: door.api.host.id })
    .where('id', '=', agentId)
    .execute();
  const stopping = new AbortController();
  const connection = { url: new URL(profile.adminUrl), key: null, identity: identityIn(profile) };
  const client = new ApiClient(connection, stopping.signal);
  const closed = Promise.withResolvers<unknown>();
  const request = { agentId, mode: 'type', size: { cols: 80, rows: 24 } } as const;
  const before = door.api.host.terminals.length;
  const socket = openTerminalSocket(client, request, {
    onFrame: () => undefined,
    onBytes: () => undefined,
    onClose: closed.resolve,
  });
  await expect.poll(() => door.api.host.terminals.length).toBe(before + 1);
  socket.type(Buffer.from('hello'));
  const terminal = door.api.host.terminals.at(-1);
  await expect
    .poll(() => Buffer.concat((terminal?.typed ?? []).map((each) => Buffer.from(each))).toString())
    .toBe('hello');
  await revokeCertificate(db, { id: profile.certificateId, by: 'test' });
  expect(await closed.promise).toMatchObject({ name: 'CliError' });
  socket.close();
  await client.close();
});

test('what is exported works with curl, and openssl packs it for a browser', async () => {
  const { cli, enrol, read } = await machine();
  await enrol(await door.makeUser('overlord'));
  const pem = join(folder, 'pem');
  expect((await cli('certificate', 'export', pem)).code).toBe(0);
  for (const name of ['key.pem', 'cert.pem', 'ca.pem']) {
    expect((await stat(join(pem, name))).mode & 0o777).toBe(0o600);
  }
  const again = await cli('certificate', 'export', pem);
  expect([again.code, again.err]).toEqual([5, expect.stringContaining('is there already')]);
  const [key, cert, ca] = ['key.pem', 'cert.pem', 'ca.pem'].map((name) => join(pem, name));
  const { adminUrl = '' } = await read();
  const args = ['-sS', '--cert', cert ?? '', '--key', key ?? '', '--cacert', ca ?? ''];
  expect((await run('curl', [...args, `${adminUrl}/v1/keys`])).out).toContain('"items"');
  const p12 = join(pem, 'rookery.p12');
  const pack = ['pkcs12', '-export', '-in', cert ?? '', '-inkey', key ?? '', '-certfile', ca ?? ''];
  expect((await run('openssl', [...pack, '-out', p12, '-passout', 'pass:x'])).code).toBe(0);
});
