import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { parseJson } from '../../domain/json.ts';
import type { OidcIssuer } from './issuer.ts';

/** Keys are asked for again after this. */
const FRESH_MS = 10 * 60_000;
/** While the issuer cannot be reached, keys are good for so long; then nobody is recognised by them. */
const GOOD_MS = 60 * 60_000;
/** Whoever sends tokens with keys that are not there must not make us ask each time. */
const COOL_DOWN_MS = 30_000;
const TIMEOUT_MS = 5_000;
const ANSWER_BYTES_MAX = 512 * 1024;

export interface KeySet {
  /** Throws `JWKSNoMatchingKey`, or `KeysAway` where there are none that are still good. */
  readonly get: JWTVerifyGetKey;
}

export class KeysAway extends Error {
  override readonly name = 'KeysAway';
}

interface Loaded {
  readonly at: number;
  readonly find: ReturnType<typeof createLocalJWKSet>;
}

/** The keys of an issuer: by discovery, from a URL or a file, or as they are written in the configuration. */
export function createKeySet(
  { issuer, jwks }: Pick<OidcIssuer, 'issuer' | 'jwks'>,
  now: () => number,
): KeySet {
  const load = loaderOf(issuer, jwks);
  let loaded: Loaded | null = null;
  let triedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | null = null;

  /** One at a time, and not again soon: also after a failure. */
  const refresh = (): Promise<void> => {
    if (loading !== null) return loading;
    if (now() - triedAt < COOL_DOWN_MS) return Promise.resolve();
    triedAt = now();
    loading = load()
      .then((set) => {
        loaded = { at: now(), find: createLocalJWKSet(set) };
      })
      // What is there may still be good; the caller sees.
      .catch(() => undefined)
      .finally(() => {
        loading = null;
      });
    return loading;
  };
  return {
    async get(header, token) {
      if (loaded === null || now() - loaded.at >= FRESH_MS) await refresh();
      const before = current(loaded, now());
      try {
        return await before.find(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        // The issuer may have new keys.
        await refresh();
        const after = current(loaded, now());
        if (after === before) throw error;
        return after.find(header, token);
      }
    },
  };
}

function current(loaded: Loaded | null, now: number): Loaded {
  if (loaded !== null && now - loaded.at < GOOD_MS) return loaded;
  throw new KeysAway('The keys of the issuer cannot be fetched.');
}

const Jwks = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).max(1_000) });
const Discovery = z.looseObject({ issuer: z.string(), jwks_uri: z.url() });

function loaderOf(issuer: string, jwks: OidcIssuer['jwks']): () => Promise<JSONWebKeySet> {
  if (jwks === undefined) return () => discover(issuer);
  if ('url' in jwks) return () => fetchKeys(jwks.url);
  if ('file' in jwks) return async () => keysOf(parseJson(await readFile(jwks.file, 'utf8')));
  return async () => keysOf(jwks);
}

/** Public keys only: one that somebody could sign with would let everybody in who has read it. */
function keysOf(answer: unknown): JSONWebKeySet {
  const { keys } = Jwks.parse(answer);
  return { keys: keys.filter((key) => key.kty !== 'oct' && !('d' in key)) };
}

async function discover(issuer: string): Promise<JSONWebKeySet> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const found = Discovery.parse(await fetchJson(url));
  // Another issuer's document would bring another issuer's keys.
  if (found.issuer !== issuer) throw new Error('The document is of another issuer.');
  if (new URL(found.jwks_uri).protocol !== 'https:' && new URL(issuer).protocol === 'https:') {
    throw new Error('The keys are not fetched over TLS.');
  }
  return fetchKeys(found.jwks_uri);
}

async function fetchKeys(url: string): Promise<JSONWebKeySet> {
  return keysOf(await fetchJson(url));
}

async function fetchJson(url: string): Promise<unknown> {
  const answer = await fetch(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok || answer.body === null) {
    await answer.body?.cancel();
    throw new Error(`The issuer answered ${answer.status}.`);
  }
  let text = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.length > ANSWER_BYTES_MAX) throw new Error('The answer is too long.');
  }
  return parseJson(text);
}
