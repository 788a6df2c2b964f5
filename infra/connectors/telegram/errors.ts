import { GrammyError, HttpError } from 'grammy';
import { ConnectorError } from '../contract.ts';

/** Where nothing was sent yet when it failed. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
const DESCRIPTION_LENGTH_MAX = 300;
/** While the token is not taken, asking more often does not help; another secret ends the waiting at once. */
const REFUSED_PAUSE_MS = 30_000;

/**
 * What the network's answer means for a post. The library's errors hold the address that was asked, and with it the
 * bot's token: they are never passed on as a cause.
 */
export function connectorErrorOf(error: unknown): ConnectorError {
  if (error instanceof ConnectorError) return error;
  if (error instanceof GrammyError) return refusalOf(error);
  if (error instanceof HttpError) return breakOf(error);
  // Before anything was sent: whatever the library does not take.
  return new ConnectorError('rejected', 'The post cannot be put into words for Telegram.');
}

function refusalOf(error: GrammyError): ConnectorError {
  const { error_code: code, parameters } = error;
  const message = `Telegram: ${error.description.slice(0, DESCRIPTION_LENGTH_MAX)}`;
  const { migrate_to_chat_id: movedTo, retry_after: seconds } = parameters;
  if (movedTo !== undefined) {
    return new ConnectorError('retry', message, { movedTo: String(movedTo), retryAfterMs: 0 });
  }
  if (code === 429) {
    return new ConnectorError('retry', message, { retryAfterMs: (seconds ?? 1) * 1_000 });
  }
  if (isTokenRefused(error)) {
    const options = { scope: 'all', retryAfterMs: REFUSED_PAUSE_MS } as const;
    return new ConnectorError('retry', message, options);
  }
  // It answered in its own words that it did not do it.
  if (code >= 500) return new ConnectorError('retry', message);
  return new ConnectorError('rejected', message);
}

/** 401: revoked. 404: what was given is no token at all. */
export function isTokenRefused(error: unknown): boolean {
  return error instanceof GrammyError && (error.error_code === 401 || error.error_code === 404);
}

/** Where a token that is not taken ends everything. */
export function identityError(error: unknown): ConnectorError {
  if (!isTokenRefused(error)) return connectorErrorOf(error);
  return new ConnectorError(
    'rejected',
    'Telegram does not take this token: it is wrong or revoked.',
  );
}

export function isConflict(error: unknown): boolean {
  return error instanceof GrammyError && error.error_code === 409;
}

function breakOf(error: HttpError): ConnectorError {
  const code = codeOf(error.error);
  if (code !== null && NEVER_SENT.has(code)) {
    return new ConnectorError('retry', `Telegram cannot be reached (${code}).`, { scope: 'all' });
  }
  const why = code === null ? '' : ` (${code})`;
  return new ConnectorError('uncertain', `The connection broke before Telegram answered${why}.`);
}

function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' && /^[A-Z_]{3,50}$/.test(error.code) ? error.code : null;
}
