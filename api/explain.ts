import { ANYWHERE, sees, type Place } from '../domain/authorize.ts';
import type { Action } from '../domain/action.ts';
import { AppError } from '../domain/error.ts';
import { explain } from '../domain/explain.ts';
import { isId } from '../domain/id.ts';
import { CHAT_SCOPES, SCOPES, type UserPrincipal, type UserVia } from '../domain/principal.ts';
import { getContext } from '../infra/db/queries/context.ts';
import { findLiveKey, getKey } from '../infra/db/queries/key.ts';
import { findLiveUser } from '../infra/db/queries/principal.ts';
import { listRoleBindings } from '../infra/db/queries/role-binding.ts';
import { getUser } from '../infra/db/queries/user.ts';
import type { Executor } from '../infra/db/schema.ts';
import { principalOfKey, principalOfUser } from './middleware/auth.ts';
import type { Caller } from './route.ts';
import { findTarget, placeIn, requireAt } from './target.ts';

export interface ExplainRequest {
  readonly caller: Caller;
  /** A user or a key; the caller himself where it is left out. */
  readonly principal: string | undefined;
  readonly action: Action;
  readonly workspace: string | undefined;
  readonly context: string | undefined;
  /** How a user would ask. */
  readonly via: Exclude<UserVia, 'api_key'>;
}

type Subject = Pick<UserPrincipal, 'id' | 'name' | 'via' | 'bindings' | 'scopes'> & {
  readonly isLive: boolean;
};

/** Whether somebody may do something somewhere, and why. Of others, it is told to admins of that place. */
export async function explainAccess(db: Executor, request: ExplainRequest) {
  const { caller, action } = request;
  const place = await findPlace(db, request);
  const subject = await findSubject(db, request, place);
  const { id, name, via, isLive } = subject;
  const found = explain(subject, action, place ?? ANYWHERE);
  const bindings = found.bindings.filter((binding) => isShown(caller, binding.place));
  const answer = {
    ...found,
    bindings: bindings.map((binding) => ({ ...binding })),
    missing: [...found.missing],
    principal: { id, name, via, isLive },
    place: {
      workspaceId: place?.workspaceId ?? null,
      contextId: place?.contextId ?? null,
      isPrivate: place?.isPrivate ?? false,
    },
  };
  if (isLive) return answer;
  const rule = via === 'api_key' && isId('apiKey', id) ? 'key:ended' : 'user:disabled';
  const message = `${name} is refused everything: ${rule === 'key:ended' ? 'the key was revoked or has ended' : 'the user is disabled'}.`;
  const missing = [
    rule === 'key:ended' ? 'a key that is good now' : 'to be enabled again',
    ...answer.missing,
  ];
  return { ...answer, decision: 'deny' as const, rule, message, missing };
}

/** What somebody has elsewhere is not for everybody who may ask about him here. */
function isShown({ bindings }: Caller, place: UserPrincipal['bindings'][number]['place']): boolean {
  return place.kind === 'installation' || sees(bindings, { workspaceId: place.workspaceId });
}

async function findPlace(
  db: Executor,
  { caller, workspace, context }: ExplainRequest,
): Promise<Place | null> {
  if (context !== undefined) {
    const found = await findTarget(db, { kind: 'context', value: context }, caller);
    const named =
      workspace === undefined
        ? found
        : await findTarget(db, { kind: 'workspace', value: workspace }, caller);
    if (named.workspaceId === found.workspaceId && (await getContext(db, context)) !== null) {
      return found;
    }
    throw new AppError('not_found', 'There is no such context in this workspace.');
  }
  if (workspace === undefined) return null;
  return findTarget(db, { kind: 'workspace', value: workspace }, caller);
}

async function findSubject(
  db: Executor,
  { caller, principal, via }: ExplainRequest,
  place: Place | null,
): Promise<Subject> {
  const isSelf = principal === undefined || principal === caller.keyId;
  // The caller's own roles were narrowed to what is enough for asking.
  const id = isSelf ? (caller.keyId ?? caller.id) : principal;
  if (!isSelf && principal !== caller.userId) {
    requireAt(caller, 'listUsers', place ?? { workspaceId: null });
  }
  if (isId('apiKey', id)) return subjectOfKey(db, caller, id);
  if (!isId('user', id)) {
    throw new AppError('invalid_input', 'Name a user (usr_…) or an API key (key_…).');
  }
  const asks = isSelf && caller.via !== 'api_key' ? caller.via : via;
  const scopes = asks === 'chat' ? CHAT_SCOPES : SCOPES;
  const live = await findLiveUser(db, id);
  if (live !== null) return { ...principalOfUser(live, asks, scopes), isLive: true };
  const user = await getUser(db, id);
  if (user === null) throw new AppError('not_found', 'There is no such user.');
  const bindings = await listRoleBindings(db, { userId: id });
  return { ...principalOfUser({ id, name: user.name, bindings }, asks, scopes), isLive: false };
}

async function subjectOfKey(db: Executor, caller: Caller, id: string): Promise<Subject> {
  const key = await getKey(db, id);
  const isSeen =
    id === caller.keyId ||
    (key !== null && sees(caller.bindings, await placeIn(db, key.workspaceId)));
  if (key === null || !isSeen) {
    throw new AppError('not_found', 'There is no such API key, or it is not yours.');
  }
  const principal = await principalOfKey(db, key);
  const isLive = (await findLiveKey(db, id)) !== null;
  if (principal !== null) return { ...principal, id, name: key.name, isLive };
  return { id, name: key.name, via: 'api_key', bindings: [], scopes: key.scopes, isLive: false };
}
