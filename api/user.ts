import { randomUUID } from 'node:crypto';
import { AppError } from '../domain/error.ts';
import { authorize, reaches, type Place } from '../domain/authorize.ts';
import type { EventType } from '../domain/event.ts';
import { parseId, type RoleBindingId, type UserId } from '../domain/id.ts';
import { covers, type RoleBinding, type RolePlace } from '../domain/principal.ts';
import { getContext } from '../infra/db/queries/context.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import {
  getIdentity,
  linkIdentity,
  unlinkIdentity,
  type Identity,
  type IdentityName,
} from '../infra/db/queries/identity.ts';
import { findOldestWorkspace } from '../infra/db/queries/key-view.ts';
import {
  getRoleBinding,
  insertRoleBinding,
  listRoleBindings,
  revokeRoleBinding,
  type GivenRole,
} from '../infra/db/queries/role-binding.ts';
import {
  countOtherOverlords,
  getUser,
  insertUser,
  setDisabled,
  type User,
} from '../infra/db/queries/user.ts';
import { findOwner } from '../infra/db/queries/workspace-kind.ts';
import type { Executor } from '../infra/db/schema.ts';
import type { Caller } from './route.ts';
import { placeIn } from './target.ts';

/** Who changes something, in which transaction. Everything here is one step of it. */
export interface Change {
  readonly tx: Executor;
  readonly caller: Caller;
}

export async function requireUser(db: Executor, id: string): Promise<User> {
  const user = await getUser(db, id);
  if (user !== null) return user;
  throw new AppError('not_found', 'There is no such user, or you have nothing to do with him.');
}

export async function makeUser(
  { tx, caller }: Change,
  { id, name }: { readonly id: UserId; readonly name: string },
): Promise<User> {
  if (await insertUser(tx, { id, name, createdBy: caller.id })) {
    const change = { before: null, after: { name } };
    await recordChange({ tx, caller }, { type: 'user.created', subjectId: id, userId: id, change });
  }
  return requireUser(tx, id);
}

/** A disabled user is nobody from this moment on: his keys, sessions, certificates and chats are refused. */
export async function changeDisabled(
  { tx, caller }: Change,
  { id, disabled }: { readonly id: UserId; readonly disabled: boolean },
): Promise<User> {
  await requireUser(tx, id);
  await requireNotAbove({ tx, caller }, id);
  if (disabled) await requireOtherOverlord(tx, id);
  if (await setDisabled(tx, { id, disabled })) {
    const change = { before: { disabled: !disabled }, after: { disabled } };
    const type = disabled ? 'user.disabled' : 'user.enabled';
    await recordChange({ tx, caller }, { type, subjectId: id, userId: id, change });
  }
  return requireUser(tx, id);
}

/** Whoever would be recognised as this user gets his roles: that is given only by who has them himself. */
export async function linkTo(
  { tx, caller }: Change,
  link: IdentityName & {
    readonly id: string;
    readonly userId: UserId;
    readonly displayName: string;
  },
): Promise<Identity> {
  await requireUser(tx, link.userId);
  await requireNotAbove({ tx, caller }, link.userId);
  const linked = await linkIdentity(tx, { ...link, linkedBy: caller.id });
  if (linked.kind === 'taken') {
    throw new AppError('conflict', 'Another user is recognised by this. Unlink it from him first.');
  }
  const { identity } = linked;
  if (linked.kind === 'linked') {
    const { kind, issuer, subject } = identity;
    await recordChange(
      { tx, caller },
      {
        type: 'identity.linked',
        subjectId: identity.id,
        userId: link.userId,
        change: { before: null, after: { kind, issuer, subject } },
      },
    );
  }
  return identity;
}

export async function unlink({ tx, caller }: Change, id: string): Promise<Identity> {
  const identity = await getIdentity(tx, id);
  if (identity === null) throw new AppError('not_found', 'There is no such identity.');
  await requireNotAbove({ tx, caller }, identity.userId);
  if (await unlinkIdentity(tx, id)) {
    const { kind, issuer, subject, userId } = identity;
    await recordChange(
      { tx, caller },
      {
        type: 'identity.unlinked',
        subjectId: id,
        userId,
        change: { before: { kind, issuer, subject }, after: null },
      },
    );
  }
  return (await getIdentity(tx, id)) ?? identity;
}

/** Nobody gives a role above his own, or where he has none. */
export async function grantRole(
  { tx, caller }: Change,
  grant: RoleBinding & { readonly id: RoleBindingId; readonly userId: UserId },
): Promise<GivenRole> {
  const { place, role, userId } = grant;
  await requireUser(tx, userId);
  const at = await findPlace(tx, place);
  const decision = authorize(caller, 'grantRole', at);
  if (decision.kind === 'deny') throw new AppError('policy_denied', decision.message);
  if (!covers(decision.role, role)) {
    throw new AppError('policy_denied', `The role ${role} is above yours here, ${decision.role}.`);
  }
  if (at.isPrivate && (await findOwner(tx, at.workspaceId ?? '')) !== userId) {
    throw new AppError('policy_denied', 'A private workspace is its owner’s alone.');
  }
  const created = { ...grant, createdBy: caller.id };
  const { kind, given } = await insertRoleBinding(tx, created);
  if (kind === 'created') {
    const change = { before: null, after: { role, place } };
    const subjectId = given.id;
    await recordChange(
      { tx, caller },
      { type: 'role.granted', subjectId, userId, change, workspaceId: at.workspaceId },
    );
  }
  return given;
}

/** The caller was found to be an admin at the role's place. */
export async function takeRole({ tx, caller }: Change, id: string): Promise<GivenRole> {
  const given = await getRoleBinding(tx, id);
  if (given === null) throw new AppError('not_found', 'There is no such role.');
  const { role, place, userId, revokedAt } = given;
  if (!covers(caller.role, role)) {
    throw new AppError('policy_denied', `This role, ${role}, is above yours, ${caller.role}.`);
  }
  if (revokedAt === null && role === 'overlord' && place.kind === 'installation') {
    await requireOtherOverlord(tx, userId);
  }
  if (await revokeRoleBinding(tx, id)) {
    const workspaceId = place.kind === 'installation' ? null : place.workspaceId;
    const change = { before: { role, place }, after: null };
    await recordChange(
      { tx, caller },
      { type: 'role.revoked', subjectId: id, userId, change, workspaceId },
    );
  }
  return (await getRoleBinding(tx, id)) ?? given;
}

/** Somebody must be left who can put things right. */
async function requireOtherOverlord(tx: Executor, userId: string): Promise<void> {
  const isOverlord = (await listRoleBindings(tx, { userId })).some(
    ({ role, place }) => role === 'overlord' && place.kind === 'installation',
  );
  if (!isOverlord || (await countOtherOverlords(tx, userId)) > 0) return;
  throw new AppError(
    'conflict',
    'This is the last overlord: make another one first, or nobody could put things right.',
  );
}

/** Nobody touches who has more than he has himself, anywhere. */
async function requireNotAbove({ tx, caller }: Change, userId: string): Promise<void> {
  for (const { role, place } of await listRoleBindings(tx, { userId })) {
    const at = await placeIn(tx, place.kind === 'installation' ? null : place.workspaceId);
    const isCovered = caller.bindings.some(
      (binding) => reaches(binding, at) && covers(binding.role, role),
    );
    if (!isCovered) {
      throw new AppError('policy_denied', `This user has the role ${role}, which is above yours.`);
    }
  }
}

/** Where a role would hold. A context counts in its own workspace only. */
async function findPlace(
  tx: Executor,
  place: RolePlace,
): Promise<Place & { readonly isPrivate: boolean }> {
  if (place.kind === 'installation') return placeIn(tx, null);
  const at = await placeIn(tx, place.workspaceId);
  if (place.kind !== 'context') {
    const row = await tx
      .selectFrom('workspace')
      .select('id')
      .where('id', '=', place.workspaceId)
      .executeTakeFirst();
    if (row !== undefined) return at;
    throw new AppError('not_found', 'There is no such workspace, or it is not yours.');
  }
  const context = await getContext(tx, place.contextId);
  if (context?.workspaceId === place.workspaceId) return { ...at, contextId: place.contextId };
  throw new AppError('not_found', 'There is no such context in this workspace.');
}

interface RecordedChange {
  readonly type: EventType;
  readonly subjectId: string;
  readonly userId: string;
  readonly change: Readonly<Record<'before' | 'after', unknown>>;
  /** Whose log it goes into; that of the oldest workspace where it is about no single one. */
  readonly workspaceId?: string | null;
}

async function recordChange(
  { tx, caller }: Change,
  { type, subjectId, userId, change, workspaceId = null }: RecordedChange,
): Promise<void> {
  const log = workspaceId ?? (await findOldestWorkspace(tx));
  if (log === null) return;
  // What happened is new each time: whoever is disabled twice was enabled in between.
  const key = `${subjectId}:${type}:${randomUUID()}`;
  await appendRecord(tx, {
    workspaceId: log,
    events: [{ key, type, subjectId, data: { by: caller.id, userId } }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: type,
        subjectId,
        detail: { userId, via: caller.via, keyId: caller.keyId, ...change },
      },
    ],
  });
}

export function userView(user: User) {
  return {
    id: parseId('user', user.id),
    name: user.name,
    createdBy: user.createdBy,
    createdAt: user.createdAt.toISOString(),
    disabledAt: user.disabledAt?.toISOString() ?? null,
  };
}

export function identityView({ seq: _seq, ...identity }: Identity) {
  return {
    ...identity,
    id: parseId('identity', identity.id),
    userId: parseId('user', identity.userId),
    linkedAt: identity.linkedAt.toISOString(),
    unlinkedAt: identity.unlinkedAt?.toISOString() ?? null,
  };
}

export function roleView(given: GivenRole) {
  return {
    ...given,
    id: parseId('roleBinding', given.id),
    userId: parseId('user', given.userId),
    createdAt: given.createdAt.toISOString(),
    revokedAt: given.revokedAt?.toISOString() ?? null,
  };
}
