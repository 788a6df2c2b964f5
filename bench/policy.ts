import { createCedar, type CedarModule } from '../infra/policy/cedar-instance.ts';
import { readCedar } from '../infra/policy/cedar-read.ts';
import { cedarRequest } from '../infra/policy/cedar-request.ts';
import { createCedarEngine, type CedarVersion } from '../infra/policy/cedar.ts';
import { POLICY_ACTIONS, type PolicyRequest } from '../domain/policy.ts';
import type { BenchResult } from './result.ts';
import { median, percentile } from './result.ts';

const POLICIES = 200;
const WARM_UP = 500;
const ROUNDS = 7;
const PER_ROUND = 1_000;

const REQUEST: PolicyRequest = {
  workspaceId: 'wsp_bench',
  contextId: null,
  principal: { kind: 'agent', id: 'agt_bench', role: 'operator' },
  action: 'agent.prompt',
  resource: { kind: 'prompt', id: 'prm_bench' },
  risk: 'medium',
  intent: 'Tidy the build folder',
  dataClass: 'internal',
  tool: 'Bash',
  subject: 'rm -rf build && npm run build',
  recipients: [],
  isolated: true,
  payloadComplete: true,
};

/** 200 policies, as evenly over the actions as they come; half of them are about one tool, and the last of them asks. */
function policies(): CedarVersion {
  const texts = Array.from({ length: POLICIES }, (_, index) => {
    const action = POLICY_ACTIONS[index % POLICY_ACTIONS.length] ?? 'agent.prompt';
    const head = `@id("rule-${index}") @reason("Rule ${index}.")`;
    const tool = index % 2 === 0 ? `context.tool == "tool-${index}" && ` : '';
    return index === POLICIES - 1
      ? `@id("ask") @decision("escalate") permit (principal, action, resource);`
      : `${head} permit (principal in Role::"operator", action == Action::"${action}", resource)
when { ${tool}context.subject like "*part ${index}*" };`;
  });
  const text = texts.join('\n');
  const { rules, problems } = readCedar(createCedar(), text);
  if (problems.length > 0) throw new Error(`The policies are not good: ${problems[0]?.message}`);
  return { id: 'pol_bench', version: 1, text, rules };
}

/** A decision beside the bare call of Cedar with all of the policies, and with those that the decision is given. */
export function benchPolicy(): Promise<readonly BenchResult[]> {
  const version = policies();
  const engine = createCedarEngine();
  const bare = createCedar();
  bare.preparsePolicySet('all', { staticPolicies: version.text });
  const slice = version.rules
    .filter(({ actions }) => actions?.includes(REQUEST.action) ?? true)
    .map(({ start, end }) => version.text.slice(start, end));
  bare.preparsePolicySet('slice', { staticPolicies: slice.join('\n') });
  const ours = (): void => {
    const { rule } = engine.decide(version, REQUEST);
    if (rule !== 'ask') throw new Error(`It was decided by ${rule}.`);
  };
  const calls = { ours, all: callOf(bare, 'all'), slice: callOf(bare, 'slice') };
  for (let index = 0; index < WARM_UP; index += 1) for (const call of Object.values(calls)) call();
  const took = { ours: [] as number[], all: [] as number[], slice: [] as number[] };
  const cpuMicros = { ours: [] as number[], all: [] as number[], slice: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ['ours', 'all', 'slice'] as const) {
      const before = process.cpuUsage();
      took[name].push(...timesOf(calls[name]));
      const { user, system } = process.cpuUsage(before);
      // By the time of the core and not by the clock: others may be using it.
      cpuMicros[name].push((user + system) / PER_ROUND);
    }
  }
  const p50 = percentile(took.ours, 50);
  const perSecond = Math.round(1_000_000 / median(cpuMicros.ours));
  const rawPerSecond = Math.round(1_000_000 / median(cpuMicros.all));
  return Promise.resolve([
    {
      name: `a decision by ${POLICIES} policies, beside Cedar with all of them`,
      unit: 'ms',
      ours: p50,
      raw: median(took.all),
      ratio: p50 / median(took.all),
      goal: 'p50 ≤ 0.1 ms',
      pass: p50 <= 0.1,
      details: {
        'Cedar with the policies of the action alone': median(took.slice),
        'p99 of ours': percentile(took.ours, 99),
      },
    },
    {
      name: `decisions on one core by ${POLICIES} policies`,
      unit: 'decisions/s',
      ours: perSecond,
      raw: rawPerSecond,
      ratio: perSecond / rawPerSecond,
      goal: '≥ 10000/s',
      pass: perSecond >= 10_000,
    },
  ]);
}

/** The least that one could do by hand: the request is made once. */
function callOf(cedar: CedarModule, name: string): () => void {
  const request = { ...cedarRequest(REQUEST), preparsedPolicySetId: name };
  return () => {
    const answer = cedar.statefulIsAuthorized(request);
    if (answer.type === 'failure') throw new Error('Cedar failed.');
  };
}

function timesOf(call: () => void): number[] {
  return Array.from({ length: PER_ROUND }, () => {
    const started = performance.now();
    call();
    return performance.now() - started;
  });
}
