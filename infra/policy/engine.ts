import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { PolicyDecision, PolicyEngine, PolicyRequest } from '../../domain/policy.ts';
import type { Policy } from '../db/queries/policy.ts';
import type { Database } from '../db/schema.ts';
import { SPAN_NAMES } from '../telemetry/names.ts';
import { inSpan } from '../telemetry/trace.ts';
import { decideBuiltIn } from './built-in.ts';
import { createCedarEngine, type CedarEngine } from './cedar.ts';
import type { PolicyObserver } from './observers.ts';
import { createOpaEngine, type OpaEngine, type OpaSettings } from './opa.ts';
import { createPolicyRecorder, type RecorderSettings } from './recorder.ts';
import { refuse } from './refusal.ts';
import { createPolicyVersions } from './versions.ts';

export interface PolicyEngineDeps {
  readonly db: Kysely<Database>;
  readonly log: Logger;
  /** Absent where there is no OPA server: what a workspace would have it decide is denied then. */
  readonly opa?: OpaSettings | null;
  /** Absent where nothing is kept to try new versions on. */
  readonly records?: RecorderSettings;
  readonly observers?: readonly PolicyObserver[];
}

export interface ComposedPolicyEngine extends PolicyEngine {
  /** To try versions on; null where there is no OPA server. */
  readonly opa: OpaEngine | null;
  close(): Promise<void>;
}

/** Decides by the policy that holds in the request's workspace. Never throws: what goes wrong is denied. */
export function createPolicyEngine(deps: PolicyEngineDeps): ComposedPolicyEngine {
  const { db, log, observers = [] } = deps;
  const versions = createPolicyVersions(db);
  const engines = {
    cedar: createCedarEngine(),
    opa: deps.opa === undefined || deps.opa === null ? null : createOpaEngine(deps.opa),
  };
  const recorder =
    deps.records === undefined ? null : createPolicyRecorder({ db, log }, deps.records);

  const decide = async (request: PolicyRequest): Promise<PolicyDecision> => {
    let version = 0;
    try {
      const policy = await versions.active(request.workspaceId);
      version = policy?.version ?? 0;
      return await decideBy(engines, { policy, request });
    } catch (error) {
      log.error({ err: error, workspaceId: request.workspaceId }, 'a policy could not be read');
      return refuse('The policy could not be read.', { engine: 'built-in', version });
    }
  };
  const tell = (request: PolicyRequest, decision: PolicyDecision, tookMs: number): void => {
    try {
      recorder?.note(request, decision);
      for (const observe of observers) observe(request, decision, tookMs);
    } catch (error) {
      log.warn({ err: error }, 'an observer of policies failed');
    }
  };
  return {
    async decide(request) {
      const { workspaceId, action } = request;
      const started = performance.now();
      const span = { name: SPAN_NAMES.policyDecision(action), scope: 'rookery.policy' } as const;
      const decision = await inSpan({ ...span, facts: { workspaceId } }, async (handle) => {
        const made = await decide(request);
        handle.add({
          policyVerdict: made.verdict,
          policyRule: made.rule,
          policyVersion: made.version,
        });
        if (made.rule === 'error') handle.fail('policy_denied');
        return made;
      });
      tell(request, decision, performance.now() - started);
      return decision;
    },
    opa: engines.opa,
    async close() {
      await recorder?.close();
      await engines.opa?.close();
    },
  };
}

interface Engines {
  readonly cedar: CedarEngine;
  readonly opa: OpaEngine | null;
}

async function decideBy(
  { cedar, opa }: Engines,
  { policy, request }: { readonly policy: Policy | null; readonly request: PolicyRequest },
): Promise<PolicyDecision> {
  if (policy === null) return decideBuiltIn(request);
  const { engine, version } = policy;
  switch (engine) {
    case 'built-in':
      return { ...decideBuiltIn(request), version };
    case 'cedar':
      return cedar.decide(policy, request);
    case 'opa':
      return opa === null
        ? refuse('There is no OPA server in the configuration.', { engine, version })
        : opa.decide({ version, path: policy.text }, request);
  }
}
