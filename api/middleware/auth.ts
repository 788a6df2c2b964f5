import type { IncomingMessage } from 'node:http';
import { narrow } from '../../domain/authorize.ts';
import { SCOPES, type Scope, type UserPrincipal, type UserVia } from '../../domain/principal.ts';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { findKeyByPrefix, touchKey, type ApiKey } from '../../infra/db/queries/key.ts';
import { findLiveUser, type LiveUser } from '../../infra/db/queries/principal.ts';
import { equalText, sha256Hex } from '../../infra/digest.ts';
import { isPrivateWorkspace } from '../../infra/db/queries/workspace-kind.ts';
import type { Executor } from '../../infra/db/schema.ts';
import type { ApiDeps } from '../deps.ts';
import { findCookieKey, isForeignPage } from './panel-session.ts';

/** `rk_<prefix>_<secret>`: the prefix finds the row, the hash of the whole decides. */
const API_KEY = /^rk_([0-9A-Za-z]{4,32})_[0-9A-Za-z_-]{16,128}$/;
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/i;

/** Compared against where there is no row, so that an unknown prefix costs what a wrong secret costs. */
const NO_HASH = '0'.repeat(64);

/** A JWT: three parts, far below what a header may be. No key of ours looks like it. */
const TOKEN = /^Bearer ((?:[A-Za-z0-9_-]{1,8192}\.){2}[A-Za-z0-9_-]{0,8192})$/i;

/** `last_used_at` is for people; a write per request would cost more than the request. */
const TOUCH_EVERY_MS = 60_000;

/** One answer for every way of not being known: which one it was would help only an attacker. */
function unauthenticated(): AppError {
  return new AppError(
    'unauthenticated',
    'A valid API key is needed: send it as "Authorization: Bearer rk_…".',
  );
}

type AuthDeps = Pick<ApiDeps, 'db' | 'clock' | 'oidc' | 'certificates'>;

/** A request, and the connection that it came on where it came on one. */
export interface Asked {
  readonly request: Pick<Request, 'method' | 'headers'>;
  readonly incoming?: IncomingMessage | undefined;
}

/**
 * Who calls: by the certificate of the connection where there is one, whatever key comes with it; else by a header (a
 * key of ours, or the token of a sign-in), else by the cookie of a panel's session. What is shown and not good is
 * refused: nothing else is tried in its place. Throws `unauthenticated`.
 */
export async function authenticateRequest(
  deps: AuthDeps,
  { request, incoming }: Asked,
): Promise<UserPrincipal> {
  // A browser sends a certificate by itself, as it does a cookie: another page's request is not its owner's.
  if (incoming !== undefined && deps.certificates !== undefined && !isForeignPage(request)) {
    const user = await deps.certificates.authenticate(incoming);
    if (user !== null) return user;
  }
  const header = request.headers.get('authorization');
  if (header !== null) {
    const token = deps.oidc === undefined ? undefined : TOKEN.exec(header)?.[1];
    if (token === undefined) return authenticate(deps, header);
    return (await deps.oidc?.authenticate(token)) ?? refuse();
  }
  const key = await findCookieKey(deps, request);
  return key === null ? authenticate(deps, header) : callerOf(deps, key);
}

function refuse(): never {
  throw unauthenticated();
}

/** A person who was recognised by something else than a key, with the roles that he has now. */
export function principalOfUser(
  { id, name, bindings }: LiveUser,
  via: Exclude<UserVia, 'api_key'>,
  scopes: readonly Scope[] = SCOPES,
): UserPrincipal {
  return { kind: 'user', via, id, userId: id, keyId: null, name, bindings, scopes };
}

/** Who calls, by the key of the `Authorization` header. Throws `unauthenticated`. */
export async function authenticate(
  deps: Pick<ApiDeps, 'db' | 'clock'>,
  header: string | null,
): Promise<UserPrincipal> {
  const key = BEARER.exec(header ?? '')?.[1] ?? '';
  // Looked up even when malformed: every refusal does the same work.
  const row = await findKeyByPrefix(deps.db, API_KEY.exec(key)?.[1] ?? '');
  const isRight = equalText(sha256Hex(key), row?.hash ?? NO_HASH);
  if (row === null || !isRight) throw unauthenticated();
  return callerOf(deps, row);
}

/** Of a user's key, what he may do himself and the key allows; a key of nobody's in particular is a principal itself. */
async function callerOf(
  { db, clock }: Pick<ApiDeps, 'db' | 'clock'>,
  row: ApiKey,
): Promise<UserPrincipal> {
  if (clock.now() - (row.lastUsedAt?.getTime() ?? 0) > TOUCH_EVERY_MS) await touchKey(db, row.id);
  return (await principalOfKey(db, row)) ?? refuse();
}

/** Whose key this is, and what is left of his roles with it; null where he is disabled. */
export async function principalOfKey(db: Executor, row: ApiKey): Promise<UserPrincipal | null> {
  const keyId = parseId('apiKey', row.id);
  const { role, scopes, workspaceId } = row;
  const place =
    workspaceId === null
      ? ({ kind: 'installation' } as const)
      : ({ kind: 'workspace', workspaceId: parseId('workspace', workspaceId) } as const);
  const common = { kind: 'user', via: 'api_key', keyId, scopes } as const;
  if (row.userId === null) {
    return { ...common, id: keyId, userId: null, name: row.name, bindings: [{ role, place }] };
  }
  const user = await findLiveUser(db, row.userId);
  if (user === null) return null;
  const isPrivate = workspaceId !== null && (await isPrivateWorkspace(db, workspaceId));
  const bindings = narrow(user.bindings, { role, place, isPrivate });
  return { ...common, id: user.id, userId: user.id, name: user.name, bindings };
}
