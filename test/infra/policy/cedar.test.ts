import { expect, test } from 'vitest';
import {
  DATA_CLASSES,
  POLICY_ACTIONS,
  type PolicyDecision,
  type PolicyRequest,
} from '../../../domain/policy.ts';
import { RISKS } from '../../../domain/approval.ts';
import { ROLES } from '../../../domain/principal.ts';
import { readAside } from '../../../infra/policy/aside.ts';
import { decideBuiltIn } from '../../../infra/policy/built-in.ts';
import { createCedar } from '../../../infra/policy/cedar-instance.ts';
import { readCedar, type PolicyReading } from '../../../infra/policy/cedar-read.ts';
import { cedarRequest } from '../../../infra/policy/cedar-request.ts';
import { CEDAR_SCHEMA } from '../../../infra/policy/cedar-schema.ts';
import { createCedarEngine, type CedarVersion } from '../../../infra/policy/cedar.ts';
import { DEFAULT_CEDAR } from '../../../infra/policy/default-policy.ts';
import { aRequest } from './requests.ts';

const cedar = createCedar();
const engine = createCedarEngine();
let made = 0;

function versionOf(text: string): CedarVersion {
  const { rules, problems } = readCedar(cedar, text);
  expect(problems).toEqual([]);
  return { id: `pol_${(made += 1)}`, version: 7, text, rules };
}

function verdict(text: string, request: Partial<PolicyRequest> = {}): string {
  const decided = engine.decide(versionOf(text), aRequest(request));
  expect(decided).toMatchObject({ engine: 'cedar', version: 7 });
  return `${decided.verdict} by ${decided.rule}`;
}

const ALLOW = '@id("allow") permit (principal, action, resource);';
const ASK =
  '@id("ask") @decision("escalate") @reason("Look!") permit (principal, action, resource);';
const DENY = '@id("deny") forbid (principal, action, resource);';
const OVERFLOW =
  '@id("overflow") permit (principal, action, resource) when { 9223372036854775807 + (if context.isolated then 1 else 0) > 0 };';

test('a forbid goes before an error, that before asking, that before a permit, and silence denies', () => {
  expect(verdict(ALLOW)).toBe('allow by allow');
  expect(verdict(ALLOW + ASK)).toBe('ask by ask');
  expect(verdict(ALLOW + ASK + DENY)).toBe('deny by deny');
  expect(verdict(ALLOW + ASK + OVERFLOW)).toBe('deny by error');
  expect(verdict(OVERFLOW + DENY)).toBe('deny by deny');
  expect(verdict('permit (principal is System, action, resource);')).toBe('deny by default');
});

test('of several that say the same, the first in the text is named', () => {
  const rules = Array.from(
    { length: 30 },
    (_, index) => `@id("r${index}") permit (principal, action, resource);`,
  );
  for (let round = 0; round < 5; round += 1) expect(verdict(rules.join('\n'))).toBe('allow by r0');
});

test('a decision gives the reason of its rule, and a rule without a name is counted', () => {
  expect(engine.decide(versionOf(ASK), aRequest())).toMatchObject({ reason: 'Look!' });
  expect(
    verdict('permit (principal is User, action, resource); permit (principal, action, resource);'),
  ).toBe('allow by policy-2');
});

test.each([
  ['a command', 'when { context.tool == "Bash" && context.subject like "rm *" }', 'allow'],
  ['a better role', 'when { principal in Role::"member" }', 'allow'],
  ['a role that is too small', 'when { principal in Role::"admin" }', 'deny'],
  ['a recipient', 'when { context.recipients.contains("ops") }', 'allow'],
  ['a record', 'when { resource == Agent::"agt_1" }', 'allow'],
  ['another record', 'when { resource == Agent::"agt_2" }', 'deny'],
  ['being cut', 'unless { context.payloadComplete }', 'deny'],
  ['a semicolon in a text', 'when { context.subject != "; // \\" x;" }', 'allow'],
])('conditions see %s', (_title, condition, expected) => {
  const text = `// ; a comment\npermit (principal, action, resource) ${condition};`;
  expect(verdict(text, { recipients: ['ops', 'dev'] })).toContain(expected);
});

test('what policies are given is what the schema says, for each action and kind', () => {
  cedar.preparseSchema('facts', CEDAR_SCHEMA);
  cedar.preparsePolicySet('all', { staticPolicies: ALLOW });
  for (const action of POLICY_ACTIONS) {
    for (const kind of ['user', 'agent', 'system'] as const) {
      for (const resource of ['agent', 'spawn', 'context', 'prompt', 'nonsense']) {
        const request = aRequest({
          action,
          principal: { kind, id: 'x', role: 'admin' },
          resource: { kind: resource, id: 'y' },
          recipients: ['z'],
        });
        const answer = cedar.statefulIsAuthorized({
          ...cedarRequest(request),
          preparsedPolicySetId: 'all',
          preparsedSchemaName: 'facts',
          validateRequest: true,
        });
        expect(answer).toMatchObject({ type: 'success', response: { decision: 'allow' } });
      }
    }
  }
});

/** Every combination of what the built-in policy looks at. */
function everyRequest(): PolicyRequest[] {
  let requests: Partial<PolicyRequest>[] = [{ resource: { kind: 'context', id: 'ctx_1' } }];
  const vary = (variants: readonly Partial<PolicyRequest>[]): void => {
    requests = requests.flatMap((request) => variants.map((each) => ({ ...request, ...each })));
  };
  const kinds = ['user', 'agent', 'system'] as const;
  const roles = [...ROLES, null];
  vary(POLICY_ACTIONS.map((action) => ({ action })));
  vary(kinds.flatMap((kind) => roles.map((role) => ({ principal: { kind, id: 'x', role } }))));
  vary(DATA_CLASSES.map((dataClass) => ({ dataClass })));
  vary(RISKS.map((risk) => ({ risk })));
  vary([{ payloadComplete: true }, { payloadComplete: false }]);
  vary(['ctx_1', 'ctx_2', null].map((contextId) => ({ contextId })));
  return requests.map(aRequest);
}

function named({ verdict: said, rule }: PolicyDecision): string {
  return `${said} by ${rule === 'default' ? 'people-decide' : rule}`;
}

test('the default text decides exactly as the built-in policy does', () => {
  const version = versionOf(DEFAULT_CEDAR);
  const requests = everyRequest();
  expect(requests).toHaveLength(5 * 18 * 4 * 3 * 2 * 3);
  const different = requests.filter(
    (request) => named(engine.decide(version, request)) !== named(decideBuiltIn(request)),
  );
  expect(different).toEqual([]);
});

function told(reading: PolicyReading): string {
  expect(reading.rules).toEqual([]);
  return reading.problems
    .map(({ severity, line, column, message }) => `${severity} ${line}:${column} ${message}`)
    .join('\n');
}

test.each([
  ['nothing', '// nothing\n', /error 0:0 It holds no policy/],
  ['bad syntax', 'permit (principal, action, resource)\nwhen { tööl = 1 };', /error 2:/],
  ['a position after letters of several bytes', '// äöü €\n/* */ forbid();', /error 2:/],
  [
    'an unknown fact',
    'permit (principal, action, resource)\nwhen { context.rsk == "high" };',
    /error 2:8 .*rsk.*did you mean `risk`/,
  ],
  [
    'an unknown action',
    'permit (principal, action == Action::"chat.pst", resource);',
    /error 1:.*chat\.pst/,
  ],
  ['an unknown role', 'permit (principal in Role::"boss", action, resource);', /error 1:.*boss/],
  ['an unknown kind', 'permit (principal is Robot, action, resource);', /error 1:.*Robot/],
  [
    'a wrong type',
    'permit (principal, action, resource) when { context.isolated == 1 };',
    /error 1:/,
  ],
  [
    'a word that no risk is',
    'forbid (principal, action, resource) when { context.risk == "hgih" };',
    /never "hgih"/,
  ],
  [
    'such a word in a set',
    'forbid (principal, action, resource) when { ["low", "midle"].contains(context.risk) };',
    /never "midle"/,
  ],
  [
    'a mistyped annotation',
    '@desision("escalate") permit (principal, action, resource);',
    /no annotation @desision/,
  ],
  [
    'an unknown decision',
    '@decision("maybe") permit (principal, action, resource);',
    /can only be "escalate"/,
  ],
  [
    'a forbid that asks',
    '@decision("escalate") forbid (principal, action, resource);',
    /belongs to a permit/,
  ],
  [
    'the same name twice',
    '@id("a") permit (principal, action, resource);\n@id("a") forbid (principal, action, resource);',
    /error 2:1 There are two/,
  ],
  [
    'a name that means something else',
    '@id("error") permit (principal, action, resource);',
    /what decisions are called/,
  ],
  ['a template', 'permit (principal == ?principal, action, resource);', /includes a template/],
])('%s is told with its place', (_title, text, expected) => {
  expect(told(readCedar(cedar, text))).toMatch(expected);
});

test('one mistake is told once, however many actions it is about', () => {
  const text = 'permit (principal, action, resource) when { context.nothing };';
  expect(readCedar(cedar, text).problems).toHaveLength(1);
});

test('a policy that can never apply is told and kept', () => {
  const text = `${ALLOW} permit (principal == Spawn::"x", action, resource);`;
  const { rules, problems } = readCedar(cedar, text);
  expect(rules).toHaveLength(2);
  expect(problems[0]).toMatchObject({ severity: 'warning', line: 1 });
});

test('a text that breaks Cedar is refused, and breaks nothing here', async () => {
  const nested = `permit (principal, action, resource) when { ${'!('.repeat(3_000)}true${')'.repeat(3_000)} };`;
  expect(told(await readAside(nested))).toContain('nested too deeply');
  const chain = `permit (principal, action, resource) when { ${'context.isolated || '.repeat(4_000)} true };`;
  expect(told(await readAside(chain))).toContain('nested too deeply');
  expect(await readAside(ALLOW)).toMatchObject({ problems: [], rules: [{ id: 'allow', line: 1 }] });
});

test('a text that takes too long is refused', async () => {
  expect(told(await readAside(ALLOW, 1))).toContain('too large');
});

test('a version that breaks Cedar denies by error, and the others go on', () => {
  const text = `permit (principal, action, resource) when { ${'!('.repeat(3_000)}true${')'.repeat(3_000)} };`;
  const [rule] = readCedar(cedar, ALLOW).rules;
  if (rule === undefined) throw new Error('There is a rule.');
  const bad = { id: 'bad', version: 1, text, rules: [{ ...rule, start: 0, end: text.length }] };
  const other = createCedarEngine();
  const good = versionOf(ALLOW);
  for (let round = 0; round < 3; round += 1) {
    expect(other.decide(good, aRequest()).verdict).toBe('allow');
    expect(other.decide(bad, aRequest())).toMatchObject({ verdict: 'deny', rule: 'error' });
  }
});

test.each([
  ['half of a surrogate pair', { subject: 'x \ud800', intent: '\udfff', tool: '\ud800' }],
  ['such an id', { principal: { kind: 'agent', id: '\ud800', role: 'nobody' } }],
  ['such a recipient', { recipients: ['\ud800'] }],
  ['U+0000', { subject: '\u0000', tool: '\u0000' }],
  ['a very long text', { subject: 'x'.repeat(5_000_000) }],
  ['very many recipients', { recipients: Array.from({ length: 20_000 }, (_, at) => `r${at}`) }],
] satisfies [string, Partial<PolicyRequest>][])(
  'a request with %s is decided like others',
  (_title, request) => {
    const text = `@id("some") permit (principal, action, resource)
when { context.subject like "*x*" || context.recipients.contains("a") || context.intent != "no" || context.tool != "no" };`;
    expect(verdict(text, request)).toBe('allow by some');
  },
);

test('a request that Cedar cannot bear takes no policy out of use', () => {
  const version = versionOf(ALLOW);
  // Types keep such a one away; what goes round them must not do more harm than to itself.
  const bad = {
    ...aRequest(),
    get risk(): never {
      throw new Error('no such fact');
    },
  };
  const text =
    '@id("risky") permit (principal, action, resource) when { context.risk == "medium" };';
  const risky = versionOf(text);
  expect(engine.decide(risky, bad)).toMatchObject({ verdict: 'deny', rule: 'error' });
  expect(engine.decide(risky, aRequest()).rule).toBe('risky');
  expect(engine.decide(version, aRequest()).rule).toBe('allow');
});

test('versions that make room for others decide as before when they are asked again', () => {
  const small = createCedarEngine({ readyMax: 2 });
  const versions = [ALLOW, ASK, DENY].map(versionOf);
  for (let round = 0; round < 4; round += 1) {
    const verdicts = versions.map((version) => small.decide(version, aRequest()).verdict);
    expect(verdicts).toEqual(['allow', 'ask', 'deny']);
  }
});

test('a policy that begins with a tool is given to no other, and nothing changes by that', () => {
  const text = `
@id("bash") permit (principal, action, resource) when { context.tool == "Bash" && context.isolated };
@id("fails") permit (principal, action, resource) when { context.tool == "Over" && 9223372036854775807 + 1 > 0 };
@id("late") permit (principal, action, resource) when { 9223372036854775807 + 1 > 0 && context.tool == "Late" };
@id("either") forbid (principal, action, resource) when { context.tool == "Read" || context.risk == "high" };
@id("unless") permit (principal, action, resource) unless { context.tool == "Bash" };
@id("order") permit (principal, action, resource) when { "Swap" == context.tool };`;
  const { rules } = readCedar(cedar, text);
  expect(rules.map(({ tool }) => tool)).toEqual(['Bash', 'Over', null, null, null, null]);
  cedar.preparsePolicySet('whole', { staticPolicies: text });
  for (const tool of ['Bash', 'Over', 'Late', 'Read', 'Swap', 'other', '']) {
    for (const risk of RISKS) {
      const request = aRequest({ tool, risk });
      const call = { ...cedarRequest(request), preparsedPolicySetId: 'whole' };
      const whole = cedar.statefulIsAuthorized(call);
      const failed = whole.type === 'success' && whole.response.diagnostics.errors.length > 0;
      const decided = engine.decide({ id: 'tools', version: 1, text, rules }, request);
      const isForbidden = risk === 'high' || tool === 'Read';
      expect({ tool, failed, rule: decided.rule }).toEqual({
        tool,
        failed: true,
        rule: isForbidden ? 'either' : 'error',
      });
    }
  }
});

test.each([
  ['when { context["subj\\u{65}ct"] like "rm *" }', 'allow'],
  ['unless { context has "subj\\u{65}ct" }', 'deny'],
  ['when { context["\\x73ubject"] like "rm *" }', 'allow'],
])('a fact whose name an escape hides is there: %s', (condition, expected) => {
  const text = `@id("sly") permit (principal, action, resource) ${condition};`;
  const { rules } = readCedar(cedar, text);
  const decided = engine.decide({ id: text, version: 1, text, rules }, aRequest());
  expect(decided.verdict).toBe(expected);
});

test('a thousand policies are read and decide', async () => {
  const text = Array.from(
    { length: 1_000 },
    (_, index) =>
      `@id("r${index}") permit (principal, action, resource) when { context.tool == "t${index}" };`,
  ).join('\n');
  const { rules, problems } = await readAside(text);
  expect(problems).toEqual([]);
  const version = { id: 'thousand', version: 1, text, rules };
  expect(engine.decide(version, aRequest({ tool: 't999' }))).toMatchObject({ rule: 'r999' });
  expect(engine.decide(version, aRequest({ tool: 'none' }))).toMatchObject({ verdict: 'deny' });
});

test('a text above the bound is refused unread', () => {
  expect(told(readCedar(cedar, '/'.repeat(600 * 1024)))).toContain('512 KiB');
});
