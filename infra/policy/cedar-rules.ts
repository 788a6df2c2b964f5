import type {
  ActionConstraint,
  PolicyJson,
  PrincipalConstraint,
} from '@cedar-policy/cedar-wasm/nodejs';
import { POLICY_ACTIONS, type PolicyAction, type PolicyRule } from '../../domain/policy.ts';
import { partOf } from './cedar-literals.ts';
import { positionOf, type Statement } from './cedar-scan.ts';

const ANNOTATIONS = ['id', 'decision', 'reason', 'note'];
const RULE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What decisions are called that no policy made. */
const TAKEN_IDS = ['default', 'error'];
const REASON_LENGTH_MAX = 500;

/** What a statement says beside its conditions, and what is wrong with that. */
export function ruleOf(
  { text, start }: Statement,
  {
    policy,
    index,
    whole,
  }: { readonly policy: PolicyJson; readonly index: number; readonly whole: string },
): { readonly rule: PolicyRule; readonly mistakes: readonly string[] } {
  const annotations = policy.annotations ?? {};
  const { id = `policy-${index + 1}`, decision, reason = '' } = annotations;
  const asks = policy.effect === 'permit' && decision === 'escalate';
  const rule: PolicyRule = {
    id,
    verdict: policy.effect === 'forbid' ? 'deny' : asks ? 'ask' : 'allow',
    reason,
    start,
    end: start + text.length,
    line: positionOf(whole, start).line,
    actions: actionsOf(policy.action),
    principals: principalsOf(policy.principal),
    tool: toolOf(policy),
  };
  return { rule, mistakes: [...mistakesOf(policy, { id, reason })] };
}

function* mistakesOf(
  { effect, annotations = {} }: PolicyJson,
  { id, reason }: { readonly id: string; readonly reason: string },
): Generator<string> {
  for (const name of Object.keys(annotations)) {
    // A mistyped @decision would allow what it was to ask about.
    if (!ANNOTATIONS.includes(name)) {
      yield `There is no annotation @${name}; there are ${ANNOTATIONS.map((each) => `@${each}`).join(', ')}.`;
    }
  }
  const { decision } = annotations;
  if (decision !== undefined && decision !== 'escalate') {
    yield `@decision can only be "escalate", and is "${decision.slice(0, 40)}".`;
  }
  if (decision !== undefined && effect === 'forbid') {
    yield 'A forbid denies: @decision("escalate") belongs to a permit.';
  }
  if (!RULE_ID.test(id)) yield 'An @id is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-".';
  if (TAKEN_IDS.includes(id))
    yield `The @id "${id}" is what decisions are called that no policy made.`;
  if (reason.length > REASON_LENGTH_MAX)
    yield `A @reason has ${REASON_LENGTH_MAX} characters at most.`;
}

function actionsOf(constraint: ActionConstraint): readonly PolicyAction[] | null {
  if (constraint.op === 'All') return null;
  if ('slot' in constraint) return null;
  const entities = 'entities' in constraint ? constraint.entities : [constraint.entity];
  const ids = entities.map((entity) => ('__entity' in entity ? entity.__entity.id : entity.id));
  return POLICY_ACTIONS.filter((action) => ids.includes(action));
}

const KINDS: ReadonlyMap<string, 'user' | 'agent' | 'system'> = new Map([
  ['User', 'user'],
  ['Agent', 'agent'],
  ['System', 'system'],
]);

function principalsOf(constraint: PrincipalConstraint): PolicyRule['principals'] {
  if (constraint.op === 'is') return kindsOf(constraint.entity_type);
  if (constraint.op !== '==' || !('entity' in constraint)) return null;
  const { entity } = constraint;
  return kindsOf('__entity' in entity ? entity.__entity.type : entity.type);
}

function kindsOf(type: string): PolicyRule['principals'] {
  const kind = KINDS.get(type);
  return kind === undefined ? [] : [kind];
}

/**
 * Of `when { context.tool == "Bash" && … }`. What comes first is evaluated first, and where it is false nothing after
 * it is looked at: for another tool such a policy neither holds nor fails.
 */
function toolOf({ conditions }: PolicyJson): string | null {
  const [first] = conditions;
  if (first?.kind !== 'when') return null;
  let expression: unknown = first.body;
  for (let both = partOf(expression, '&&'); both !== undefined; both = partOf(expression, '&&')) {
    expression = partOf(both, 'left');
  }
  const equals = partOf(expression, '==');
  const fact = partOf(partOf(equals, 'left'), '.');
  const isTool =
    partOf(fact, 'attr') === 'tool' && partOf(partOf(fact, 'left'), 'Var') === 'context';
  const tool = partOf(partOf(equals, 'right'), 'Value');
  return isTool && typeof tool === 'string' ? tool : null;
}
