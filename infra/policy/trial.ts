import { AppError } from '../../domain/error.ts';
import type {
  PolicyChange,
  PolicyDecision,
  PolicyRequest,
  PolicyVerdict,
} from '../../domain/policy.ts';
import type { Policy, RecordedRequest } from '../db/queries/policy.ts';
import { decideAside } from './aside.ts';
import { decideBuiltIn } from './built-in.ts';
import type { OpaEngine } from './opa.ts';
import { refuse } from './refusal.ts';

/** An OPA server has other work than our trials. */
const OPA_AT_ONCE = 8;
/** Beyond that nobody reads them; the counts are whole. */
const CHANGES_MAX = 100;

/** What a version says to each request. Nobody is told, and nothing is kept. */
export async function decideAll(
  { policy, opa }: { readonly policy: Policy | null; readonly opa: OpaEngine | null },
  requests: readonly PolicyRequest[],
): Promise<readonly PolicyDecision[]> {
  if (policy === null) return requests.map(decideBuiltIn);
  const { engine, version } = policy;
  switch (engine) {
    case 'built-in':
      return requests.map((request) => ({ ...decideBuiltIn(request), version }));
    case 'cedar': {
      const decided = await decideAside(policy, requests);
      if (decided !== null) return decided;
      throw new AppError(
        'internal',
        'The policy could not be tried in time. Try it on fewer requests.',
      );
    }
    case 'opa': {
      if (opa === null) {
        const made = { engine, version } as const;
        return requests.map(() => refuse('There is no OPA server in the configuration.', made));
      }
      const decisions: PolicyDecision[] = [];
      for (let at = 0; at < requests.length; at += OPA_AT_ONCE) {
        const some = requests.slice(at, at + OPA_AT_ONCE);
        const path = policy.text;
        decisions.push(
          ...(await Promise.all(some.map((each) => opa.decide({ version, path }, each)))),
        );
      }
      return decisions;
    }
  }
}

export interface DryRun {
  readonly requests: number;
  readonly unchanged: number;
  readonly unknown: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly changes: readonly PolicyChange[];
}

/** What would be answered otherwise, if one version took the place of another. */
export async function dryRun(
  {
    before,
    after,
    opa,
  }: { readonly before: Policy | null; readonly after: Policy; readonly opa: OpaEngine | null },
  recorded: readonly RecordedRequest[],
): Promise<DryRun> {
  // What was kept without its text cannot be judged by a policy that looks at texts.
  const looksAtText = [before, after].some((policy) => policy !== null && readsText(policy));
  const judged = recorded.filter(({ hasText }) => hasText || !looksAtText);
  const requests = judged.map(({ request }) => request);
  const [old, young] = await Promise.all([
    decideAll({ policy: before, opa }, requests),
    decideAll({ policy: after, opa }, requests),
  ]);
  const counts: Record<string, number> = {};
  const changes: PolicyChange[] = [];
  for (const [index, { request, at }] of judged.entries()) {
    const [was, is] = [old[index], young[index]];
    if (was === undefined || is === undefined || was.verdict === is.verdict) continue;
    const name = changeName(was.verdict, is.verdict);
    counts[name] = (counts[name] ?? 0) + 1;
    if (changes.length < CHANGES_MAX) changes.push(changeOf(request, { at, was, is }));
  }
  const changed = Object.values(counts).reduce((sum, each) => sum + each, 0);
  return {
    requests: recorded.length,
    unchanged: judged.length - changed,
    unknown: recorded.length - judged.length,
    counts,
    changes,
  };
}

function changeName(before: PolicyVerdict, after: PolicyVerdict): string {
  return `${before}→${after}`;
}

/** The built-in policy reads none; what OPA's do is not known here. */
function readsText({ engine, text }: Policy): boolean {
  if (engine === 'built-in') return false;
  return engine === 'opa' || /\b(?:subject|intent)\b/.test(text);
}

function changeOf(
  { action, principal, resource, tool }: PolicyRequest,
  { at, was, is }: { readonly at: Date; readonly was: PolicyDecision; readonly is: PolicyDecision },
): PolicyChange {
  return {
    action,
    principal: `${principal.kind}:${principal.id}`,
    resource: `${resource.kind}:${resource.id}`,
    tool,
    at: at.toISOString(),
    before: { verdict: was.verdict, rule: was.rule },
    after: { verdict: is.verdict, rule: is.rule },
  };
}
