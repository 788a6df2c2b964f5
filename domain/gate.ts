import type { PolicyDecision, PolicyVerdict } from './policy.ts';

/** What the gate answered to one effect: kept with its approval, and audited always. */
export interface GateNote {
  readonly verdict: PolicyVerdict;
  /** What decided: the policy, or a standing approval where the policy leaves it to people. */
  readonly by: 'policy' | 'standing';
  /** The policy's rule; of a standing approval, too, the rule that left it to people. */
  readonly rule: string;
  readonly engine: PolicyDecision['engine'];
  readonly version: number;
  readonly reason: string;
  readonly standingId: string | null;
}

/** How a policy that decides is named in votes and audit. */
export function policyVoter({ rule }: Pick<GateNote, 'rule'>): string {
  return `policy:${rule}`;
}
