import { DiscordAPIError, HTTPError, RateLimitError, REST } from 'discord.js';
import { z } from 'zod';
import { errnoOf } from '../../errno.ts';
import { ConnectorError } from '../contract.ts';

/** A limit that is over this soon is waited for here; for a longer one the outbox waits, which may say other things meanwhile. */
const RATE_WAIT_MS_MAX = 2_000;
/** Of one request. Discord answers within a second or not at all. */
const REQUEST_TIMEOUT_MS = 15_000;

/** How requests are made, by us and by the gateway's client. */
export function restOptions(apiRoot: string) {
  return {
    api: apiRoot,
    version: '10',
    // Who calls decides what is safe to repeat.
    retries: 0,
    timeout: REQUEST_TIMEOUT_MS,
    rejectOnRateLimit: ({ retryAfter }: { readonly retryAfter: number }) =>
      retryAfter > RATE_WAIT_MS_MAX,
  };
}

export function createRest(apiRoot: string, token: string): REST {
  return new REST(restOptions(apiRoot)).setToken(token);
}

/** Discord's own numbers of what went wrong. */
export const CODES = {
  unknownChannel: 10_003,
  unknownMessage: 10_008,
  unknownWebhook: 10_015,
  unknownInteraction: 10_062,
  alreadyAcknowledged: 40_060,
  missingAccess: 50_001,
  missingPermissions: 50_013,
  invalidWebhookToken: 50_027,
} as const;

export function codeOf(error: unknown): number | null {
  return error instanceof DiscordAPIError && typeof error.code === 'number' ? error.code : null;
}

/** It never reached Discord, so that it may be said again. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** While the token is not taken, asking more often does not help; another one ends the waiting at once. */
const REFUSED_PAUSE_MS = 30_000;

/**
 * What became of a post. The library's errors carry the address, which has tokens in it, and the body: neither goes on.
 * `isRepeatable`: doing it twice is like doing it once, so that nothing about it is uncertain.
 */
export function toConnectorError(error: unknown, isRepeatable: boolean): ConnectorError {
  if (error instanceof ConnectorError) return error;
  if (isTokenRefused(error)) {
    return new ConnectorError('retry', TOKEN_REFUSED, {
      retryAfterMs: REFUSED_PAUSE_MS,
      scope: 'all',
    });
  }
  if (error instanceof RateLimitError) {
    return new ConnectorError('retry', 'Discord asks to wait.', {
      retryAfterMs: Math.ceil(error.retryAfter),
      scope: error.global ? 'all' : 'chat',
    });
  }
  if (error instanceof DiscordAPIError) {
    const kind = error.status === 429 ? 'retry' : 'rejected';
    return new ConnectorError(kind, `Discord refused it: ${reasonOf(error)}`);
  }
  if (error instanceof HTTPError) {
    const kind = isRepeatable || error.status === 503 ? 'retry' : 'uncertain';
    return new ConnectorError(kind, `Discord failed with status ${error.status}.`);
  }
  if (error instanceof z.ZodError) {
    return new ConnectorError('uncertain', 'Discord answered with something unexpected.');
  }
  const reason = networkReason(error);
  if (NEVER_SENT.has(reason)) {
    return new ConnectorError('retry', `Discord cannot be reached (${reason}).`, { scope: 'all' });
  }
  const kind = isRepeatable ? 'retry' : 'uncertain';
  return new ConnectorError(kind, `The connection broke before Discord answered (${reason}).`);
}

/** The same for what is read, where only another token helps against a refused one. */
export function readError(error: unknown): ConnectorError {
  if (isTokenRefused(error)) return new ConnectorError('rejected', TOKEN_REFUSED);
  const { kind, message, retryAfterMs } = toConnectorError(error, true);
  const options = retryAfterMs === null ? {} : { retryAfterMs };
  return new ConnectorError(kind === 'uncertain' ? 'retry' : kind, message, options);
}

/** The library forgets a token that was refused, and says at the next request that there is none. */
function isTokenRefused(error: unknown): boolean {
  return (
    (error instanceof DiscordAPIError && error.status === 401) ||
    (error instanceof Error && error.message.startsWith('Expected token to be set'))
  );
}

export const TOKEN_REFUSED =
  "Discord does not take the bot's token. Make a new one in the developer portal and give it to the connector.";

const REASONS: Readonly<Record<number, string>> = {
  [CODES.unknownChannel]: 'the channel does not exist, or was deleted.',
  [CODES.unknownMessage]: 'the message does not exist any more.',
  [CODES.missingAccess]: 'the bot cannot see the channel. Give it the permission View Channel.',
  [CODES.missingPermissions]:
    'the bot lacks a permission there: Send Messages, Embed Links, Attach Files or Read Message History.',
  50_007: 'this person takes no messages from the bot.',
  50_278: 'this person takes no messages from the bot.',
};

function reasonOf(error: DiscordAPIError): string {
  return REASONS[Number(error.code)] ?? `code ${error.code}, status ${error.status}.`;
}

function networkReason(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const errno = errnoOf(at);
    if (typeof errno === 'string') return errno;
    if (at.name === 'AbortError' || at.name === 'TimeoutError') return 'no answer in time';
  }
  return 'the connection broke';
}
