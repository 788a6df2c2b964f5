import { ruleOf, type Action, type ActionRule } from './action.ts';
import type { WorkspaceId } from './id.ts';
import {
  covers,
  lesserRole,
  type Role,
  type RoleBinding,
  type RolePlace,
  type ThingKind,
  type UserPrincipal,
} from './principal.ts';

/** What an action is about. */
export interface Place {
  /** Null for what is in no workspace, which takes a role that holds everywhere. */
  readonly workspaceId: string | null;
  readonly contextId?: string | null;
  readonly thing?: { readonly kind: ThingKind; readonly name: string };
  /** In a workspace that is one user's own: roles that hold everywhere end before it, except an overlord's. */
  readonly isPrivate?: boolean;
}

/** For actions that name no record: the best role that somebody has in a whole workspace, or everywhere. */
export const ANYWHERE = 'anywhere';

export type AccessDecision =
  | { readonly kind: 'allow'; readonly rule: string; readonly role: Role }
  | { readonly kind: 'deny'; readonly rule: string; readonly message: string };

type Asking = Pick<UserPrincipal, 'bindings' | 'scopes' | 'via'>;

/** May this principal ask for this here? Denies what no binding allows. Pure: who asks was loaded by the caller. */
export function authorize(
  who: Asking,
  action: Action,
  place: Place | typeof ANYWHERE,
): AccessDecision {
  const needed = ruleOf(action);
  const role = bestRole(who.bindings.filter((binding) => counts(binding, needed, place)));
  const whose = who.via === 'api_key' ? 'this key has' : 'you have';
  if (role === null || !covers(role, needed.role)) {
    return {
      kind: 'deny',
      rule: `role:${needed.role}`,
      message: `This needs the role ${needed.role}; ${whose} ${role ?? 'none here'}.`,
    };
  }
  if (!who.scopes.includes(needed.scope)) {
    const lacks = who.via === 'api_key' ? 'this key does not have' : 'you do not have here';
    return {
      kind: 'deny',
      rule: `scope:${needed.scope}`,
      message: `This needs the scope ${needed.scope}, which ${lacks}.`,
    };
  }
  return { kind: 'allow', rule: `role:${needed.role}+scope:${needed.scope}`, role };
}

/** Whether a role of somebody's counts when an action is asked for at a place. */
export function counts(
  binding: RoleBinding,
  needed: ActionRule,
  place: Place | typeof ANYWHERE,
): boolean {
  if (place !== ANYWHERE) return reaches(binding, place);
  return needed.withAnyRole === true || isWide(binding);
}

/** The roles that count for an action that names no place, and cover what it needs. */
export function enough(bindings: readonly RoleBinding[], action: Action): RoleBinding[] {
  const needed = ruleOf(action);
  return bindings.filter(
    (binding) => counts(binding, needed, ANYWHERE) && covers(binding.role, needed.role),
  );
}

function isWide({ place }: RoleBinding): boolean {
  return place.kind === 'installation' || place.kind === 'workspace';
}

/** The best role that holds at a place; null where none does. */
export function roleAt(bindings: readonly RoleBinding[], place: Place): Role | null {
  return bestRole(bindings.filter((binding) => reaches(binding, place)));
}

function bestRole(bindings: readonly RoleBinding[]): Role | null {
  let best: Role | null = null;
  for (const { role } of bindings) if (best === null || covers(role, best)) best = role;
  return best;
}

/** Whether a role that is bound somewhere holds at a place. */
export function reaches({ role, place: bound }: RoleBinding, place: Place): boolean {
  if (bound.kind === 'installation') return place.isPrivate !== true || role === 'overlord';
  if (bound.workspaceId !== place.workspaceId) return false;
  if (bound.kind === 'workspace') return true;
  if (bound.kind === 'context') return bound.contextId === place.contextId;
  return bound.kind === place.thing?.kind && bound.name === place.thing.name;
}

/** Whether somebody has to do with a workspace at all: to anybody else it does not exist. */
export function sees(
  bindings: readonly RoleBinding[],
  { workspaceId, isPrivate = false }: Pick<Place, 'workspaceId' | 'isPrivate'>,
): boolean {
  return bindings.some((binding) => {
    const { place } = binding;
    if (place.kind === 'installation') return reaches(binding, { workspaceId, isPrivate });
    return place.workspaceId === workspaceId;
  });
}

/** Of the workspaces that are users' own, those that somebody has to do with. */
export function privatesOf(bindings: readonly RoleBinding[]): 'all' | readonly WorkspaceId[] {
  if (sees(bindings, { workspaceId: null, isPrivate: true })) return 'all';
  return bindings.flatMap(({ place }) =>
    place.kind === 'installation' ? [] : [place.workspaceId],
  );
}

/** The workspaces that somebody has to do with. `all` leaves out what `privatesOf` does not name. */
export function workspacesOf(bindings: readonly RoleBinding[]): 'all' | readonly WorkspaceId[] {
  const ids = new Set<WorkspaceId>();
  for (const { place } of bindings) {
    if (place.kind === 'installation') return 'all';
    ids.add(place.workspaceId);
  }
  return [...ids];
}

/** Where a key is good. */
export interface KeyReach {
  readonly role: Role;
  readonly place: Extract<RolePlace, { kind: 'installation' | 'workspace' }>;
  /** Whether that is a workspace of one user's own. */
  readonly isPrivate?: boolean;
}

/** What is left of a user's roles when he comes with a key: nothing above the key, and nothing outside it. */
export function narrow(bindings: readonly RoleBinding[], key: KeyReach): RoleBinding[] {
  return bindings.flatMap((binding) => {
    const place = inner(binding, key);
    return place === null ? [] : [{ role: lesserRole(binding.role, key.role), place }];
  });
}

/** The smaller of two places, where one holds the other. */
function inner(binding: RoleBinding, { place: key, isPrivate = false }: KeyReach) {
  const { place: bound } = binding;
  if (key.kind === 'installation') return bound;
  // Narrowed to a private workspace, what holds everywhere would reach where it does not reach by itself.
  if (bound.kind === 'installation') return reaches(binding, { ...key, isPrivate }) ? key : null;
  return bound.workspaceId === key.workspaceId ? bound : null;
}
