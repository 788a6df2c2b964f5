import type { Risk } from './approval.ts';

/** What the gate asks about. Each is an effect on the world, or a dialog that a CLI shows before one. */
export const POLICY_ACTIONS = [
  'agent.prompt',
  'agent.spawn',
  'agent.grant',
  'agent.question',
  'chat.post',
] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** Where what is asked for came from: text that strangers wrote makes everything after it suspicious. */
export const DATA_CLASSES = ['public', 'internal', 'private', 'untrusted'] as const;
export type DataClass = (typeof DATA_CLASSES)[number];

/** All that a decision may look at. Facts were loaded by the caller; an engine reads nothing else. */
export interface PolicyRequest {
  readonly workspaceId: string;
  readonly contextId: string | null;
  readonly principal: {
    readonly kind: 'user' | 'agent' | 'system';
    readonly id: string;
    /** Of the user, or of whoever the agent works for. */
    readonly role: string | null;
  };
  readonly action: PolicyAction;
  readonly resource: { readonly kind: string; readonly id: string };
  readonly risk: Risk;
  /** What it is for, in the asker's words; never trusted. */
  readonly intent: string;
  readonly dataClass: DataClass;
  /** The tool, or the program of a command; empty where there is none. */
  readonly tool: string;
  /** The whole of what would be run, said or changed. */
  readonly subject: string;
  readonly recipients: readonly string[];
  readonly isolated: boolean;
  readonly payloadComplete: boolean;
}

export type PolicyVerdict = 'allow' | 'deny' | 'ask';

export const POLICY_VERDICTS = ['allow', 'deny', 'ask'] as const satisfies readonly PolicyVerdict[];

/** What a version of a workspace's policy is read by. */
export const POLICY_ENGINES = ['built-in', 'cedar', 'opa'] as const;
export type PolicyEngineName = (typeof POLICY_ENGINES)[number];

export interface PolicyDecision {
  readonly verdict: PolicyVerdict;
  /** The rule that decided, by its name; `default` where none spoke, `error` where the engine failed. */
  readonly rule: string;
  readonly engine: PolicyEngineName;
  /** Of the workspace's policy; 0 for the built-in one. */
  readonly version: number;
  /** What the rule gives as its reason; for people. */
  readonly reason: string;
}

/** Answers one request. Never throws: what goes wrong is `deny` by the rule `error`. */
export interface PolicyEngine {
  decide(request: PolicyRequest): Promise<PolicyDecision>;
}

/** One statement of a Cedar text, as Cedar read it when it was proposed. */
export interface PolicyRule {
  /** Its `@id`, or `policy-3` for the third. */
  readonly id: string;
  readonly verdict: PolicyVerdict;
  /** Its `@reason`; empty where it gives none. */
  readonly reason: string;
  /** In characters of the text. */
  readonly start: number;
  readonly end: number;
  readonly line: number;
  /** The actions and kinds of principals that it can be about; null for all. */
  readonly actions: readonly PolicyAction[] | null;
  readonly principals: readonly PolicyRequest['principal']['kind'][] | null;
  /** The tool that its first condition begins with, so that it is about no other; null for all. */
  readonly tool: string | null;
}

/** What is wrong with a text, and where; both numbers begin at 1, and are 0 where it is about the whole. */
export interface PolicyProblem {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

/** Of a dry-run: what somebody asked for once, and what each of two versions says to it. */
export interface PolicyChange {
  readonly action: PolicyAction;
  readonly principal: string;
  readonly resource: string;
  readonly tool: string;
  readonly at: string;
  readonly before: { readonly verdict: PolicyVerdict; readonly rule: string };
  readonly after: { readonly verdict: PolicyVerdict; readonly rule: string };
}
