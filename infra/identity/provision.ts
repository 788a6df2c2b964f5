import { createHash, randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { EventType } from '../../domain/event.ts';
import { isId, makeId, parseId, type UserId } from '../../domain/id.ts';
import type { RoleBinding, RolePlace } from '../../domain/principal.ts';
import { appendRecord } from '../db/queries/event.ts';
import { linkIdentity, type Identity } from '../db/queries/identity.ts';
import { findOldestWorkspace } from '../db/queries/key-view.ts';
import {
  insertRoleBinding,
  listRoleBindings,
  revokeRoleBinding,
} from '../db/queries/role-binding.ts';
import { insertUser } from '../db/queries/user.ts';
import type { Database, Executor } from '../db/schema.ts';
import type { VerifiedToken } from './oidc.ts';

/** Who gave a role that came with a token. */
function giverOf({ issuer }: VerifiedToken): string {
  return `oidc:${issuer.name}`;
}

/**
 * Makes a user of somebody nobody knows, whose token gives him a role. Null where nothing is given, or where a person
 * has unlinked him once. Idempotent: his id is made from issuer and subject.
 */
export async function provision(
  db: Kysely<Database>,
  token: VerifiedToken,
): Promise<Identity | null> {
  const { subject, displayName } = token;
  const { issuer } = token.issuer;
  if ((await wantedRoles(db, token)).length === 0) return null;
  return db.transaction().execute(async (tx) => {
    const earlier = await tx
      .selectFrom('identity')
      .select('id')
      .where('kind', '=', 'oidc')
      .where('issuer', '=', issuer)
      .where('subject', '=', subject)
      .where('unlinked_at', 'is not', null)
      .executeTakeFirst();
    if (earlier !== undefined) return null;
    const id = makeId('user', uuidOf(['user', issuer, subject]));
    const name = displayName.trim() === '' ? subject.slice(0, 100) : displayName;
    const by = giverOf(token);
    if (await insertUser(tx, { id, name, createdBy: by })) {
      await record(tx, { token, type: 'user.created', subjectId: id, userId: id, after: { name } });
    }
    const linked = await linkIdentity(tx, {
      id: makeId('identity', uuidOf(['identity', issuer, subject])),
      userId: id,
      kind: 'oidc',
      issuer,
      subject,
      displayName,
      linkedBy: by,
    });
    if (linked.kind === 'linked') {
      const after = { kind: 'oidc', issuer, subject };
      const subjectId = linked.identity.id;
      await record(tx, { token, type: 'identity.linked', subjectId, userId: id, after });
    }
    return linked.identity;
  });
}

function uuidOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

/**
 * Gives and takes the roles that come with tokens, so that they are where votes are checked. Only by a token that is
 * newer than those before: an old one, shown again, gives nothing back. Idempotent.
 */
export async function syncRoles(
  db: Kysely<Database>,
  { token, identity }: { readonly token: VerifiedToken; readonly identity: Identity },
): Promise<void> {
  const userId = parseId('user', identity.userId);
  const wanted = await wantedRoles(db, token, userId);
  await db.transaction().execute(async (tx) => {
    if (!(await isNewest(tx, { token, identityId: identity.id }))) return;
    const by = giverOf(token);
    const given = (await listRoleBindings(tx, { userId })).filter(
      ({ createdBy }) => createdBy === by,
    );
    for (const { id, role, place } of given) {
      if (wanted.some((binding) => keyOf(binding) === keyOf({ role, place }))) continue;
      if (await revokeRoleBinding(tx, id)) {
        const before = { role, place };
        await record(tx, { token, type: 'role.revoked', subjectId: id, userId, place, before });
      }
    }
    for (const { role, place } of wanted) {
      if (given.some((binding) => keyOf(binding) === keyOf({ role, place }))) continue;
      const id = makeId('roleBinding', randomUUID());
      const made = await insertRoleBinding(tx, { id, userId, role, place, createdBy: by });
      if (made.kind === 'created') {
        const after = { role, place };
        await record(tx, { token, type: 'role.granted', subjectId: id, userId, place, after });
      }
    }
  });
}

/** Takes the identity's row, so that of two tokens at once one is second. */
async function isNewest(
  tx: Executor,
  { token, identityId }: { readonly token: VerifiedToken; readonly identityId: string },
): Promise<boolean> {
  const row = await tx
    .insertInto('oidc_sync')
    .values({ identity_id: identityId, issued_at_s: token.issuedAtS })
    .onConflict((conflict) =>
      conflict
        .column('identity_id')
        .doUpdateSet({ issued_at_s: token.issuedAtS, synced_at: new Date() })
        .where('oidc_sync.issued_at_s', '<=', token.issuedAtS),
    )
    .returning('identity_id')
    .executeTakeFirst();
  return row !== undefined;
}

/** A workspace that is not there, or is somebody else's own, takes no roles from tokens. */
async function wantedRoles(
  db: Executor,
  { issuer, roles }: VerifiedToken,
  userId: UserId | null = null,
): Promise<readonly RoleBinding[]> {
  const wanted = new Map<string, RoleBinding>();
  for (const { value, role, workspace } of issuer.roles) {
    if (!roles.includes(value)) continue;
    const place = workspace === undefined ? EVERYWHERE : await placeOf(db, workspace, userId);
    if (place !== null) wanted.set(keyOf({ role, place }), { role, place });
  }
  return [...wanted.values()];
}

const EVERYWHERE: RolePlace = { kind: 'installation' };

async function placeOf(
  db: Executor,
  workspace: string,
  userId: UserId | null,
): Promise<RolePlace | null> {
  const row = await db
    .selectFrom('workspace')
    .select(['id', 'kind', 'owner_user_id as owner'])
    .where(isId('workspace', workspace) ? 'id' : 'slug', '=', workspace)
    .executeTakeFirst();
  if (row === undefined || (row.kind === 'private' && row.owner !== userId)) return null;
  return { kind: 'workspace', workspaceId: parseId('workspace', row.id) };
}

function keyOf({ role, place }: RoleBinding): string {
  return `${role} ${place.kind} ${place.kind === 'installation' ? '' : place.workspaceId}`;
}

interface Recorded {
  readonly token: VerifiedToken;
  readonly type: EventType;
  readonly subjectId: string;
  readonly userId: string;
  readonly place?: RolePlace;
  readonly before?: unknown;
  readonly after?: unknown;
}

async function record(
  tx: Executor,
  { token, type, subjectId, userId, place = EVERYWHERE, before, after }: Recorded,
): Promise<void> {
  const workspaceId =
    place.kind === 'installation' ? await findOldestWorkspace(tx) : place.workspaceId;
  if (workspaceId === null) return;
  const key = `${subjectId}:${type}:${randomUUID()}`;
  const by = giverOf(token);
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type, subjectId, data: { by, userId } }],
    audits: [
      {
        key,
        actorKind: 'system',
        actorId: by,
        action: type,
        subjectId,
        detail: { userId, before: before ?? null, after: after ?? null },
      },
    ],
  });
}
