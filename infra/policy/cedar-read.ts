import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import { POLICY_ACTIONS, type PolicyProblem, type PolicyRule } from '../../domain/policy.ts';
import type { CedarModule } from './cedar-instance.ts';
import { unknownWords } from './cedar-literals.ts';
import { cedarRequest, SAMPLE_REQUEST } from './cedar-request.ts';
import { ruleOf } from './cedar-rules.ts';
import { CEDAR_SCHEMA } from './cedar-schema.ts';
import { characterAt, positionOf, statementsOf } from './cedar-scan.ts';

/** What 2,000 longer policies take. */
const POLICY_TEXT_BYTES_MAX = 512 * 1024;
const POLICY_RULES_MAX = 2_000;
/** Beyond that nobody reads them. */
const PROBLEMS_MAX = 50;

export interface PolicyReading {
  /** Empty where there is an error. */
  readonly rules: readonly PolicyRule[];
  readonly problems: readonly PolicyProblem[];
}

/**
 * Reads a text and checks it: syntax, then annotations, then each policy against the schema, then whether it can be
 * evaluated. A text that this instance of Cedar cannot bear makes it throw, and the instance is good for nothing then.
 */
export function readCedar(cedar: CedarModule, text: string): PolicyReading {
  if (Buffer.byteLength(text) > POLICY_TEXT_BYTES_MAX) {
    return failed(`A policy has ${POLICY_TEXT_BYTES_MAX / 1024} KiB at most.`);
  }
  const parsed = cedar.checkParsePolicySet({ staticPolicies: text });
  if (parsed.type === 'failure') {
    return { rules: [], problems: parsed.errors.flatMap((error) => problemsOf(error, text)) };
  }
  const statements = statementsOf(text);
  if (statements.length === 0) return failed('It holds no policy, and would deny everything.');
  if (statements.length > POLICY_RULES_MAX)
    return failed(`It holds more than ${POLICY_RULES_MAX} policies.`);

  const rules: PolicyRule[] = [];
  const problems: PolicyProblem[] = [];
  const ids = new Set<string>();
  for (const [index, statement] of statements.entries()) {
    const where = { severity: 'error', ...positionOf(text, statement.start) } as const;
    const json = cedar.policyToJson(statement.text);
    if (json.type === 'failure') {
      problems.push({
        ...where,
        message: 'This is no policy by itself: templates are not known here.',
      });
      continue;
    }
    const { rule, mistakes } = ruleOf(statement, { policy: json.json, index, whole: text });
    const doubled = ids.has(rule.id) ? [`There are two policies with the @id "${rule.id}".`] : [];
    ids.add(rule.id);
    for (const message of [...mistakes, ...doubled, ...unknownWords(json.json.conditions)]) {
      problems.push({ ...where, message });
    }
    rules.push(rule);
  }
  problems.push(...validate(cedar, { text, rules }));
  if (!problems.some(isError)) problems.push(...evaluate(cedar, text));
  return { rules: problems.some(isError) ? [] : rules, problems: problems.slice(0, PROBLEMS_MAX) };
}

function isError({ severity }: PolicyProblem): boolean {
  return severity === 'error';
}

function failed(message: string): PolicyReading {
  return { rules: [], problems: [{ severity: 'error', message, line: 0, column: 0 }] };
}

interface Read {
  readonly text: string;
  readonly rules: readonly PolicyRule[];
}

function validate(cedar: CedarModule, { text, rules }: Read): PolicyProblem[] {
  const answer = cedar.validate({
    schema: CEDAR_SCHEMA,
    policies: { staticPolicies: text },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') return answer.errors.flatMap((error) => problemsOf(error, text));
  // The same mistake is told once for each action and kind of principal that the policy is about.
  const told = new Map<string, PolicyProblem>();
  const tell = (policyId: string, error: DetailedError, severity: PolicyProblem['severity']) => {
    const [problem] = problemsOf(error, text);
    if (problem === undefined) return;
    const id = rules[Number(policyId.slice('policy'.length))]?.id ?? policyId;
    const message = problem.message.replace(`for policy \`${policyId}\`, `, `${id}: `);
    const key = `${problem.line}:${problem.column}:${message.replaceAll(/Action::"[^"]*"/g, '')}`;
    if (!told.has(key)) told.set(key, { ...problem, message, severity });
  };
  for (const { policyId, error } of answer.validationErrors) tell(policyId, error, 'error');
  for (const { policyId, error } of answer.validationWarnings) tell(policyId, error, 'warning');
  return [...told.values()];
}

/** A text that was read may still be too much to evaluate: better found out here than at the first decision. */
function evaluate(cedar: CedarModule, text: string): PolicyProblem[] {
  const prepared = cedar.preparsePolicySet('read', { staticPolicies: text });
  if (prepared.type === 'failure')
    return prepared.errors.flatMap((error) => problemsOf(error, text));
  for (const action of POLICY_ACTIONS) {
    for (const kind of ['user', 'agent', 'system'] as const) {
      const call = cedarRequest({
        ...SAMPLE_REQUEST,
        action,
        principal: { kind, id: 'x', role: 'operator' },
      });
      const answer = cedar.statefulIsAuthorized({ ...call, preparsedPolicySetId: 'read' });
      if (answer.type === 'failure')
        return answer.errors.flatMap((error) => problemsOf(error, text));
    }
  }
  return [];
}

function problemsOf(error: DetailedError, text: string): PolicyProblem[] {
  const [place] = error.sourceLocations ?? [];
  const at =
    place === undefined ? { line: 0, column: 0 } : positionOf(text, characterAt(text, place.start));
  const said = error.message.replace('failed to parse policies from string: ', '');
  const message = [said, place?.label, error.help].filter((part) => (part ?? '') !== '').join('; ');
  const severity = error.severity === 'warning' ? 'warning' : 'error';
  const own: PolicyProblem = { severity, message: message.slice(0, 500), ...at };
  return [own, ...(error.related ?? []).flatMap((related) => problemsOf(related, text))];
}
