import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { TokenSignIn } from '../api/deps.ts';
import { createTokenSignIn } from '../api/middleware/oidc.ts';
import type { Config } from '../infra/config/config.ts';
import type { Database } from '../infra/db/schema.ts';
import { createTokenVerifier } from '../infra/identity/oidc.ts';

/** Whose tokens recognise people; nothing where no issuer is configured. */
export function openTokens({
  config,
  db,
  log,
}: {
  readonly config: Config;
  readonly db: Kysely<Database>;
  readonly log: Logger;
}): { readonly oidc?: TokenSignIn } {
  const { issuers } = config.oidc;
  if (issuers.length === 0) return {};
  const verifier = createTokenVerifier(issuers, () => Date.now());
  return { oidc: createTokenSignIn({ db, verifier, logger: log }) };
}
