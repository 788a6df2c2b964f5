import type { Action } from '../domain/action.ts';
import { authorize, sees, type Place } from '../domain/authorize.ts';
import { AppError } from '../domain/error.ts';
import { HOST_ID } from '../domain/hosting.ts';
import { ID_PREFIXES, isId, parseId, type WorkspaceId } from '../domain/id.ts';
import type { UserPrincipal } from '../domain/principal.ts';
import { Slug } from '../domain/schema/workspace.ts';
import type { Executor } from '../infra/db/schema.ts';
import { isPrivateWorkspace } from '../infra/db/queries/workspace-kind.ts';
import { findTargetPlace, type TargetKind } from '../infra/db/queries/target-view.ts';
import type { Caller } from './route.ts';

const WORDS = {
  workspace: 'workspace',
  spawn: 'spawn',
  agent: 'agent',
  approval: 'approval',
  approvalCode: 'open approval',
  standingApproval: 'standing approval',
  apiKey: 'API key',
  definition: 'definition',
  webhook: 'webhook',
  host: 'host',
  message: 'message',
  agentKey: 'key of an agent',
  connector: 'connector',
  post: 'post',
  policy: 'version of a policy',
  certificate: 'certificate',
  context: 'context',
  roleBinding: 'role',
} as const satisfies Record<TargetKind, string>;

/** Where a record is: what a caller needs his role for. */
export interface FoundTarget {
  readonly workspaceId: WorkspaceId | null;
  readonly contextId: string | null;
  readonly isPrivate: boolean;
}

/**
 * The workspace of the record a route is about; null for a record that is in none. A record of a workspace that the
 * caller has nothing to do with is answered exactly like one that does not exist, so that ids cannot be tried out.
 */
export async function findTarget(
  db: Executor,
  target: { readonly kind: TargetKind; readonly value: string },
  caller: Pick<Caller, 'bindings'>,
): Promise<FoundTarget> {
  const place = await findTargetPlace(db, {
    kind: target.kind,
    value: checkName(target.kind, target.value),
  });
  const at = place === null ? null : await placeIn(db, place.workspaceId);
  if (place !== null && at !== null && sees(caller.bindings, at)) {
    return { ...at, contextId: place.contextId ?? null };
  }
  throw new AppError('not_found', `There is no such ${WORDS[target.kind]}, or it is not yours.`);
}

/** A workspace, or none, as a place where rights are asked for. */
export async function placeIn(
  db: Executor,
  workspaceId: string | null,
): Promise<{ readonly workspaceId: WorkspaceId | null; readonly isPrivate: boolean }> {
  if (workspaceId === null) return { workspaceId: null, isPrivate: false };
  return {
    workspaceId: parseId('workspace', workspaceId),
    isPrivate: await isPrivateWorkspace(db, workspaceId),
  };
}

/**
 * The only context whose records somebody may list who asked in it and has no role in the whole workspace; null for
 * whoever may list them all.
 */
export function confinedTo(caller: Caller, action: Action, place: Place): string | null {
  const inAll = authorize(caller, action, { workspaceId: place.workspaceId });
  return inAll.kind === 'allow' ? null : (place.contextId ?? '');
}

/** For rights beyond the route's own: the caller as he is at that place. Throws `policy_denied`. */
export function requireAt(who: UserPrincipal, action: Action, place: Place): Caller {
  const decision = authorize(who, action, place);
  if (decision.kind === 'deny') throw new AppError('policy_denied', decision.message);
  return { ...who, role: decision.role };
}

/** For what is made in a workspace without naming it: the caller's own, where he has one. */
export function onlyOne(own: readonly WorkspaceId[]): WorkspaceId {
  const [first, second] = own;
  if (first !== undefined && second === undefined) return first;
  throw new AppError('invalid_input', 'Name the workspace: you have to do with several.');
}

/** A mistyped name is told apart from a missing record before the database is asked. */
function checkName(kind: TargetKind, value: string): string {
  if (kind === 'approvalCode') return checkCode(value);
  if (kind === 'workspace') return checkWorkspace(value);
  if (kind === 'host') return checkHost(value);
  return parseId(kind, value);
}

function checkHost(value: string): string {
  if (HOST_ID.test(value)) return value;
  throw new AppError('invalid_input', 'The name of a host is 1 to 63 of a-z, 0-9 and - inside.');
}

function checkCode(value: string): string {
  const code = value.replaceAll(/[ -]/g, '').toUpperCase();
  if (/^[0-9A-Z]{6}$/.test(code)) return code;
  throw new AppError('invalid_input', 'The code of an approval is six letters and digits.');
}

/** An id or a slug. An id of another kind is no slug, since a slug has no `_`. */
function checkWorkspace(value: string): string {
  if (isId('workspace', value) || Slug.safeParse(value).success) return value;
  throw new AppError(
    'invalid_input',
    `Not a workspace: give its id (${ID_PREFIXES.workspace}_…) or its slug.`,
  );
}
