import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { UserPrincipal } from '../../domain/principal.ts';
import { findIdentity, type Identity } from '../../infra/db/queries/identity.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import type { Database } from '../../infra/db/schema.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { provision, syncRoles } from '../../infra/identity/provision.ts';
import type { TokenVerifier, VerifiedToken } from '../../infra/identity/oidc.ts';
import type { TokenSignIn } from '../deps.ts';
import { principalOfUser } from './auth.ts';

export interface OidcDeps {
  readonly db: Kysely<Database>;
  readonly verifier: TokenVerifier;
  readonly logger: Pick<Logger, 'info'>;
}

/** Tokens whose roles were taken lately; a token says the same each time it is shown. */
const SYNCED_MAX = 10_000;

/** Recognises people by the tokens of the configured issuers. */
export function createTokenSignIn(deps: OidcDeps): TokenSignIn {
  const synced = new Set<string>();
  return {
    authenticate: (token) => authenticateOidc(deps, token, synced),
  };
}

/**
 * The user whose token this is; null where it is not good, or is of nobody we know. Who it is was decided by a person
 * who linked him, or by the configuration; a name or an address in a token decides nothing.
 */
async function authenticateOidc(
  deps: OidcDeps,
  token: string,
  synced: Set<string> = new Set(),
): Promise<UserPrincipal | null> {
  const verdict = await deps.verifier.verify(token);
  if (verdict.kind === 'refused') {
    // Nothing of the token itself: who reads the log must not be let in by it.
    deps.logger.info({ reason: verdict.reason }, 'a token was refused');
    return null;
  }
  const identity = await identityOf(deps, verdict.token);
  if (identity === null) {
    const { name } = verdict.token.issuer;
    deps.logger.info({ issuer: name, reason: 'not_linked' }, 'a token was refused');
    return null;
  }
  // A disabled user is nobody, and his roles stay as they are.
  if ((await findLiveUser(deps.db, identity.userId)) === null) return null;
  await takeRoles(deps, { token, verified: verdict.token, identity }, synced);
  const user = await findLiveUser(deps.db, identity.userId);
  return user === null ? null : principalOfUser(user, 'oidc');
}

async function identityOf({ db }: OidcDeps, token: VerifiedToken): Promise<Identity | null> {
  const { subject } = token;
  const { issuer, autoProvision } = token.issuer;
  const known = await findIdentity(db, { kind: 'oidc', issuer, subject });
  return known === null && autoProvision ? provision(db, token) : known;
}

interface Shown {
  readonly token: string;
  readonly verified: VerifiedToken;
  readonly identity: Identity;
}

async function takeRoles(
  { db }: OidcDeps,
  { token, verified, identity }: Shown,
  synced: Set<string>,
): Promise<void> {
  if (verified.issuer.roles.length === 0) return;
  const name = sha256Hex(token);
  if (synced.has(name)) return;
  await syncRoles(db, { token: verified, identity });
  if (synced.size >= SYNCED_MAX) synced.clear();
  synced.add(name);
}
