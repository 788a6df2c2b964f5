import { riskOfPrompt, RISKS, ROLE_FOR_RISK, type PromptFacts, type Risk } from './approval.ts';
import type { Role } from './principal.ts';

/** One line of the table of risks. What it does not name it does not look at. */
export interface RiskRule {
  /** Of a prompt (`permission`, `trust` …), or of what is asked for: `request`, `grant`, `post`, `spawn`. */
  readonly kind?: string | undefined;
  /** Name of a tool; a `*` at the end stands for anything. */
  readonly tool?: string | undefined;
  /** A part of what would happen, wherever in it. Raises the risk only: words on a screen are no proof of harmlessness. */
  readonly contains?: string | undefined;
  readonly risk: Risk;
}

/** How what has one risk is decided. What is null is as everywhere. */
export interface RiskTerms {
  readonly role: DecidingRole;
  readonly quorum: number | null;
  readonly remindAfterMs: number | null;
  readonly escalateAfterMs: number | null;
  readonly expireAfterMs: number | null;
}

export const DECIDING_ROLES = ['operator', 'admin', 'overlord'] as const satisfies readonly Role[];
export type DecidingRole = (typeof DECIDING_ROLES)[number];

export interface RiskTable {
  readonly rules: readonly RiskRule[];
  readonly terms: Readonly<Record<Risk, RiskTerms>>;
  readonly standing: {
    /** Whether what has a high risk may be approved for ever. */
    readonly highRisk: boolean;
    readonly days: number;
    readonly daysMax: number;
  };
}

const AS_EVERYWHERE = {
  quorum: null,
  remindAfterMs: null,
  escalateAfterMs: null,
  expireAfterMs: null,
} as const;

/** What holds where nothing is configured. */
export const DEFAULT_RISKS: RiskTable = {
  rules: [],
  terms: {
    low: { role: ROLE_FOR_RISK.low, ...AS_EVERYWHERE },
    medium: { role: ROLE_FOR_RISK.medium, ...AS_EVERYWHERE },
    high: { role: ROLE_FOR_RISK.high, ...AS_EVERYWHERE },
  },
  standing: { highRisk: false, days: 90, daysMax: 365 },
};

export interface RiskFacts {
  readonly kind: string;
  readonly tool: string;
  /** The whole of what would happen. */
  readonly subject: string;
  /** What it is at least, whatever the table says: a cut payload stays high. */
  readonly floor: Risk;
  /** What it is where no line without `contains` fits. */
  readonly usual: Risk;
}

/** The first line without `contains` that fits sets the risk; each with it can only raise it; the floor holds always. */
export function riskOf({ rules }: Pick<RiskTable, 'rules'>, facts: RiskFacts): Risk {
  const fitting = rules.filter((rule) => fits(rule, facts));
  const base = fitting.find(({ contains }) => contains === undefined)?.risk ?? facts.usual;
  const raised = fitting.flatMap(({ contains, risk }) => (contains === undefined ? [] : [risk]));
  return [...raised, facts.floor].reduce(greaterRisk, base);
}

/** A prompt's own facts are its floor: no line makes a cut or unknown one, or one outside isolation, harmless. */
export function riskOfAsked(
  table: Pick<RiskTable, 'rules'>,
  prompt: PromptFacts & { readonly tool: string; readonly subject: string },
): Risk {
  const own = riskOfPrompt(prompt);
  const floor = own === 'high' ? own : 'low';
  return riskOf(table, { ...prompt, floor, usual: own });
}

export function greaterRisk(one: Risk, other: Risk): Risk {
  return RISKS.indexOf(one) >= RISKS.indexOf(other) ? one : other;
}

function fits({ kind, tool, contains }: RiskRule, facts: RiskFacts): boolean {
  if (kind !== undefined && kind !== facts.kind) return false;
  if (tool !== undefined && !isNamed(tool, facts.tool)) return false;
  return contains === undefined || facts.subject.includes(contains);
}

function isNamed(pattern: string, tool: string): boolean {
  return pattern.endsWith('*') ? tool.startsWith(pattern.slice(0, -1)) : tool === pattern;
}
