import { ACTIONS, type Action } from '../domain/action.ts';
import { authorize, type Place } from '../domain/authorize.ts';
import { makeId } from '../domain/id.ts';
import { SCOPES, type RoleBinding, type UserPrincipal } from '../domain/principal.ts';
import { median, percentile, type BenchResult } from './result.ts';

const MICROSECONDS_MAX = 20;
/** Timed together: one decision is far below what the clock can tell. */
const BATCH = 2_000;
const BATCHES = 200;
const WARM_UP_BATCHES = 20;
/** More than people have; each decision looks at all of them. */
const BINDINGS = 20;

const workspaceOf = (index: number) =>
  makeId('workspace', `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`);

/** A decision for somebody with many roles, the one that counts last, beside a bare look-up in the table of actions. */
export async function benchAuthorize(): Promise<BenchResult> {
  const bindings = Array.from({ length: BINDINGS }, (_, index): RoleBinding => ({
    role: 'operator',
    place: { kind: 'workspace', workspaceId: workspaceOf(index) },
  }));
  const who: Pick<UserPrincipal, 'bindings' | 'scopes' | 'via'> = {
    bindings,
    scopes: SCOPES,
    via: 'oidc',
  };
  const place: Place = { workspaceId: workspaceOf(BINDINGS - 1), contextId: null };
  const actions = Object.keys(ACTIONS).filter((name): name is Action => name in ACTIONS);
  let allowed = 0;
  const decide = (action: Action): void => {
    if (authorize(who, action, place).kind === 'allow') allowed += 1;
  };
  const lookUp = (action: Action): void => {
    if (ACTIONS[action].role === 'operator') allowed += 1;
  };
  const [ours, raw] = [timesOf(decide, actions), timesOf(lookUp, actions)];
  if (allowed === 0) throw new Error('Something was allowed.');
  return {
    name: `a decision of authorize, with ${BINDINGS} roles, p99`,
    unit: 'µs',
    ours: percentile(ours, 99),
    raw: percentile(raw, 99),
    ratio: median(ours) / median(raw),
    goal: `p99 at most ${MICROSECONDS_MAX} µs`,
    pass: percentile(ours, 99) <= MICROSECONDS_MAX,
    details: { 'a decision, p50': median(ours), 'a bare look-up, p50': median(raw) },
  };
}

/** Of single calls, in microseconds: the mean of each batch. */
function timesOf(call: (action: Action) => void, actions: readonly Action[]): readonly number[] {
  const times: number[] = [];
  for (let batch = 0; batch < BATCHES + WARM_UP_BATCHES; batch += 1) {
    const startedAt = performance.now();
    for (let index = 0; index < BATCH; index += 1) {
      const action = actions[index % actions.length];
      if (action !== undefined) call(action);
    }
    if (batch >= WARM_UP_BATCHES) times.push(((performance.now() - startedAt) * 1_000) / BATCH);
  }
  return times;
}
