import { X509Certificate } from 'node:crypto';
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openAuthority } from '../../../infra/ca/authority.ts';
import { userInAltName } from '../../../infra/ca/identity.ts';
import { authorityPath } from '../../../infra/ca/key-file.ts';
import { makeCsr, makeKeyPem, openssl, run } from '../../support/openssl.ts';
import { testFolder } from '../../support/folder.ts';
import { newId } from '../../support/records.ts';

const PASSPHRASE = 'correct horse battery staple';
const DAY_MS = 24 * 60 * 60 * 1_000;

async function requestIn(folder: string) {
  const keyFile = join(folder, 'client.key');
  await writeFile(keyFile, await makeKeyPem());
  return makeCsr(keyFile);
}

test('it is made once, for ten years, and can vouch for two ends of a connection and nothing else', async () => {
  const dataDir = testFolder();
  const made = await openAuthority({ dataDir, passphrase: null });
  const again = await openAuthority({ dataDir, passphrase: null });
  expect(again.fingerprint).toBe(made.fingerprint);
  const text = await openssl(['x509', '-noout', '-text'], made.certificate);
  expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
  expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  expect(text).toMatch(
    /Extended Key Usage:\s+TLS Web Server Authentication, TLS Web Client Authentication/,
  );
  const years = (made.notAfter.getTime() - Date.now()) / (365.25 * DAY_MS);
  expect(years).toBeGreaterThan(9.9);
  expect(years).toBeLessThan(10.1);
  expect(await readFile(join(dataDir, 'ca.pem'), 'utf8')).toBe(made.certificate);
  expect((await stat(authorityPath(dataDir))).mode & 0o777).toBe(0o600);
  expect((await stat(join(dataDir, 'secrets'))).mode & 0o777).toBe(0o700);
});

test('several that open it first at once agree, and leave no draft behind', async () => {
  const dataDir = testFolder();
  const opened = await Promise.all(
    Array.from({ length: 8 }, () => openAuthority({ dataDir, passphrase: null })),
  );
  expect(new Set(opened.map(({ fingerprint }) => fingerprint)).size).toBe(1);
  expect(await readdir(join(dataDir, 'secrets'))).toEqual(['ca.json']);
});

test('what it issues is verified by openssl, for its own use only', async () => {
  const dataDir = testFolder();
  const authority = await openAuthority({ dataDir, passphrase: null });
  const userId = newId('user');
  const { publicKey } = await authority.readRequest(await requestIn(dataDir));
  const client = await authority.issueClient({ userId, publicKey, lifetimeMs: 30 * DAY_MS });
  const server = await authority.issueServer({
    names: ['localhost', '127.0.0.1', '::1', 'admin.example'],
    lifetimeMs: DAY_MS,
  });
  const ca = join(dataDir, 'ca.pem');
  const verdict = async (pem: string, purpose: string) =>
    (await run('openssl', ['verify', '-CAfile', ca, '-purpose', purpose, '-x509_strict'], pem))
      .code;
  expect(await verdict(client.pem, 'sslclient')).toBe(0);
  expect(await verdict(client.pem, 'sslserver')).not.toBe(0);
  expect(await verdict(server.pem, 'sslserver')).toBe(0);
  expect(await verdict(server.pem, 'sslclient')).not.toBe(0);
  const read = new X509Certificate(client.pem);
  expect(read.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(client.fingerprint);
  expect(read.serialNumber.toLowerCase()).toBe(client.serial);
  expect(userInAltName(read.subjectAltName)).toBe(userId);
  const served = new X509Certificate(server.pem);
  for (const name of ['localhost', 'admin.example']) expect(served.checkHost(name)).toBe(name);
  for (const ip of ['127.0.0.1', '::1']) expect(served.checkIP(ip)).toBe(ip);
  expect(served.checkHost('evil.example')).toBeUndefined();
});

test('a certificate is good for clocks that are behind, and no longer than the authority', async () => {
  const dataDir = testFolder();
  const authority = await openAuthority({ dataDir, passphrase: null });
  const { publicKey } = await authority.readRequest(await requestIn(dataDir));
  const userId = newId('user');
  const lifetimeMs = 100 * 365 * DAY_MS;
  const { notBefore, notAfter } = await authority.issueClient({ userId, publicKey, lifetimeMs });
  expect(Date.now() - notBefore.getTime()).toBeGreaterThan(59 * 60 * 1_000);
  expect(notAfter).toEqual(authority.notAfter);
});

test.each([0o640, 0o604, 0o620, 0o644, 0o777])(
  'mode %o is refused with what to do',
  async (mode) => {
    const dataDir = testFolder();
    await openAuthority({ dataDir, passphrase: null });
    const path = authorityPath(dataDir);
    await chmod(path, mode);
    await expect(openAuthority({ dataDir, passphrase: null })).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining(`chmod 600 '${path}'`),
    });
    await chmod(path, 0o600);
    await openAuthority({ dataDir, passphrase: null });
  },
);

test('a passphrase seals the key, also of one that was there, and only it opens it', async () => {
  const dataDir = testFolder();
  const plain = await openAuthority({ dataDir, passphrase: null });
  expect(await readFile(authorityPath(dataDir), 'utf8')).toContain('PRIVATE KEY');
  const sealed = await openAuthority({ dataDir, passphrase: PASSPHRASE });
  expect(sealed.fingerprint).toBe(plain.fingerprint);
  const text = await readFile(authorityPath(dataDir), 'utf8');
  expect(text).not.toContain('PRIVATE KEY');
  expect((await stat(authorityPath(dataDir))).mode & 0o777).toBe(0o600);
  expect((await openAuthority({ dataDir, passphrase: PASSPHRASE })).fingerprint).toBe(
    plain.fingerprint,
  );

  const refused = async (passphrase: string | null, words: RegExp) => {
    const error: unknown = await openAuthority({ dataDir, passphrase }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'invalid_input' });
    expect(String(error)).toMatch(words);
    expect(String(error)).not.toContain(passphrase ?? PASSPHRASE);
  };
  await refused('another one of fitting length', /does not open the internal CA/);
  await refused(null, /is sealed\. Set admin\.caPassphrase/);
  await refused('0123456789abcd', /at least 15 characters/);
  expect(await readFile(authorityPath(dataDir), 'utf8')).toBe(text);
});

test('half a file, another certificate in it, and costs beyond reason are refused', async () => {
  const dataDir = testFolder();
  const [one, other] = [testFolder(), testFolder()];
  await openAuthority({ dataDir: one, passphrase: PASSPHRASE });
  await openAuthority({ dataDir: other, passphrase: PASSPHRASE });
  const text = await readFile(authorityPath(one), 'utf8');
  const foreign: unknown = JSON.parse(await readFile(authorityPath(other), 'utf8'));
  const swapped = { ...JSON.parse(text), certificate: Object(foreign).certificate };
  const dear = text.replace('"cost": 65536', '"cost": 1073741824');
  expect(dear).not.toBe(text);
  await openAuthority({ dataDir, passphrase: PASSPHRASE });
  for (const bad of [text.slice(0, -40), JSON.stringify(swapped), dear, '', '{}']) {
    await writeFile(authorityPath(dataDir), bad);
    await expect(openAuthority({ dataDir, passphrase: PASSPHRASE })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    expect(await readFile(authorityPath(dataDir), 'utf8')).toBe(bad);
  }
});

describe('clocks that differ', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ['half an hour ahead', 30, 0],
    ['two hours ahead', 120, 2],
    ['a day behind', -24 * 60, 0],
  ])('what an authority issues whose clock is %s', async (_name, minutes, code) => {
    const dataDir = testFolder();
    const authority = await openAuthority({ dataDir, passphrase: null });
    const { publicKey } = await authority.readRequest(await requestIn(dataDir));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
    const userId = newId('user');
    const { pem } = await authority.issueClient({ userId, publicKey, lifetimeMs: 30 * DAY_MS });
    vi.useRealTimers();
    const args = ['verify', '-CAfile', join(dataDir, 'ca.pem'), '-purpose', 'sslclient'];
    expect((await run('openssl', args, pem)).code).toBe(code);
  });
});
