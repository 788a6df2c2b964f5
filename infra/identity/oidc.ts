import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import type { OidcIssuer } from './issuer.ts';
import { createKeySet, KeysAway, type KeySet } from './key-set.ts';

/** Who a token says somebody is. */
export interface VerifiedToken {
  readonly issuer: OidcIssuer;
  readonly subject: string;
  /** For people; never what somebody is recognised by. */
  readonly displayName: string;
  /** Values of the claim of roles. */
  readonly roles: readonly string[];
  /** In seconds; 0 where the token does not say. */
  readonly issuedAtS: number;
}

/** Why a token is not good; for the log and the audit, never for who sent it. */
export const TOKEN_REFUSALS = [
  'not_a_token',
  'unknown_issuer',
  'expired',
  'not_yet_valid',
  'wrong_audience',
  'wrong_claims',
  'wrong_algorithm',
  'unknown_key',
  'wrong_signature',
  'keys_away',
] as const;
export type TokenRefusal = (typeof TOKEN_REFUSALS)[number];

export type TokenVerdict =
  | { readonly kind: 'verified'; readonly token: VerifiedToken }
  | { readonly kind: 'refused'; readonly reason: TokenRefusal };

export interface TokenVerifier {
  verify(token: string): Promise<TokenVerdict>;
}

const TOKEN_LENGTH_MAX = 16 * 1024;
const SUBJECT_LENGTH_MAX = 255;
const NAME_LENGTH_MAX = 100;
const ROLES_MAX = 1_000;

/** Checks tokens of the configured issuers. `now` is the wall clock, in milliseconds. */
export function createTokenVerifier(
  issuers: readonly OidcIssuer[],
  now: () => number,
): TokenVerifier {
  const known = new Map<string, { readonly issuer: OidcIssuer; readonly keys: KeySet }>(
    issuers.map((issuer) => [issuer.issuer, { issuer, keys: createKeySet(issuer, now) }]),
  );
  return {
    async verify(token) {
      const from = token.length > TOKEN_LENGTH_MAX ? null : issuerOf(token);
      if (from === null) return { kind: 'refused', reason: 'not_a_token' };
      const found = known.get(from);
      if (found === undefined) return { kind: 'refused', reason: 'unknown_issuer' };
      const { issuer, keys } = found;
      try {
        const { payload } = await jwtVerify(token, keys.get, {
          issuer: issuer.issuer,
          audience: [issuer.audience].flat(),
          algorithms: [...issuer.algorithms],
          clockTolerance: issuer.clockToleranceS,
          currentDate: new Date(now()),
          requiredClaims: ['exp'],
          ...(issuer.type === undefined ? {} : { typ: issuer.type }),
        });
        const verified = readToken(issuer, payload);
        if (verified === null) return { kind: 'refused', reason: 'wrong_claims' };
        return { kind: 'verified', token: verified };
      } catch (error) {
        return { kind: 'refused', reason: reasonOf(error) };
      }
    },
  };
}

/** Before anything is proved: only to know whose keys to look at. */
function issuerOf(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

function readToken(issuer: OidcIssuer, payload: JWTPayload): VerifiedToken | null {
  const subject = claimOf(payload, issuer.claims.subject);
  if (typeof subject !== 'string' || subject === '' || subject.length > SUBJECT_LENGTH_MAX) {
    return null;
  }
  const name = claimOf(payload, issuer.claims.name);
  const { iat } = payload;
  return {
    issuer,
    subject,
    displayName: (typeof name === 'string' ? name : '').slice(0, NAME_LENGTH_MAX).toWellFormed(),
    roles: rolesOf(claimOf(payload, issuer.claims.roles)),
    issuedAtS: iat ?? 0,
  };
}

/** A list of texts, or one text with spaces between, as `scope` has it. */
function rolesOf(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return claim.split(' ').slice(0, ROLES_MAX);
  if (!Array.isArray(claim)) return [];
  return claim.filter((each) => typeof each === 'string').slice(0, ROLES_MAX);
}

/** A claim by its whole name, else step by step: `realm_access.roles`. */
function claimOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let at: unknown = payload;
  for (const step of name.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = Object.getOwnPropertyDescriptor(at, step)?.value;
  }
  return at;
}

function reasonOf(error: unknown): TokenRefusal {
  if (error instanceof KeysAway) return 'keys_away';
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf') return 'not_yet_valid';
    return error.claim === 'aud' ? 'wrong_audience' : 'wrong_claims';
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'wrong_algorithm';
  if (error instanceof errors.JOSENotSupported) return 'wrong_algorithm';
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_key';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'unknown_key';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'wrong_signature';
  return 'not_a_token';
}
