import type { PolicyDecision, PolicyRequest, PolicyRule } from '../../domain/policy.ts';
import { createCedar, type CedarModule } from './cedar-instance.ts';
import { cedarRequest } from './cedar-request.ts';
import { refuse } from './refusal.ts';

/** A version that was read and found good. */
export interface CedarVersion {
  readonly id: string;
  readonly version: number;
  readonly text: string;
  readonly rules: readonly PolicyRule[];
}

export interface CedarEngine {
  /** Never throws. The first decision of a version and an action reads the policies that are about it. */
  decide(version: CedarVersion, request: PolicyRequest): PolicyDecision;
}

/** The policies that can be about one action by one kind of principal, in their order, under a name that Cedar knows. */
interface Slice {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
}

/** Versions whose policies are kept ready; 200 policies take about 1 MB. */
const READY_MAX = 256;
/** Versions that broke an instance; there should be none. */
const BROKEN_MAX = 1_000;

/**
 * Cedar costs a copy of all policies that it is given, each time: 1.3 µs a policy. Hence it is given only those that
 * can be about the action and the kind of principal that asks.
 */
export function createCedarEngine({ readyMax = READY_MAX } = {}): CedarEngine {
  let cedar = createCedar();
  let shelf = createShelf(cedar, readyMax);
  const broken = new Set<string>();
  return {
    decide(version, request) {
      const fail = (reason: string): PolicyDecision =>
        refuse(reason, { engine: 'cedar', version: version.version });
      if (broken.has(version.id)) return fail('The policy cannot be evaluated.');
      try {
        return decideBy(cedar, shelf.sliceOf(version, request), { version, request });
      } catch {
        // What it says holds nothing but addresses; the instance is good for nothing now.
        cedar = createCedar();
        shelf = createShelf(cedar, readyMax);
        if (broken.size >= BROKEN_MAX) broken.clear();
        broken.add(version.id);
        return fail('The policy cannot be evaluated.');
      }
    },
  };
}

interface Asked {
  readonly version: CedarVersion;
  readonly request: PolicyRequest;
}

function decideBy(cedar: CedarModule, slice: Slice, { version, request }: Asked): PolicyDecision {
  const made = { engine: 'cedar', version: version.version } as const;
  const answer = cedar.statefulIsAuthorized({
    ...cedarRequest(request),
    preparsedPolicySetId: slice.name,
  });
  if (answer.type === 'failure') return refuse('The request could not be read.', made);
  const { decision, diagnostics } = answer.response;
  const spoke = inOrder(slice, diagnostics.reason);
  const [failed] = inOrder(
    slice,
    diagnostics.errors.map(({ policyId }) => policyId),
  );
  // Those that spoke against are named before those that failed: both deny.
  if (failed !== undefined && !(decision === 'deny' && spoke.length > 0)) {
    return refuse(`The policy ${failed.id} could not be evaluated.`, made);
  }
  const rule = spoke.find(({ verdict }) => verdict !== 'allow') ?? spoke[0];
  if (rule === undefined) {
    return { ...made, verdict: 'deny', rule: 'default', reason: 'No policy speaks for it.' };
  }
  return { ...made, verdict: rule.verdict, rule: rule.id, reason: rule.reason };
}

/** Cedar names the n-th policy of a text `policy<n>`, and in no particular order. */
function inOrder(slice: Slice, policyIds: readonly string[]): PolicyRule[] {
  return policyIds
    .map((policyId) => Number(policyId.slice('policy'.length)))
    .sort((one, other) => one - other)
    .flatMap((index) => slice.rules[index] ?? []);
}

interface Shelf {
  /** Throws where the policies cannot be read. */
  sliceOf(version: CedarVersion, request: PolicyRequest): Slice;
}

/** The slices that are ready. What was not used for longest makes room; its names are used again. */
function createShelf(cedar: CedarModule, readyMax: number): Shelf {
  const versions = new Map<string, Map<string, Slice>>();
  const free: string[] = [];
  let made = 0;

  const dropOldest = (): void => {
    const [oldest] = versions;
    if (oldest === undefined) return;
    const [id, slices] = oldest;
    versions.delete(id);
    for (const { name } of slices.values()) {
      cedar.preparsePolicySet(name, { staticPolicies: {} });
      free.push(name);
    }
  };
  const slicesOf = (id: string): Map<string, Slice> => {
    const slices = versions.get(id) ?? new Map<string, Slice>();
    // The last of a map is the one that was used last.
    versions.delete(id);
    versions.set(id, slices);
    if (versions.size > readyMax) dropOldest();
    return slices;
  };
  return {
    sliceOf(version, { action, principal }) {
      const slices = slicesOf(version.id);
      const key = `${action} ${principal.kind}`;
      const ready = slices.get(key);
      if (ready !== undefined) return ready;
      const rules = version.rules.filter(
        ({ actions, principals }) =>
          (actions?.includes(action) ?? true) && (principals?.includes(principal.kind) ?? true),
      );
      const text = rules.map(({ start, end }) => version.text.slice(start, end)).join('\n');
      const name = free.pop() ?? `slice-${(made += 1)}`;
      const answer = cedar.preparsePolicySet(name, { staticPolicies: text });
      if (answer.type === 'failure')
        throw new Error('A policy that was read is no policy any more.');
      const slice = { name, rules };
      slices.set(key, slice);
      return slice;
    },
  };
}
