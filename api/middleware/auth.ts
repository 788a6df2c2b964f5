import { narrow } from '../../domain/authorize.ts';
import type { UserPrincipal } from '../../domain/principal.ts';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { findKeyByPrefix, touchKey, type ApiKey } from '../../infra/db/queries/key.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import { equalText, sha256Hex } from '../../infra/digest.ts';
import type { ApiDeps } from '../deps.ts';
import { findCookieKey } from './panel-session.ts';

/** `rk_<prefix>_<secret>`: the prefix finds the row, the hash of the whole decides. */
const API_KEY = /^rk_([0-9A-Za-z]{4,32})_[0-9A-Za-z_-]{16,128}$/;
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/i;

/** Compared against where there is no row, so that an unknown prefix costs what a wrong secret costs. */
const NO_HASH = '0'.repeat(64);

/** `last_used_at` is for people; a write per request would cost more than the request. */
const TOUCH_EVERY_MS = 60_000;

/** One answer for every way of not being known: which one it was would help only an attacker. */
function unauthenticated(): AppError {
  return new AppError(
    'unauthenticated',
    'A valid API key is needed: send it as "Authorization: Bearer rk_…".',
  );
}

/** Who calls: by a header where there is one, else by the cookie of a panel's session. Throws `unauthenticated`. */
export async function authenticateRequest(
  deps: Pick<ApiDeps, 'db' | 'clock'>,
  request: Pick<Request, 'method' | 'headers'>,
): Promise<UserPrincipal> {
  const header = request.headers.get('authorization');
  const key = header === null ? await findCookieKey(deps, request) : null;
  return key === null ? authenticate(deps, header) : callerOf(deps, key);
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
  if (user === null) throw unauthenticated();
  const bindings = narrow(user.bindings, { role, place });
  return { ...common, id: user.id, userId: user.id, name: user.name, bindings };
}
