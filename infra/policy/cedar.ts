import type { PolicyDecision, PolicyRequest, PolicyRule } from '../../domain/policy.ts';
import { createCedar, type CedarModule } from './cedar-instance.ts';
import { cedarRequest, needsOf, SAMPLE_REQUEST, type CedarNeeds } from './cedar-request.ts';
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

/** The policies that can be about a request, in their order, under a name that Cedar knows. */
interface Slice {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  readonly needs: CedarNeeds;
}

/** Policies that are kept ready, counted in each slice that has them. One takes about 6 kB. */
const READY_MAX = 20_000;
/** Versions that broke an instance; there should be none. */
const BROKEN_MAX = 1_000;

/**
 * Cedar costs a copy of all policies that it is given, each time: 1.3 µs a policy. Hence it is given only those that
 * can be about the action, the kind of principal that asks, and the tool; and of the request only what these look at.
 */
export function createCedarEngine({ readyMax = READY_MAX } = {}): CedarEngine {
  // Loaded by the first decision that needs it: most workspaces have the built-in policy.
  let loaded: Loaded | null = null;
  const broken = new Set<string>();
  return {
    decide(version, request) {
      const fail = (reason: string): PolicyDecision =>
        refuse(reason, { engine: 'cedar', version: version.version });
      if (broken.has(version.id)) return fail('The policy cannot be evaluated.');
      try {
        loaded ??= load(readyMax);
        return decideBy(loaded, { version, request });
      } catch {
        // What it says holds nothing but addresses; the instance is good for nothing now.
        loaded = load(readyMax);
        if (canDecide(loaded, version, request)) return fail('The request could not be read.');
        loaded = null;
        if (broken.size >= BROKEN_MAX) broken.clear();
        broken.add(version.id);
        return fail('The policy cannot be evaluated.');
      }
    },
  };
}

/** Whether it was the request, which must not take a policy out of use for everybody else. */
function canDecide(loaded: Loaded, version: CedarVersion, request: PolicyRequest): boolean {
  const { action, principal, tool } = request;
  const plain = { ...SAMPLE_REQUEST, action, tool, principal: { ...principal, id: 'x' } };
  try {
    decideBy(loaded, { version, request: plain });
    return true;
  } catch {
    return false;
  }
}

interface Loaded {
  readonly cedar: CedarModule;
  readonly shelf: Shelf;
}

function load(readyMax: number): Loaded {
  const cedar = createCedar();
  return { cedar, shelf: createShelf(cedar, readyMax) };
}

interface Asked {
  readonly version: CedarVersion;
  readonly request: PolicyRequest;
}

function decideBy({ cedar, shelf }: Loaded, { version, request }: Asked): PolicyDecision {
  const slice = shelf.sliceOf(version, request);
  const made = { engine: 'cedar', version: version.version } as const;
  const answer = cedar.statefulIsAuthorized({
    ...cedarRequest(request, slice.needs),
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
  const slices = new Map<string, Slice>();
  const tools = new WeakMap<CedarVersion, ReadonlySet<string>>();
  const free: string[] = [];
  let made = 0;
  let ready = 0;

  const makeRoom = (): void => {
    for (const [key, { name, rules }] of slices) {
      if (ready <= readyMax || slices.size === 1) return;
      slices.delete(key);
      ready -= rules.length;
      cedar.preparsePolicySet(name, { staticPolicies: {} });
      free.push(name);
    }
  };
  /** Tools that no policy names share a slice. */
  const toolIn = (version: CedarVersion, tool: string): string | null => {
    const named = tools.get(version) ?? new Set(version.rules.flatMap((rule) => rule.tool ?? []));
    tools.set(version, named);
    return named.has(tool) ? tool : null;
  };
  const prepare = (version: CedarVersion, rules: readonly PolicyRule[]): Slice => {
    const text = rules.map(({ start, end }) => version.text.slice(start, end)).join('\n');
    const name = free.pop() ?? `slice-${(made += 1)}`;
    const answer = cedar.preparsePolicySet(name, { staticPolicies: text });
    if (answer.type === 'failure') throw new Error('A policy that was read is no policy any more.');
    return { name, rules, needs: needsOf(text) };
  };
  return {
    sliceOf(version, { action, principal, tool: asked }) {
      const tool = toolIn(version, asked);
      const key = `${version.id} ${action} ${principal.kind} ${tool === null ? '' : `=${tool}`}`;
      const known = slices.get(key);
      if (known !== undefined) {
        // The last of a map is the one that was used last.
        slices.delete(key);
        slices.set(key, known);
        return known;
      }
      const slice = prepare(
        version,
        version.rules.filter(
          (rule) =>
            (rule.actions?.includes(action) ?? true) &&
            (rule.principals?.includes(principal.kind) ?? true) &&
            (rule.tool === null || rule.tool === tool),
        ),
      );
      slices.set(key, slice);
      ready += slice.rules.length;
      makeRoom();
      return slice;
    },
  };
}
