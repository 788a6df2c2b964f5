import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { createCertificateSignIn } from '../../api/middleware/certificate.ts';
import { offerEnrolment } from '../../api/enrolment-offer.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { startApi, type RunningApi } from '../../api/server.ts';
import type { UserId } from '../../domain/id.ts';
import type { Role, RolePlace } from '../../domain/principal.ts';
import { openAuthority } from '../../infra/ca/authority.ts';
import type { CertificateAuthority } from '../../infra/ca/contract.ts';
import { insertCertificate } from '../../infra/db/queries/certificate.ts';
import { insertRoleBinding } from '../../infra/db/queries/role-binding.ts';
import { insertUser } from '../../infra/db/queries/user.ts';
import { makeCsr, makeKeyPem } from '../support/openssl.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { openTestApi, type TestApi } from './harness.ts';

export const NAMES = ['admin.example', 'localhost', '127.0.0.1', '::1'];
const DAY_MS = 24 * 60 * 60 * 1_000;

/** Key and certificate of one machine, as files for foreign programs and as text for ours. */
export interface TestClient {
  readonly id: string;
  readonly userId: UserId;
  readonly key: string;
  readonly pem: string;
  readonly keyFile: string;
  readonly pemFile: string;
  readonly agent: Agent;
}

/** Both listeners of an installation with certificates. */
export interface TestDoor {
  readonly api: TestApi;
  readonly deps: ApiDeps;
  readonly authority: CertificateAuthority;
  readonly admin: RunningApi;
  readonly outside: RunningApi;
  /** Its data directory; clients' files lie below it. */
  readonly folder: string;
  readonly caFile: string;
  makeUser(role: Role | null, place?: RolePlace): Promise<UserId>;
  /** Issued by `by`, and on record unless that is another authority. */
  makeClient(userId: UserId, options?: ClientOptions): Promise<TestClient>;
  /** A secret for a user, or for the first of all. */
  offer(userId: UserId | null): Promise<string>;
  close(): Promise<void>;
}

interface ClientOptions {
  readonly by?: CertificateAuthority;
  readonly lifetimeMs?: number;
  /** What the row says, where that differs from what the certificate says. */
  readonly expiresAt?: Date;
}

export async function openTestDoor(
  database: TestDatabase,
  options: { readonly lifetimeMs?: number } = {},
): Promise<TestDoor> {
  const { db } = database;
  const api = await openTestApi(database);
  const folder = await mkdtemp(join(tmpdir(), 'rookery-door-'));
  const authority = await openAuthority({ dataDir: folder, passphrase: null });
  let port = 0;
  const deps: ApiDeps = {
    ...api.deps,
    certificates: createCertificateSignIn(api.deps),
    office: { authority, adminUrl: () => `https://localhost:${port}` },
  };
  const tls = { authority, names: NAMES, ...options };
  const admin = await startApi(deps, { kind: 'admin', hostname: '127.0.0.1', port: 0, tls });
  port = Number(new URL(admin.url).port);
  const outside = await startApi(deps, { kind: 'public', hostname: '127.0.0.1', port: 0 });
  const agents: Agent[] = [];

  async function makeClient(userId: UserId, given: ClientOptions = {}): Promise<TestClient> {
    const by = given.by ?? authority;
    const id = newId('certificate');
    const [keyFile, pemFile] = [join(folder, `${id}.key`), join(folder, `${id}.pem`)];
    const key = await makeKeyPem();
    await writeFile(keyFile, key, { mode: 0o600 });
    const { publicKey, publicKeyHash } = await by.readRequest(await makeCsr(keyFile));
    const lifetimeMs = given.lifetimeMs ?? 30 * DAY_MS;
    const { pem, serial, fingerprint, notAfter } = await by.issueClient({
      userId,
      publicKey,
      lifetimeMs,
    });
    await writeFile(pemFile, pem);
    if (by === authority) {
      await insertCertificate(db, {
        id,
        userId,
        serial,
        fingerprint,
        publicKeyHash,
        pem,
        label: 'test',
        enrolmentId: null,
        renewsId: null,
        expiresAt: given.expiresAt ?? notAfter,
      });
    }
    const agent = new Agent({ connect: { ca: authority.certificate, cert: pem, key } });
    agents.push(agent);
    return { id, userId, key, pem, keyFile, pemFile, agent };
  }

  return {
    api,
    deps,
    authority,
    admin,
    outside,
    folder,
    caFile: join(folder, 'ca.pem'),
    makeClient,
    async makeUser(role, place = { kind: 'installation' }) {
      const id = newId('user');
      await insertUser(db, { id, name: 'Somebody', createdBy: 'test' });
      const binding = { id: newId('roleBinding'), userId: id, place, createdBy: 'test' };
      if (role !== null) await insertRoleBinding(db, { ...binding, role });
      return id;
    },
    async offer(userId) {
      const made = await db.transaction().execute((tx) =>
        offerEnrolment(tx, {
          id: newId('enrolment'),
          who: userId === null ? { firstUserName: 'Ada' } : { userId },
          actor: { kind: 'system', id: 'test' },
          fingerprint: authority.fingerprint,
        }),
      );
      if (made === null) throw new Error('It has a new id.');
      return made.secret;
    },
    async close() {
      for (const agent of agents) await agent.destroy();
      await outside.close();
      await admin.close();
      await api.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Heard {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly headers: Headers;
}

export interface Saying {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  /** Of a stream only the head is of interest. */
  readonly headOnly?: boolean;
}

/** A request over the network. Rejects where there is no answer. */
export async function say(url: string, what: Saying = {}): Promise<Heard> {
  const method = what.method ?? (what.body === undefined ? 'GET' : 'POST');
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}),
      ...(what.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...what.headers,
    },
    ...(what.body === undefined ? {} : { body: JSON.stringify(what.body) }),
    ...(what.agent === undefined ? {} : { dispatcher: what.agent }),
  });
  if (what.headOnly === true) await response.body?.cancel();
  const text = what.headOnly === true ? '' : await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true && text !== '';
  const body: unknown = isJson ? JSON.parse(text) : {};
  return {
    status: response.status,
    body: Object(body),
    text,
    headers: new Headers([...response.headers]),
  };
}
