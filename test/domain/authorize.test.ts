import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ACTIONS, ruleOf, type Action } from '../../domain/action.ts';
import {
  ANYWHERE,
  authorize,
  enough,
  narrow,
  privatesOf,
  reaches,
  sees,
  workspacesOf,
  type Place,
} from '../../domain/authorize.ts';
import { explain } from '../../domain/explain.ts';
import { makeId } from '../../domain/id.ts';
import {
  CHAT_SCOPES,
  covers,
  ROLES,
  SCOPES,
  THING_KINDS,
  type RoleBinding,
  type RolePlace,
} from '../../domain/principal.ts';

const idOf = (index: number) => `00000000-0000-7000-8000-00000000000${index}`;
const WORKSPACES = [0, 1, 2].map((index) => makeId('workspace', idOf(index)));
const CONTEXTS = [0, 1, 2].map((index) => makeId('context', idOf(index)));
const NAMES = ['deploy', 'mail'];
const NAMED_ACTIONS = Object.keys(ACTIONS).filter((name): name is Action => name in ACTIONS);

const role = fc.constantFrom(...ROLES);
const workspaceId = fc.constantFrom(...WORKSPACES);
const contextId = fc.constantFrom(...CONTEXTS);
const thing = fc.record({
  kind: fc.constantFrom(...THING_KINDS),
  name: fc.constantFrom(...NAMES),
});
const rolePlace: fc.Arbitrary<RolePlace> = fc.oneof(
  fc.constant({ kind: 'installation' } as const),
  workspaceId.map((id) => ({ kind: 'workspace', workspaceId: id }) as const),
  fc
    .tuple(workspaceId, contextId)
    .map(([id, context]) => ({ kind: 'context', workspaceId: id, contextId: context }) as const),
  fc.tuple(workspaceId, thing).map(([id, { kind, name }]) => ({ kind, workspaceId: id, name })),
);
const binding: fc.Arbitrary<RoleBinding> = fc.record({ role, place: rolePlace });
const bindings = fc.array(binding, { maxLength: 6 });
const scopes = fc.subarray([...SCOPES]);
const via = fc.constantFrom('api_key', 'oidc', 'certificate', 'chat');
const who = fc.record({ bindings, scopes, via });
const action = fc.constantFrom(...NAMED_ACTIONS);
const place: fc.Arbitrary<Place> = fc.oneof(
  fc.constant({ workspaceId: null }),
  fc.record({
    workspaceId,
    contextId: fc.option(contextId),
    isPrivate: fc.boolean(),
  }),
  fc.record({ workspaceId, thing, isPrivate: fc.boolean() }),
);
const anyPlace = fc.oneof(place, fc.constant<typeof ANYWHERE>(ANYWHERE));

/** What the table says, written as plainly as it can be, and not by the code under test. */
function holdsAt({ role: own, place: bound }: RoleBinding, at: Place): boolean {
  if (bound.kind === 'installation') return at.isPrivate === true ? own === 'overlord' : true;
  const isHere = bound.workspaceId === at.workspaceId;
  if (bound.kind === 'workspace') return isHere;
  if (bound.kind === 'context') return isHere && bound.contextId === at.contextId;
  return isHere && bound.kind === at.thing?.kind && bound.name === at.thing.name;
}

/** A way of asking, drawn at random. */
const asked = fc.record({ asking: who, name: action, at: place });
const askedAnywhere = fc.record({ asking: who, name: action, at: anyPlace });
type Asked = typeof askedAnywhere extends fc.Arbitrary<infer T> ? T : never;

const isAllowed = ({ asking, name, at }: Asked): boolean =>
  authorize(asking, name, at).kind === 'allow';

/** What was drawn, shrunk, where the law does not hold; null where it holds. */
function counterexampleOf<T>(drawn: fc.Arbitrary<T>, law: (value: T) => boolean): unknown {
  return fc.check(fc.property(drawn, law), { numRuns: 2_000 }).counterexample;
}

test('who has no role may do nothing, whatever scopes he has', () => {
  const found = counterexampleOf(
    askedAnywhere,
    ({ asking, ...rest }) =>
      !isAllowed({ ...rest, asking: { ...asking, bindings: [], scopes: [...SCOPES] } }),
  );
  expect(found).toBeNull();
});

test('who has no scope may do nothing, whatever roles he has', () => {
  const found = counterexampleOf(
    askedAnywhere,
    ({ asking, ...rest }) => !isAllowed({ ...rest, asking: { ...asking, scopes: [] } }),
  );
  expect(found).toBeNull();
});

test('yes is said exactly where one role holds, is enough, and the scope is there', () => {
  const found = counterexampleOf(asked, ({ asking, name, at }) => {
    const needed = ruleOf(name);
    const expected =
      asking.scopes.includes(needed.scope) &&
      asking.bindings.some((own) => holdsAt(own, at) && covers(own.role, needed.role));
    return isAllowed({ asking, name, at }) === expected;
  });
  expect(found).toBeNull();
});

test('more roles, better roles and more scopes never take anything away', () => {
  const found = counterexampleOf(
    fc.tuple(askedAnywhere, binding),
    ([{ asking, ...rest }, more]) => {
      if (!isAllowed({ asking, ...rest })) return true;
      const added = { ...asking, bindings: [...asking.bindings, more], scopes: [...SCOPES] };
      const raised = asking.bindings.map((own) => ({ ...own, role: 'overlord' as const }));
      return (
        isAllowed({ ...rest, asking: added }) &&
        isAllowed({ ...rest, asking: { ...asking, bindings: raised } })
      );
    },
  );
  expect(found).toBeNull();
});

test('no role reaches outside its place', () => {
  const found = counterexampleOf(
    fc.tuple(binding, place),
    ([own, at]) =>
      own.place.kind === 'installation' ||
      at.workspaceId === own.place.workspaceId ||
      !reaches(own, at),
  );
  expect(found).toBeNull();
});

test('a role for one context says nothing of the workspace, of another context or of the installation', () => {
  const [first, second] = CONTEXTS;
  const [home] = WORKSPACES;
  if (first === undefined || second === undefined || home === undefined) throw new Error('three');
  const asking = {
    via: 'chat',
    scopes: SCOPES,
    bindings: [
      { role: 'overlord', place: { kind: 'context', workspaceId: home, contextId: first } },
    ],
  } as const;
  for (const name of NAMED_ACTIONS) {
    expect(authorize(asking, name, { workspaceId: home, contextId: first }).kind).toBe('allow');
    expect(authorize(asking, name, { workspaceId: home }).kind).toBe('deny');
    expect(authorize(asking, name, { workspaceId: home, contextId: second }).kind).toBe('deny');
    expect(authorize(asking, name, { workspaceId: null }).kind).toBe('deny');
    const anywhere = authorize(asking, name, ANYWHERE).kind;
    expect(anywhere).toBe(ruleOf(name).withAnyRole === true ? 'allow' : 'deny');
  }
});

test('what holds everywhere ends before a private workspace, except for overlords', () => {
  const [home] = WORKSPACES;
  if (home === undefined) throw new Error('three');
  for (const own of ROLES) {
    const all = [{ role: own, place: { kind: 'installation' } }] as const;
    expect(sees(all, { workspaceId: home, isPrivate: true })).toBe(own === 'overlord');
    expect(sees(all, { workspaceId: home })).toBe(true);
    expect(privatesOf(all)).toEqual(own === 'overlord' ? 'all' : []);
    expect(workspacesOf(all)).toBe('all');
  }
});

test('a key never gives more than its user has, nor more than the key says', () => {
  const keyPlace = fc.oneof(
    fc.constant({ kind: 'installation' } as const),
    workspaceId.map((id) => ({ kind: 'workspace', workspaceId: id }) as const),
  );
  const key = fc.record({ role, place: keyPlace });
  const found = counterexampleOf(fc.tuple(asked, key), ([{ asking, name, at }, shown]) => {
    // Whether a workspace is private is the same for the key and for what is asked about.
    const isHere = shown.place.kind === 'workspace' && shown.place.workspaceId === at.workspaceId;
    const left = narrow(asking.bindings, {
      ...shown,
      isPrivate: isHere && at.isPrivate === true,
    });
    if (!isAllowed({ asking: { ...asking, bindings: left }, name, at })) return true;
    // The key's own place says where it is good at most; its user's roles say whether he may go there.
    const open = { ...at, isPrivate: false };
    return (
      isAllowed({ asking, name, at }) &&
      isAllowed({ asking: { ...asking, bindings: [shown] }, name, at: open })
    );
  });
  expect(found).toBeNull();
});

test('what is enough without a place is enough, and only that is left', () => {
  const found = counterexampleOf(fc.record({ own: bindings, name: action }), ({ own, name }) => {
    const left = enough(own, name);
    const asking: Asked['asking'] = { bindings: own, scopes: [...SCOPES], via: 'oidc' };
    const isLeft = left.length > 0;
    return (
      isLeft === isAllowed({ asking, name, at: ANYWHERE }) &&
      left.every((each) => covers(each.role, ruleOf(name).role))
    );
  });
  expect(found).toBeNull();
});

test('an explanation decides as the gate does, and shows every role and what is missing', () => {
  const found = counterexampleOf(askedAnywhere, ({ asking, name, at }) => {
    const decision = authorize(asking, name, at);
    const told = explain(asking, name, at);
    const isEnough = told.bindings.some((own) => own.reaches && own.covers);
    return (
      told.decision === decision.kind &&
      told.rule === decision.rule &&
      told.bindings.length === asking.bindings.length &&
      (told.decision === 'allow') === (isEnough && told.hasScope) &&
      (told.missing.length === 0) === (told.decision === 'allow') &&
      told.bindings.every(({ why }) => why !== '')
    );
  });
  expect(found).toBeNull();
});

test('nobody asks from a chat for what belongs to the admin listener', () => {
  for (const scope of ['keys:write', 'users:write', 'policies:write', 'codec:use'] as const) {
    expect(CHAT_SCOPES).not.toContain(scope);
  }
  for (const scope of CHAT_SCOPES) expect(scope).not.toMatch(/^terminal:/);
});
