import type { MiddlewareHandler } from 'hono';
import { checkHost, type HostRule } from './loopback.ts';

const PATH = '/codec/';
/** How long a browser may remember the answer: two hours is the longest that any does, and ten minutes cost nothing. */
const MAX_AGE_SECONDS = 600;

/**
 * What the admin listener asks of every request before anything else: that it was meant for it, and comes from none but
 * our own pages. The one exception is Temporal's Web UI, at `uiOrigin`: it may ask /codec, with a key.
 */
export function guardAdmin(uiOrigin: string | null, rule: HostRule): MiddlewareHandler {
  return async (c, next) => {
    const isUi =
      uiOrigin !== null && c.req.path.startsWith(PATH) && c.req.header('origin') === uiOrigin;
    checkHost(c.req.raw, rule, isUi ? uiOrigin : null);
    if (!isUi) return next();
    if (c.req.method === 'OPTIONS') return preflight(uiOrigin);
    await next();
    for (const [name, value] of Object.entries(headersFor(uiOrigin)))
      c.res.headers.set(name, value);
  };
}

function preflight(origin: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...headersFor(origin),
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization, content-type, x-namespace',
      'access-control-max-age': String(MAX_AGE_SECONDS),
    },
  });
}

function headersFor(origin: string): Readonly<Record<string, string>> {
  return { 'access-control-allow-origin': origin, vary: 'origin' };
}
