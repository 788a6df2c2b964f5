import { RISKS } from '../../domain/approval.ts';
import { DATA_CLASSES } from '../../domain/policy.ts';

const WORDS = new Map<string, readonly string[]>([
  ['risk', RISKS],
  ['dataClass', DATA_CLASSES],
]);

/**
 * Words that a fact never is, `context.risk == "hgih"`: Cedar takes any text for one. `expression` is a part of a
 * policy's JSON.
 */
export function unknownWords(expression: unknown): string[] {
  if (typeof expression !== 'object' || expression === null) return [];
  if (Array.isArray(expression)) return expression.flatMap(unknownWords);
  return Object.entries(expression).flatMap(([operator, operand]: [string, unknown]) => [
    ...(['==', '!=', 'contains'].includes(operator) ? compared(operand) : []),
    ...unknownWords(operand),
  ]);
}

/** Of `context.risk == "x"`, `"x" == context.risk` and `["x", "y"].contains(context.risk)`. */
function compared(operand: unknown): string[] {
  const left = partOf(operand, 'left');
  const right = partOf(operand, 'right');
  const name = factOf(left) ?? factOf(right);
  const words = WORDS.get(name ?? '');
  if (words === undefined) return [];
  return [...textsOf(left), ...textsOf(right)]
    .filter((text) => !words.includes(text))
    .map(
      (text) =>
        `context.${name} is never "${text.slice(0, 40)}"; it is one of ${words.join(', ')}.`,
    );
}

function factOf(expression: unknown): string | null {
  const access = partOf(expression, '.');
  const attribute = partOf(access, 'attr');
  return partOf(partOf(access, 'left'), 'Var') === 'context' && typeof attribute === 'string'
    ? attribute
    : null;
}

function textsOf(expression: unknown): string[] {
  const value = partOf(expression, 'Value');
  if (typeof value === 'string') return [value];
  const members = partOf(expression, 'Set');
  return Array.isArray(members) ? members.flatMap(textsOf) : [];
}

/** Of Cedar's JSON, which is deep and loose. */
export function partOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, key)?.value
    : undefined;
}
