import type { PolicyDecision } from '../../domain/policy.ts';

/** What is answered where an engine failed: nobody knows what it would have said, so no. */
export function refuse(
  reason: string,
  { engine, version }: Pick<PolicyDecision, 'engine' | 'version'>,
): PolicyDecision {
  return { verdict: 'deny', rule: 'error', engine, version, reason };
}
