import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRequest } from '../../../infra/ca/request.ts';
import { makeCsr, makeKeyPem, openssl, type KeyKind } from '../../support/openssl.ts';
import { testFolder } from '../../support/folder.ts';

async function csrOf(kind: KeyKind, more: readonly string[] = []): Promise<string> {
  const keyFile = join(testFolder(), 'client.key');
  await writeFile(keyFile, await makeKeyPem(kind));
  return makeCsr(keyFile, more);
}

test.each(['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const)(
  'a request of openssl for %s is taken',
  async (kind) => {
    const csr = await csrOf(kind);
    const { publicKey, publicKeyHash } = await readRequest(csr);
    const pem = await openssl(['req', '-noout', '-pubkey'], csr);
    expect(publicKey.toString('base64')).toBe(pem.replaceAll(/-----[^-]+-----|\s/g, ''));
    expect(publicKeyHash).toMatch(/^[0-9a-f]{64}$/);
  },
);

test.each(['P-521', 'RSA-1024'] as const)('a key of %s is refused', async (kind) => {
  await expect(readRequest(await csrOf(kind))).rejects.toMatchObject({
    code: 'invalid_input',
    message: expect.stringContaining('P-256'),
  });
});

test('SHA-1 is refused', async () => {
  await expect(readRequest(await csrOf('RSA-2048', ['-sha1']))).rejects.toMatchObject({
    code: 'invalid_input',
  });
});

test("somebody else's key in a request is refused, since its sender does not have it", async () => {
  const der = Buffer.from((await csrOf('P-256')).replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const theirs = await csrOf('P-256');
  const their = Buffer.from(theirs.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  // Both are of one form: the key lies behind the same bytes.
  const mark = Buffer.from('03420004', 'hex');
  const [at, from] = [der.indexOf(mark), their.indexOf(mark)];
  expect(at).toBeGreaterThan(0);
  their.copy(der, at, from, from + 68);
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  await expect(readRequest(forged)).rejects.toMatchObject({
    message: expect.stringContaining('signature'),
  });
});

test.each([
  ['nothing', ''],
  ['words', 'please'],
  ['a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'],
  ['no DER', '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----'],
  ['a book', 'x'.repeat(9_000)],
])('%s is no request', async (_name, text) => {
  await expect(readRequest(text)).rejects.toMatchObject({
    code: 'invalid_input',
    message: expect.stringContaining('`csr` is not taken'),
  });
});

test('two requests in one are refused', async () => {
  const two = (await csrOf('P-256')) + (await csrOf('P-256'));
  await expect(readRequest(two)).rejects.toMatchObject({ code: 'invalid_input' });
});
