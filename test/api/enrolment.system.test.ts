import { fork } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { z } from 'zod';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseId } from '../../domain/id.ts';
import { offerOnServer } from '../../main/certificates.ts';
import { IssuedCertificateSchema } from '../../domain/schema/certificate.ts';
import { readEvents } from '../../infra/db/queries/event.ts';
import { setDisabled } from '../../infra/db/queries/user.ts';
import { userInAltName } from '../../infra/ca/identity.ts';
import { checkLeaks } from '../support/leaks.ts';
import { makeCsr, makeKeyPem, openssl, run } from '../support/openssl.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { openTestDoor, say, type Saying } from './door.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const workspace = await makeWorkspace(db);
const door = await openTestDoor(database);
afterAll(() => door.close());
const url = `${door.outside.url}/v1/enrolments`;

let keyFile = '';
let csr = '';
beforeEach(async () => {
  keyFile = join(door.folder, `${newId('certificate')}.key`);
  await writeFile(keyFile, await makeKeyPem());
  csr = await makeCsr(keyFile);
});
afterEach(async () => {
  await db.deleteFrom('enrolment_failure').execute();
});

function ask(secret: string, more: Readonly<Record<string, unknown>> = {}) {
  return say(url, { body: { secret, csr, ...more } });
}

/** What the other process says of itself. */
const Listeners = z.object({ admin: z.string(), outside: z.string() });

const ascending = (one: number, other: number) => one - other;

/** How many rows there are of what an enrolment makes. */
async function counts() {
  const { rows } = await sql<Record<string, number>>`select
    (select count(*)::int from certificate) as certificates,
    (select count(*)::int from user_account) as users,
    (select count(*)::int from role_binding) as roles,
    (select count(*)::int from enrolment_secret where used_at is not null) as used`.execute(db);
  return rows[0];
}

async function events(type: string) {
  const found = await readEvents(db, { workspaceId: workspace, after: 0, limit: 1_000 });
  return found.filter((event) => event.type === type);
}

async function audits(action: string) {
  const rows = await db
    .selectFrom('audit')
    .select(['canonical', 'subject_id'])
    .where('action', '=', action)
    .execute();
  return rows.map(({ canonical }) => canonical);
}

describe('the first of all', () => {
  test('a process killed half-way leaves nothing, and the secret is good for a second try', async () => {
    const before = await counts();
    const secret = await door.offer(null);
    // The insertion of the certificate waits, with user and role already written.
    await sql`create function wait_here() returns trigger language plpgsql as
      $$ begin perform pg_sleep(30); return new; end $$`.execute(db);
    await sql`create trigger wait_here before insert on certificate
      for each row execute function wait_here()`.execute(db);
    const child = fork(join(import.meta.dirname, '..', 'support', 'door-child.ts'), [
      database.url,
      door.folder,
    ]);
    const [started]: unknown[] = await once(child, 'message');
    const { outside } = Listeners.parse(started);
    const asking = say(`${outside}/v1/enrolments`, { body: { secret, csr } }).catch(() => null);
    await expect
      .poll(async () => {
        const { rows } = await sql`select 1 from pg_stat_activity
          where datname = current_database() and wait_event = 'PgSleep'`.execute(db);
        return rows.length;
      })
      .toBe(1);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    expect(await asking).toBeNull();
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep'`.execute(db);
    await sql`drop trigger wait_here on certificate`.execute(db);
    expect(await counts()).toEqual(before);
    expect(await audits('user.create')).toEqual([]);
    const answer = await ask(secret);
    expect(answer.status).toBe(201);
    expect(await counts()).toEqual({ certificates: 1, users: 1, roles: 1, used: 1 });
  });

  test('it made an overlord, whose certificate opens the admin listener', async () => {
    const secret = await door.offer(await firstUser());
    const answer = await ask(secret, { label: 'laptop' });
    expect(answer.status).toBe(201);
    const issued = IssuedCertificateSchema.parse(answer.body);
    expect(issued.user.name).toBe('Ada');
    expect(issued.adminUrl).toBe(`https://localhost:${new URL(door.admin.url).port}`);
    expect(issued.certificate.label).toBe('laptop');
    const [pemFile, caFile] = [`${keyFile}.pem`, `${keyFile}.ca`];
    await writeFile(pemFile, issued.pem);
    await writeFile(caFile, issued.chain);
    const own = ['--cert', pemFile, '--key', keyFile, '--cacert', caFile];
    const ran = await run('curl', ['-sS', ...own, `${issued.adminUrl}/v1/certificates`]);
    expect(JSON.parse(ran.out)).toMatchObject({
      items: [{ userId: issued.user.id }, { id: issued.certificate.id, revokedAt: null }],
    });
    const days = (Date.parse(issued.certificate.expiresAt) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThanOrEqual(30);
    expect(await audits('user.create')).toHaveLength(1);
    expect(await audits('role.grant')).toHaveLength(1);
    expect(await audits('certificate.issue')).toHaveLength(2);
    for (const line of [
      ...(await audits('certificate.issue')),
      ...(await audits('enrolment.offer')),
    ]) {
      expect(line).not.toContain(secret.slice(20, 60));
    }
  });

  test('there is one first only, also where two secrets for him were made', async () => {
    const again = await door.offer(null);
    const answer = await ask(again);
    expect([answer.status, answer.body['code']]).toEqual([409, 'conflict']);
    expect((await counts())?.['users']).toBe(1);
    await expect(
      offerOnServer({ db, authority: door.authority, userId: null }),
    ).rejects.toMatchObject({ code: 'conflict' });
    const made = await offerOnServer({ db, authority: door.authority, userId: await firstUser() });
    expect((await ask(made.secret)).status).toBe(201);
  });
});

async function firstUser() {
  const { id } = await db
    .selectFrom('user_account')
    .select('id')
    .orderBy('seq')
    .limit(1)
    .executeTakeFirstOrThrow();
  return parseId('user', id);
}

describe('a secret', () => {
  test('works once, but answers the same to the same key, for an answer that was lost', async () => {
    const secret = await door.offer(await door.makeUser('viewer'));
    const first = await ask(secret);
    const again = await ask(secret);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body['pem']).toBe(first.body['pem']);
    await writeFile(keyFile, await makeKeyPem());
    csr = await makeCsr(keyFile);
    const other = await ask(secret);
    expect([other.status, other.body['code']]).toEqual([401, 'unauthenticated']);
  });

  test('shown by two machines at once lets in one', async () => {
    const secret = await door.offer(await door.makeUser('viewer'));
    const csrs = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const file = `${keyFile}.${index}`;
        await writeFile(file, await makeKeyPem());
        return makeCsr(file);
      }),
    );
    const answers = await Promise.all(csrs.map((each) => ask(secret, { csr: each })));
    expect(answers.map(({ status }) => status).toSorted(ascending)).toEqual([
      201, 401, 401, 401, 401, 401,
    ]);
  });

  test.each([
    ['late', lapse],
    ['of a user who was disabled', disable],
  ])('that is %s is not good', async (_name, spoil) => {
    const secret = await door.offer(await door.makeUser('viewer'));
    await spoil(secret);
    const before = await counts();
    const answer = await ask(secret);
    expect([401, 403]).toContain(answer.status);
    expect(await counts()).toEqual(before);
  });

  test('that is wrong in any way is answered the same', async () => {
    const secret = await door.offer(await door.makeUser('viewer'));
    const [, lookup = '', rest = ''] = /^rkb_(.{12})(.{48})/.exec(secret) ?? [];
    const fingerprint = door.authority.fingerprint;
    const wrong = [
      'garbage',
      `rkb_${'0'.repeat(60)}_${fingerprint}`,
      `rkb_${lookup}${'0'.repeat(48)}_${fingerprint}`,
      `rkb_${lookup}${rest}_${'0'.repeat(64)}`,
      secret.toUpperCase(),
    ];
    const texts = new Set<string>();
    for (const each of wrong) {
      const answer = await say(url, {
        body: { secret: each, csr },
        headers: { 'x-request-id': 'same' },
      });
      expect([each, answer.status]).toEqual([each, 401]);
      texts.add(answer.text);
    }
    expect(texts.size).toBe(1);
    expect((await ask(secret)).status).toBe(201);
  });

  test('that is guessed at five times is good no longer, which is reported', async () => {
    const secret = await door.offer(await door.makeUser('viewer'));
    const lookup = secret.slice(4, 16);
    const before = await events('enrolment.locked');
    for (let guess = 0; guess < 5; guess += 1) {
      const answer = await ask(
        `rkb_${lookup}${String(guess).repeat(48)}_${door.authority.fingerprint}`,
      );
      expect(answer.status).toBe(401);
    }
    expect((await ask(secret)).status).toBe(401);
    const after = await events('enrolment.locked');
    expect(after.length - before.length).toBe(1);
    expect(after.at(-1)?.data).toMatchObject({ secret: lookup });
  });

  test('of another user is no way around who may have one', async () => {
    const admin = await door.makeClient(await door.makeUser('admin'));
    const overlord = await door.makeUser('overlord');
    const offers = `${door.admin.url}/v1/enrolment-secrets`;
    const offer = (agent: Saying['agent'], userId: string) =>
      say(offers, { body: { userId }, ...(agent === undefined ? {} : { agent }) });
    expect((await offer(admin.agent, overlord)).status).toBe(403);
    expect((await offer(admin.agent, newId('user'))).status).toBe(404);
    const good = await offer(admin.agent, await door.makeUser('admin'));
    expect(good.status).toBe(201);
    expect((await ask(String(good.body['secret']))).status).toBe(201);
    const here = { kind: 'workspace', workspaceId: workspace } as const;
    const local = await door.makeClient(await door.makeUser('admin', here));
    // Whoever has little today, or nothing, may be given more tomorrow, and with him whoever came in as him.
    for (const role of ['viewer', 'operator', null] as const)
      expect((await offer(local.agent, await door.makeUser(role, here))).status).toBe(403);
    expect((await offer(local.agent, local.userId)).status).toBe(201);
    // A workspace of somebody's own is closed to admins, and a certificate of his would open it.
    const owned = await makeWorkspace(db);
    const owner = await door.makeUser('viewer', { kind: 'workspace', workspaceId: owned });
    await db
      .updateTable('workspace')
      .set({ kind: 'private', owner_user_id: owner })
      .where('id', '=', owned)
      .execute();
    expect((await offer(admin.agent, owner)).status).toBe(403);
    const above = await door.makeClient(await door.makeUser('overlord'));
    expect((await offer(above.agent, owner)).status).toBe(201);
    const theirs = await door.makeClient(owner);
    const lost = `${door.admin.url}/v1/certificates/${theirs.id}`;
    expect((await say(lost, { method: 'DELETE', agent: admin.agent })).status).toBe(200);
    const disabled = await door.makeUser('viewer');
    await setDisabled(db, { id: disabled, disabled: true });
    expect((await offer(admin.agent, disabled)).status).toBe(409);
  });

  test('is shown once: a repeated request does not tell it again', async () => {
    const admin = await door.makeClient(await door.makeUser('overlord'));
    const body = { userId: await door.makeUser('viewer') };
    const headers = { 'idempotency-key': 'same' };
    const what = { agent: admin.agent, body, headers };
    const [first, again] = [
      await say(`${door.admin.url}/v1/enrolment-secrets`, what),
      await say(`${door.admin.url}/v1/enrolment-secrets`, what),
    ];
    expect(first.body['secret']).toMatch(/^rkb_/);
    expect(again.body).toMatchObject({ id: first.body['id'], secret: null });
    const { rows } = await sql<{ body: unknown }>`select body from idempotency`.execute(db);
    expect(JSON.stringify(rows)).not.toContain('rkb_');
  });
});

async function lapse(secret: string) {
  await db
    .updateTable('enrolment_secret')
    .set({ expires_at: sql<Date>`now()` })
    .where('lookup', '=', secret.slice(4, 16))
    .execute();
}

async function disable(secret: string) {
  const row = await db
    .selectFrom('enrolment_secret')
    .select('user_id')
    .where('lookup', '=', secret.slice(4, 16))
    .executeTakeFirstOrThrow();
  await setDisabled(db, { id: row.user_id ?? '', disabled: true });
}

test('an address that guesses is locked out, reported once, and let in again later', async () => {
  const secret = await door.offer(await door.makeUser('viewer'));
  const before = (await audits('enrolment.lock')).length;
  const guesses = Array.from({ length: 14 }, (_, index) =>
    ask(`rkb_${String(index).padStart(60, '0')}_${door.authority.fingerprint}`),
  );
  const statuses = (await Promise.all(guesses)).map(({ status }) => status).toSorted(ascending);
  expect(statuses).toEqual([...Array<number>(10).fill(401), ...Array<number>(4).fill(429)]);
  const locked = await ask(secret);
  expect([locked.status, locked.headers.get('retry-after')]).toEqual([429, '600']);
  expect((await audits('enrolment.lock')).length - before).toBe(1);
  await sql`update enrolment_failure set at = at - interval '11 minutes'`.execute(db);
  expect((await ask(secret)).status).toBe(201);
});

test('what a request says of its sender is not believed', async () => {
  const userId = await door.makeUser('viewer');
  const other = await door.makeUser('overlord');
  csr = await makeCsr(keyFile, [
    '-subj',
    `/CN=${other}/O=overlords`,
    '-addext',
    `subjectAltName=URI:urn:rookery:user:${other},DNS:localhost,email:root@localhost`,
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'extendedKeyUsage=serverAuth,codeSigning',
  ]);
  const answer = await ask(await door.offer(userId));
  expect(answer.status).toBe(201);
  const made = new X509Certificate(String(answer.body['pem']));
  expect(userInAltName(made.subjectAltName)).toBe(userId);
  expect([made.subject, made.ca]).toEqual([`CN=${userId}`, false]);
  const text = await openssl(['x509', '-noout', '-text'], String(answer.body['pem']));
  expect(text).toMatch(/Extended Key Usage:\s+TLS Web Client Authentication\n/);
  expect(text).not.toContain(other);
  expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
});

test('a request that is none is refused before the secret is looked at, and costs nothing', async () => {
  const secret = await door.offer(await door.makeUser('viewer'));
  const answer = await ask(secret, { csr: 'please' });
  expect([answer.status, answer.body['code']]).toEqual([400, 'invalid_input']);
  expect(answer.text).not.toContain(secret);
  expect((await ask(secret)).status).toBe(201);
});

function renew(agent: Saying['agent']) {
  return say(`${door.admin.url}/v1/certificates/renew`, {
    body: { csr },
    ...(agent === undefined ? {} : { agent }),
  });
}

describe('renewal', () => {
  test('gives the same user another one, once for each key', async () => {
    const userId = await door.makeUser('viewer');
    const client = await door.makeClient(userId);
    const first = await renew(client.agent);
    const again = await renew(client.agent);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body['pem']).toBe(first.body['pem']);
    const issued = IssuedCertificateSchema.parse(first.body);
    expect(issued.certificate).toMatchObject({ userId, renewsId: client.id, label: 'test' });
    expect(userInAltName(new X509Certificate(issued.pem).subjectAltName)).toBe(userId);
    expect((await events('certificate.renewed')).at(-1)?.data).toMatchObject({
      renewsId: client.id,
    });
  });

  test('ends after five, so that nobody lays in a store of them', async () => {
    const client = await door.makeClient(await door.makeUser('viewer'));
    const statuses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      await writeFile(keyFile, await makeKeyPem());
      csr = await makeCsr(keyFile);
      statuses.push((await renew(client.agent)).status);
    }
    expect(statuses).toEqual([201, 201, 201, 201, 201, 409]);
  });

  test('of one that was revoked gives nothing, and revoking takes back what it gave', async () => {
    const overlord = await door.makeClient(await door.makeUser('overlord'));
    const client = await door.makeClient(await door.makeUser('viewer'));
    const given = IssuedCertificateSchema.parse((await renew(client.agent)).body);
    const before = (await audits('certificate.revoke')).length;
    const path = `${door.admin.url}/v1/certificates/${client.id}`;
    const answer = await say(path, { method: 'DELETE', agent: overlord.agent });
    expect(answer.body).toMatchObject({ id: client.id, revokedBy: overlord.userId });
    expect((await say(path, { method: 'DELETE', agent: overlord.agent })).body).toEqual(
      answer.body,
    );
    expect((await renew(client.agent)).status).toBe(401);
    const later = await db
      .selectFrom('certificate')
      .select('revoked_at')
      .where('id', '=', given.certificate.id)
      .executeTakeFirstOrThrow();
    expect(later.revoked_at).not.toBeNull();
    expect((await audits('certificate.revoke')).length - before).toBe(2);
  });

  test('nobody revokes what belongs to somebody above, and a stranger learns of none', async () => {
    const admin = await door.makeClient(await door.makeUser('admin'));
    const above = await door.makeClient(await door.makeUser('overlord'));
    const local = await door.makeClient(
      await door.makeUser('admin', { kind: 'workspace', workspaceId: workspace }),
    );
    const path = `${door.admin.url}/v1/certificates/${above.id}`;
    expect((await say(path, { method: 'DELETE', agent: admin.agent })).status).toBe(403);
    expect((await say(path, { method: 'DELETE', agent: local.agent })).status).toBe(404);
    const list = `${door.admin.url}/v1/certificates?limit=200`;
    const own = await say(list, { agent: local.agent });
    expect(own.body['items']).toMatchObject([{ id: local.id }]);
    const theirs = await say(`${list}&userId=${above.userId}`, { agent: local.agent });
    expect(theirs.body['items']).toEqual([]);
    expect((await say(list, { agent: admin.agent })).text).toContain(above.id);
  });
});

test('two processes share the authority: what one gives out, the other lets in, and refuses once it is revoked', async () => {
  const child = fork(join(import.meta.dirname, '..', 'support', 'door-child.ts'), [
    database.url,
    door.folder,
  ]);
  try {
    const [started]: unknown[] = await once(child, 'message');
    const other = Listeners.parse(started);
    const secret = await door.offer(await door.makeUser('overlord'));
    const answer = await say(`${other.outside}/v1/enrolments`, { body: { secret, csr } });
    expect(answer.status).toBe(201);
    const issued = IssuedCertificateSchema.parse(answer.body);
    await writeFile(`${keyFile}.pem`, issued.pem);
    const own = ['--cert', `${keyFile}.pem`, '--key', keyFile, '--cacert', door.caFile];
    const statusAt = async (admin: string) => {
      const ran = await run('curl', [
        '-sS',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        ...own,
        `${admin}/v1/keys`,
      ]);
      return ran.out;
    };
    expect([await statusAt(door.admin.url), await statusAt(other.admin)]).toEqual(['200', '200']);
    const revoke = ['-X', 'DELETE', `${other.admin}/v1/certificates/${issued.certificate.id}`];
    expect((await run('curl', ['-sS', ...own, ...revoke])).out).toContain(issued.certificate.id);
    expect([await statusAt(door.admin.url), await statusAt(other.admin)]).toEqual(['401', '401']);
  } finally {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
});

test('an installation without certificates says so', async () => {
  const { office: _office, ...without } = door.deps;
  const { createApp } = await import('../../api/app.ts');
  const app = createApp(without, 'public');
  const answer = await app.request('/v1/enrolments', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'x' },
    body: JSON.stringify({ secret: 'x', csr }),
  });
  expect(answer.status).toBe(409);
  expect(await answer.text()).toContain('admin.mtls');
  expect(await readFile(door.caFile, 'utf8')).toBe(door.authority.certificate);
});
