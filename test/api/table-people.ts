import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { principalOfUser } from '../../api/middleware/auth.ts';
import type { CertificateSignIn, TokenSignIn } from '../../api/deps.ts';
import type { Bindings } from '../../api/upgrade.ts';
import type { ContextId, WorkspaceId } from '../../domain/id.ts';
import { makeId } from '../../domain/id.ts';
import {
  CHAT_SCOPES,
  ROLES,
  SCOPES,
  type Role,
  type RoleBinding,
  type RolePlace,
  type Scope,
} from '../../domain/principal.ts';
import { insertKey } from '../../infra/db/queries/key.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import { insertRoleBinding } from '../../infra/db/queries/role-binding.ts';
import { insertUser, setDisabled } from '../../infra/db/queries/user.ts';
import { makeApiKey } from '../../api/api-key.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { newId } from '../support/records.ts';

type Db = TestDatabase['db'];

/** Somebody who asks, and what he has by the table, said without the code that is tested. */
export interface Person {
  readonly name: string;
  readonly isKnown: boolean;
  readonly bindings: readonly RoleBinding[];
  readonly scopes: readonly Scope[];
  /** Where he speaks, for somebody in a chat. */
  readonly contextId: ContextId | null;
  /** Asked for at each request, as chat does: what he was a moment ago does not count. */
  readonly comes: () => Promise<{
    readonly headers: Readonly<Record<string, string>>;
    readonly env: Bindings;
  }>;
}

interface Made {
  readonly userId: string | null;
  readonly secret: string;
}

interface Places {
  readonly there: WorkspaceId;
  readonly elsewhere: WorkspaceId;
  readonly contextId: ContextId;
}

const byKey = (made: Made) => async () => ({ headers: bearer(made.secret), env: {} });
const byToken = (userId: string) => async () => ({ headers: bearer(`a.${userId}.c`), env: {} });
const byChat = (db: Db, userId: string, contextId: ContextId | null) => async () => {
  const user = await findLiveUser(db, userId);
  if (user === null) throw new Error('Nobody is disabled in a chat here.');
  const principal = principalOfUser(user, 'chat', CHAT_SCOPES);
  return { headers: {}, env: { inside: { principal, contextId } } };
};

const EVERYWHERE = { kind: 'installation' } as const;

/** The sign-ins of somebody's own: a token is the user's id with dots, a certificate is the connection it came on. */
export function signIns(db: Db): {
  readonly oidc: TokenSignIn;
  readonly certificates: CertificateSignIn;
  readonly connectionOf: (userId: string) => IncomingMessage;
} {
  const holders = new WeakMap<IncomingMessage, string>();
  const find = async (userId: string, via: 'oidc' | 'certificate') => {
    const user = await findLiveUser(db, userId);
    return user === null ? null : principalOfUser(user, via);
  };
  return {
    oidc: { authenticate: (token) => find(token.split('.')[1] ?? '', 'oidc') },
    certificates: {
      authenticate: async (incoming) => {
        const userId = holders.get(incoming);
        return userId === undefined ? null : find(userId, 'certificate');
      },
    },
    connectionOf(userId) {
      const incoming = new IncomingMessage(new Socket());
      holders.set(incoming, userId);
      return incoming;
    },
  };
}

/** Every role by every way of asking, at every kind of place, and those who should get nothing. */
export async function makePeople(
  db: Db,
  places: Places,
  { connectionOf }: ReturnType<typeof signIns>,
): Promise<readonly Person[]> {
  const there = { kind: 'workspace', workspaceId: places.there } as const;
  const elsewhere = { kind: 'workspace', workspaceId: places.elsewhere } as const;
  const inContext = {
    kind: 'context',
    workspaceId: places.there,
    contextId: places.contextId,
  } as const;
  const people: Person[] = [];
  const add = (name: string, has: Partial<Person>, comes: Person['comes']): void => {
    people.push({
      name,
      isKnown: true,
      bindings: [],
      scopes: SCOPES,
      contextId: null,
      ...has,
      comes,
    });
  };
  const byCertificate = (userId: string) => async () => ({
    headers: {},
    env: { incoming: connectionOf(userId) },
  });
  for (const role of ROLES) {
    const has = (place: RolePlace) => ({ bindings: [{ role, place }] });
    add(`key ${role}`, has(EVERYWHERE), byKey(await makeKeyOf(db, null, { role })));
    const keyThere = await makeKeyOf(db, null, { role, workspaceId: places.there });
    add(`key there ${role}`, has(there), byKey(keyThere));
    const all = await makeUserOf(db, { role, place: EVERYWHERE });
    add(`key of ${role}`, has(EVERYWHERE), byKey(await makeKeyOf(db, all, { role: 'overlord' })));
    add(`token of ${role}`, has(EVERYWHERE), byToken(all));
    add(`certificate of ${role}`, has(EVERYWHERE), byCertificate(all));
    add(`chat of ${role}`, { ...has(EVERYWHERE), scopes: CHAT_SCOPES }, byChat(db, all, null));
    const top = await makeUserOf(db, { role: 'overlord', place: EVERYWHERE });
    add(`${role} key of overlord`, has(EVERYWHERE), byKey(await makeKeyOf(db, top, { role })));
    const local = await makeUserOf(db, { role, place: there });
    add(`token of ${role} there`, has(there), byToken(local));
    const stranger = await makeUserOf(db, { role, place: elsewhere });
    add(`token of ${role} elsewhere`, has(elsewhere), byToken(stranger));
    const guest = await makeUserOf(db, { role, place: inContext });
    add(`token of ${role} in the context`, has(inContext), byToken(guest));
    const speaks = { scopes: CHAT_SCOPES, contextId: places.contextId };
    const chat = byChat(db, guest, places.contextId);
    add(`chat of ${role} in the context`, { ...has(inContext), ...speaks }, chat);
  }
  const tool = { kind: 'tool', workspaceId: places.there, name: 'deploy' } as const;
  const forTool = { role: 'overlord', place: tool } as const;
  const smith = await makeUserOf(db, forTool);
  add('token of overlord for a tool', { bindings: [forTool] }, byToken(smith));
  const narrow = await makeKeyOf(
    db,
    await makeUserOf(db, { role: 'overlord', place: EVERYWHERE }),
    { role: 'viewer', workspaceId: places.there },
  );
  add(
    'viewer key there of overlord',
    { bindings: [{ role: 'viewer', place: there }] },
    byKey(narrow),
  );
  const nobody = await makeUserOf(db, null);
  add('token of who has no role', {}, byToken(nobody));
  add('key of who has no role', {}, byKey(await makeKeyOf(db, nobody, { role: 'overlord' })));
  const gone = await makeUserOf(db, { role: 'overlord', place: EVERYWHERE });
  const keyOfGone = await makeKeyOf(db, gone, { role: 'overlord' });
  await setDisabled(db, { id: gone, disabled: true });
  add('key of a disabled overlord', { isKnown: false }, byKey(keyOfGone));
  add('token of a disabled overlord', { isKnown: false }, byToken(gone));
  add('certificate of a disabled overlord', { isKnown: false }, byCertificate(gone));
  return people;
}

export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}

export async function makeUserOf(db: Db, binding: RoleBinding | null): Promise<string> {
  const id = newId('user');
  await insertUser(db, { id, name: 'overlord', createdBy: 'test' });
  if (binding === null) return id;
  const made = { id: newId('roleBinding'), userId: id, createdBy: 'test' };
  await insertRoleBinding(db, { ...made, ...binding });
  return id;
}

export async function makeKeyOf(
  db: Db,
  userId: string | null,
  key: {
    readonly role: Role;
    readonly workspaceId?: string;
    readonly scopes?: readonly Scope[];
  },
): Promise<Made & { readonly id: string }> {
  const { secret, prefix, hash } = makeApiKey();
  const id = makeId('apiKey', crypto.randomUUID());
  await insertKey(db, {
    id,
    prefix,
    hash,
    name: 'test',
    userId,
    createdBy: 'test',
    expiresAt: null,
    role: key.role,
    scopes: key.scopes ?? SCOPES,
    workspaceId: key.workspaceId ?? null,
  });
  return { userId, secret, id };
}
