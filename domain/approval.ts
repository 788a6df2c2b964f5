import type { OptionEffect, PromptKind } from './prompt.ts';
import type { Role } from './principal.ts';

export const RISKS = ['low', 'medium', 'high'] as const;
export type Risk = (typeof RISKS)[number];

export const APPROVAL_STATES = ['open', 'granted', 'refused', 'expired', 'voided'] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

export type Verdict = 'grant' | 'refuse';

/** AR-9: who may decide. */
export const ROLE_FOR_RISK = {
  low: 'operator',
  medium: 'operator',
  high: 'admin',
} as const satisfies Record<Risk, Role>;

/** The answer of `decideApproval`, an expected outcome and never an exception. */
export type DecisionOutcome =
  | { readonly kind: 'decided'; readonly state: 'granted' | 'refused' }
  | { readonly kind: 'counted'; readonly votes: number; readonly quorum: number }
  | { readonly kind: 'already'; readonly state: Exclude<ApprovalState, 'open'> }
  | { readonly kind: 'rejected'; readonly reason: string };

export interface PromptFacts {
  readonly kind: PromptKind;
  readonly payloadComplete: boolean;
  readonly chosenEffect: OptionEffect;
  readonly isolated: boolean;
}

/** A cut payload, a widening choice, an unknown dialog and a session outside isolation are each a reason for an admin. */
export function riskOfPrompt(facts: PromptFacts): Risk {
  if (facts.chosenEffect === 'widen') return 'high';
  if (!facts.payloadComplete || facts.kind === 'unknown' || !facts.isolated) return 'high';
  return 'medium';
}

/** Whoever reaches Temporal's own Web UI, which asks nobody who he is. */
export const TEMPORAL_UI = 'temporal-ui';

/**
 * Who decides: a person, or the gate by itself where a policy says so or people approved the very same for ever. The
 * Temporal Web UI does where configuration trusts whoever gets there, and never what has a high risk.
 */
export const DECIDER_KINDS = ['user', TEMPORAL_UI, 'policy', 'standing'] as const;
export type DeciderKind = (typeof DECIDER_KINDS)[number];

/** Its vote decides alone: quorums count people. */
export function isGateVote({ principalKind }: Pick<Decision, 'principalKind'>): boolean {
  return principalKind === 'policy' || principalKind === 'standing';
}

/** What was decided, as whoever signs decisions wrote it down after a person was authenticated, or the gate asked. */
export interface Decision {
  readonly approvalId: string;
  /** SHA-256 of the canonical payload, as the person saw it. */
  readonly digest: string;
  readonly verdict: Verdict;
  /** An option other than the rule's own allow-once or deny; needs the role for high risk. */
  readonly optionLabel: string | null;
  readonly note: string | null;
  readonly principalKind: DeciderKind;
  /** Of a user or a key; of a standing approval; `policy:` and the name of a rule. */
  readonly principalId: string;
  readonly issuedAtMs: number;
  /** Random, single use. */
  readonly nonce: string;
  /** The standing approval that this vote makes beside granting this one request. */
  readonly standingId?: string;
}

/** A decision that proves itself: whoever can reach Temporal can send a message, but only the API can sign one. */
export interface SignedDecision extends Decision {
  /** HMAC-SHA256, hex, over the canonical text of the decision. */
  readonly mac: string;
}

/** How long a signed decision is good, by the database's clock. */
export const DECISION_TTL_MS = 60_000;
