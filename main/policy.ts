import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import type { Config } from '../infra/config/config.ts';
import type { Database } from '../infra/db/schema.ts';
import { createPolicyEngine, type ComposedPolicyEngine } from '../infra/policy/engine.ts';
import { createPolicyMetrics } from '../infra/policy/observers.ts';
import type { OpaSettings } from '../infra/policy/opa.ts';
import type { Secrets } from './secrets.ts';

/** Decisions of this process, whichever of its parts asked for them. */
export const policyMetrics = new Registry();
const countDecision = createPolicyMetrics(policyMetrics);

export interface PolicyParts {
  readonly config: Config;
  readonly db: Kysely<Database>;
  readonly secrets: Pick<Secrets, 'resolveOwn'>;
  readonly log: Logger;
}

/** The policies of all workspaces. Whoever opens it closes it. */
export function openPolicy({ config, db, secrets, log }: PolicyParts): ComposedPolicyEngine {
  const { recordedRequests: keep, recordedText: text } = config.policy;
  return createPolicyEngine({
    db,
    log,
    opa: opaOf(config.policy.opa, secrets),
    records: { keep, text },
    observers: [countDecision],
  });
}

function opaOf(
  { url, path, timeoutMs, token }: Config['policy']['opa'],
  secrets: PolicyParts['secrets'],
): OpaSettings | null {
  if (url === null) return null;
  return {
    url,
    path,
    timeoutMs,
    token: token === null ? null : () => secrets.resolveOwn(token),
  };
}
