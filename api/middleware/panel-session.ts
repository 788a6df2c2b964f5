import { randomBytes } from 'node:crypto';
import { findPanelSession, openPanelSession } from '../../infra/db/queries/panel.ts';
import { equalText, sha256Hex } from '../../infra/digest.ts';
import type { ApiKey } from '../../infra/db/queries/key.ts';
import type { ApiDeps } from '../deps.ts';

/** A working day: long enough not to be in the way, short enough for a browser that was left open. */
const SESSION_TTL_MS = 12 * 60 * 60 * 1_000;
const TOKEN_BYTES = 32;
const TOKEN = /^[0-9A-Za-z_-]{43}$/;

/** Browsers take a `__Host-` cookie over TLS only, for this host only and from no sub-domain. */
const COOKIE = { tls: '__Host-rookery_panel', plain: 'rookery_panel' } as const;
/** Repeats a secret of the page, which no other site can read. */
const CSRF_HEADER = 'x-rookery-csrf';

export function makePanelToken(): { readonly token: string; readonly tokenHash: string } {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  return { token, tokenHash: sha256Hex(token) };
}

/** Opens a session for a key. Answers the cookie that holds it. */
export async function openSession(
  { db }: Pick<ApiDeps, 'db'>,
  { keyId, isTls }: { readonly keyId: string; readonly isTls: boolean },
): Promise<string> {
  const { token, tokenHash } = makePanelToken();
  await openPanelSession(db, { tokenHash, keyId, ttlMs: SESSION_TTL_MS });
  return cookieOf(token, { isTls, maxAgeSeconds: SESSION_TTL_MS / 1_000 });
}

export function endedCookies(): readonly string[] {
  return [true, false].map((isTls) => cookieOf('', { isTls, maxAgeSeconds: 0 }));
}

function cookieOf(
  token: string,
  { isTls, maxAgeSeconds }: { readonly isTls: boolean; readonly maxAgeSeconds: number },
): string {
  const name = isTls ? COOKIE.tls : COOKIE.plain;
  const secure = isTls ? '; Secure' : '';
  return `${name}=${token}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** What the cookie of a session holds; null where there is none of ours. */
export function panelTokenOf(headers: Headers): string | null {
  const cookies = new Map(
    (headers.get('cookie') ?? '').split(';').map((pair): [string, string] => {
      const [name = '', value = ''] = pair.split('=', 2);
      return [name.trim(), value.trim()];
    }),
  );
  const token = cookies.get(COOKIE.tls) ?? cookies.get(COOKIE.plain) ?? '';
  return TOKEN.test(token) ? token : null;
}

/** Made from the session, so that there is nothing to store. It tells nothing of the session's own token. */
export function csrfOf(token: string): string {
  return sha256Hex(`csrf\n${token}`);
}

export function isCsrfOf(headers: Headers, given: string | null): boolean {
  const token = panelTokenOf(headers);
  return token !== null && equalText(csrfOf(token), given ?? '');
}

/** Whether the page that asks is our own: its origin is the host it asks. */
export function isOwnOrigin(headers: Headers): boolean {
  const origin = headers.get('origin');
  const host = headers.get('host');
  if (origin === null || host === null || !URL.canParse(origin)) return false;
  return new URL(origin).host === host.toLowerCase();
}

/** Whether a browser says that another site's page made this request. Programs say nothing of the kind. */
export function isForeignPage({ headers }: Pick<Request, 'headers'>): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin' && site !== 'none') return true;
  return headers.has('origin') && !isOwnOrigin(headers);
}

/**
 * The key behind a panel's cookie; null where there is none, or where another page could have sent it. The cookie is
 * `SameSite=Strict`, but a site is all ports of a machine, so what changes something, or opens a socket, must besides
 * come from our own origin, and repeat the page's secret where it can.
 */
export async function findCookieKey(
  { db }: Pick<ApiDeps, 'db'>,
  { method, headers }: Pick<Request, 'method' | 'headers'>,
): Promise<ApiKey | null> {
  const token = panelTokenOf(headers);
  if (token === null) return null;
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin' && site !== 'none') return null;
  const isSocket = headers.get('upgrade') !== null;
  const isSafe = (method === 'GET' || method === 'HEAD') && !isSocket;
  if (!isSafe && !isOwnOrigin(headers)) return null;
  if (!isSafe && !isSocket && !isCsrfOf(headers, headers.get(CSRF_HEADER))) return null;
  return findPanelSession(db, sha256Hex(token));
}
