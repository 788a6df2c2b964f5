import { ruleOf, type Action, type ActionRule } from './action.ts';
import { ANYWHERE, authorize, counts, type Place } from './authorize.ts';
import {
  covers,
  type Role,
  type RoleBinding,
  type Scope,
  type UserPrincipal,
} from './principal.ts';

/** One role that somebody has, and what it did for the decision. */
export interface ExplainedBinding extends RoleBinding {
  /** Whether it holds at the place. */
  readonly reaches: boolean;
  /** Whether it would be enough, if it held there. */
  readonly covers: boolean;
  readonly why: string;
}

/** Why somebody may do something, or why not. */
export interface Explanation {
  readonly action: Action;
  readonly decision: 'allow' | 'deny';
  /** As the access log and the audit have it. */
  readonly rule: string;
  readonly message: string;
  readonly needs: { readonly role: Role; readonly scope: Scope };
  /** The best role that holds there. */
  readonly role: Role | null;
  readonly hasScope: boolean;
  readonly bindings: readonly ExplainedBinding[];
  /** What would change the answer; empty where it is yes. */
  readonly missing: readonly string[];
}

type Asking = Pick<UserPrincipal, 'bindings' | 'scopes' | 'via'>;

/** The same decision as `authorize`, with all that it was made from. Pure. */
export function explain(who: Asking, action: Action, place: Place | typeof ANYWHERE): Explanation {
  const rule = ruleOf(action);
  const { role: needed, scope } = rule;
  const decision = authorize(who, action, place);
  const bindings = who.bindings.map((binding) => explainBinding(binding, rule, place));
  const reaching = bindings.filter((binding) => binding.reaches);
  const role = reaching.reduce<Role | null>(
    (best, binding) => (best === null || covers(binding.role, best) ? binding.role : best),
    null,
  );
  const hasScope = who.scopes.includes(scope);
  const isCovered = role !== null && covers(role, needed);
  return {
    action,
    decision: decision.kind,
    rule: decision.rule,
    message: decision.kind === 'deny' ? decision.message : `Allowed as ${decision.role}.`,
    needs: { role: needed, scope },
    role,
    hasScope,
    bindings,
    missing: [
      ...(isCovered ? [] : [`the role ${needed} or more ${whereOf(place)}`]),
      ...(hasScope ? [] : [scopeWords(who, scope)]),
    ],
  };
}

function explainBinding(
  { role, place: bound }: RoleBinding,
  rule: ActionRule,
  place: Place | typeof ANYWHERE,
): ExplainedBinding {
  const binding = { role, place: bound };
  const holds = counts(binding, rule, place);
  const isEnough = covers(role, rule.role);
  const why = holds ? levelWords(role, rule.role) : distanceWords(binding, place);
  return { ...binding, reaches: holds, covers: isEnough, why };
}

function levelWords(role: Role, needed: Role): string {
  return covers(role, needed)
    ? `holds there, and ${role} covers ${needed}`
    : `holds there, but ${role} is below ${needed}`;
}

function distanceWords({ place: bound }: RoleBinding, place: Place | typeof ANYWHERE): string {
  if (place === ANYWHERE)
    return `is for one ${bound.kind} only, and this asks for a whole workspace`;
  if (bound.kind === 'installation') {
    return 'holds everywhere but in private workspaces, which only an overlord and the owner see';
  }
  if (place.workspaceId === null) return 'holds in one workspace, and this is of the installation';
  if (bound.workspaceId !== place.workspaceId) return 'holds in another workspace';
  if (bound.kind === 'context') {
    return place.contextId == null
      ? 'holds in one context, and this is of the whole workspace'
      : 'holds in another context';
  }
  return `is for one ${bound.kind} only`;
}

function whereOf(place: Place | typeof ANYWHERE): string {
  if (place === ANYWHERE) return 'in a whole workspace';
  if (place.workspaceId === null) return 'in the whole installation';
  if (place.contextId == null) return `in ${place.workspaceId}`;
  return `in ${place.workspaceId}, or in its context ${place.contextId}`;
}

function scopeWords({ via }: Asking, scope: Scope): string {
  if (via === 'api_key') return `a key with the scope ${scope}`;
  return `to ask otherwise than by ${via}: the scope ${scope} is not given there`;
}
