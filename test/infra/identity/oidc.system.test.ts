import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base64url, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigSchema } from '../../../infra/config/schema.ts';
import type { OidcIssuer } from '../../../infra/identity/issuer.ts';
import { createTokenVerifier, type TokenVerifier } from '../../../infra/identity/oidc.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { AUDIENCE, startIssuer, type TestIssuer } from '../../support/oidc-issuer.ts';

checkLeaks();
const MINUTE_MS = 60_000;
let issuer: TestIssuer;
let extraMs = 0;
let verifier: TokenVerifier;

const now = (): number => Date.now() + extraMs;
const seconds = (fromNow: number): number => Math.floor(now() / 1_000) + fromNow;

function configOf(changes: Readonly<Record<string, unknown>> = {}): OidcIssuer {
  const given = { name: 'corp', issuer: issuer.issuer, audience: AUDIENCE, ...changes };
  const [config] = ConfigSchema.shape.oidc.parse({ issuers: [given] }).issuers;
  if (config === undefined) throw new Error('There is one issuer.');
  return config;
}

beforeEach(async () => {
  extraMs = 0;
  issuer = await startIssuer();
  verifier = createTokenVerifier([configOf()], now);
});
afterEach(() => issuer.stop());

async function outcome(token: string, by = verifier): Promise<string> {
  const verdict = await by.verify(token);
  return verdict.kind === 'verified' ? `verified ${verdict.token.subject}` : verdict.reason;
}

function part(value: unknown): string {
  return base64url.encode(JSON.stringify(value));
}

test('a token of the issuer says who somebody is, by keys that were found by discovery', async () => {
  expect(await outcome(await issuer.token())).toBe('verified ada');
  expect(await outcome(await issuer.token())).toBe('verified ada');
  expect(issuer.keyRequests()).toBe(1);
});

test.each([
  ['another audience', { aud: 'https://elsewhere.test' }, 'wrong_audience'],
  ['no audience', { aud: [] }, 'wrong_audience'],
  ['expired', { exp: -120 }, 'expired'],
  ['expired within the tolerance', { exp: -30 }, 'verified ada'],
  ['not valid yet', { exp: 600, nbf: 120 }, 'not_yet_valid'],
  ['of a clock that is a little ahead', { exp: 600, nbf: 30 }, 'verified ada'],
  ['without an end', {}, 'wrong_claims'],
  ['without a subject', { exp: 600, sub: '' }, 'wrong_claims'],
  ['with a number as subject', { exp: 600, sub: 7 }, 'wrong_claims'],
  ['with a subject of 300 letters', { exp: 600, sub: 'a'.repeat(300) }, 'wrong_claims'],
  [
    'for several audiences, of which we are one',
    { exp: 600, aud: ['x', AUDIENCE] },
    'verified ada',
  ],
])('a token %s: %s', async (_title, claims, expected) => {
  const given: Record<string, unknown> = { ...claims };
  for (const name of ['exp', 'nbf']) {
    const at = given[name];
    if (typeof at === 'number') given[name] = seconds(at);
  }
  if (expected === 'wrong_audience') given['exp'] = seconds(600);
  expect(await outcome(await issuer.sign(given))).toBe(expected);
});

test('a token of another issuer is refused, also one that only says that it is of this one', async () => {
  const other = await startIssuer();
  await other.rotate();
  try {
    const exp = seconds(600);
    expect(await outcome(await other.sign({ exp }))).toBe('unknown_issuer');
    const lying = await other.sign({ exp, iss: issuer.issuer }, { kid: 'key-1' });
    expect(await outcome(lying)).toBe('wrong_signature');
  } finally {
    await other.stop();
  }
});

test('a discovery document of another issuer brings no keys', async () => {
  const config = configOf({ issuer: `${issuer.issuer}/` });
  const token = await issuer.sign({ exp: seconds(600), iss: `${issuer.issuer}/` });
  expect(await outcome(token, createTokenVerifier([config], now))).toBe('keys_away');
});

test('unsigned tokens and those signed with the public key are refused', async () => {
  const claims = { iss: issuer.issuer, aud: AUDIENCE, sub: 'ada', exp: seconds(600) };
  const unsigned = `${part({ alg: 'none' })}.${part(claims)}.`;
  expect(await outcome(unsigned)).toMatch(/not_a_token|wrong_algorithm/);
  const pem = await exportSPKI(issuer.publicKey());
  for (const secret of [pem, pem.trim(), JSON.stringify(await exportJWK(issuer.publicKey()))]) {
    const head = `${part({ alg: 'HS256', kid: 'key-1' })}.${part(claims)}`;
    const mac = createHmac('sha256', secret).update(head).digest('base64url');
    expect(await outcome(`${head}.${mac}`)).toBe('wrong_algorithm');
  }
});

test('a token that was changed, cut, or is no token at all is refused', async () => {
  const token = await issuer.sign({ exp: seconds(600) });
  const [head = '', , signature = ''] = token.split('.');
  const claims = { iss: issuer.issuer, aud: AUDIENCE, sub: 'root', exp: seconds(600) };
  expect(await outcome(`${head}.${part(claims)}.${signature}`)).toBe('wrong_signature');
  for (const text of ['', 'a.b.c', token.slice(0, -10), `${token}.x`, 'x'.repeat(100)]) {
    expect(await outcome(text)).toMatch(/not_a_token|wrong_signature/);
  }
});

test('a huge token is refused before anything of it is read', async () => {
  const token = await issuer.sign({ exp: seconds(600), filler: 'x'.repeat(1_000_000) });
  expect(await outcome(token)).toBe('not_a_token');
  expect(issuer.keyRequests()).toBe(0);
});

test('unknown keys make us ask again once, and then not for a while', async () => {
  expect(await outcome(await issuer.sign({ exp: seconds(600) }))).toBe('verified ada');
  extraMs += MINUTE_MS;
  for (let round = 0; round < 20; round += 1) {
    const token = await issuer.sign({ exp: seconds(600) }, { kid: `none-${round}` });
    expect(await outcome(token)).toBe('unknown_key');
  }
  expect(issuer.keyRequests()).toBe(2);
});

test('keys that were changed are found, and the old ones are good no longer', async () => {
  const old = await issuer.sign({ exp: seconds(3_600) });
  expect(await outcome(old)).toBe('verified ada');
  await issuer.rotate();
  const young = await issuer.sign({ exp: seconds(3_600) });
  // Within the cool-down nobody asks.
  expect(await outcome(young)).toBe('unknown_key');
  extraMs += MINUTE_MS;
  expect(await outcome(young)).toBe('verified ada');
  expect(await outcome(old)).toBe('unknown_key');
});

test('while the issuer is down its keys are good for an hour', async () => {
  expect(await outcome(await issuer.sign({ exp: seconds(600) }))).toBe('verified ada');
  const sign = (): Promise<string> => issuer.sign({ exp: seconds(600) });
  await issuer.stop();
  try {
    extraMs += 59 * MINUTE_MS;
    expect(await outcome(await sign())).toBe('verified ada');
    extraMs += 2 * MINUTE_MS;
    expect(await outcome(await sign())).toBe('keys_away');
  } finally {
    // For `afterEach`, which stops one.
    issuer = await startIssuer();
  }
});

test('an issuer that never was there recognises nobody', async () => {
  const config = configOf({ issuer: 'http://127.0.0.1:1' });
  const token = await issuer.sign({ exp: seconds(600), iss: 'http://127.0.0.1:1' });
  expect(await outcome(token, createTokenVerifier([config], now))).toBe('keys_away');
});

test('keys may be in a file or in the configuration, and tokens of any shape', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rookery-oidc-'));
  try {
    const pair = await generateKeyPair('ES256', { extractable: true });
    const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'mine', alg: 'ES256' }];
    const file = join(folder, 'keys.json');
    await writeFile(file, JSON.stringify({ keys }));
    const token = await new SignJWT({
      uid: 'u-17',
      profile: { full_name: 'Ada', groups: ['ops', 7, 'dev'] },
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'mine', typ: 'at+jwt' })
      .setIssuer('our-own')
      .setAudience(AUDIENCE)
      .setExpirationTime(seconds(600))
      .setIssuedAt(seconds(0))
      .sign(pair.privateKey);
    for (const jwks of [{ file }, { keys }]) {
      const config = configOf({
        issuer: 'our-own',
        jwks,
        type: 'at+jwt',
        claims: { subject: 'uid', name: 'profile.full_name', roles: 'profile.groups' },
      });
      expect(await createTokenVerifier([config], now).verify(token)).toMatchObject({
        kind: 'verified',
        token: { subject: 'u-17', displayName: 'Ada', roles: ['ops', 'dev'] },
      });
      const strict = createTokenVerifier([{ ...config, algorithms: ['RS256'] }], now);
      expect(await outcome(token, strict)).toBe('wrong_algorithm');
      const other = createTokenVerifier([{ ...config, type: 'JWT' }], now);
      expect(await outcome(token, other)).toBe('wrong_claims');
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a configuration with a shared secret, a private key or an open address is refused', async () => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  for (const [changes, message] of [
    [{ algorithms: ['HS256'] }, /algorithms/],
    [{ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }, /public key/],
    [{ jwks: { keys: [await exportJWK(privateKey)] } }, /private key/],
    [{ issuer: 'http://login.example.com' }, /https/],
    [{ jwks: { url: 'http://login.example.com/keys' } }, /https/],
    [{ audience: [] }, /audience/],
  ] as const) {
    expect(() => configOf(changes)).toThrow(message);
  }
});
