import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import type { ApiDeps } from './deps.ts';
import { answerProblem, HttpError, problemOf, problemResponse } from './errors.ts';
import { pass, type ApiContext, type GateDeps, type Passage } from './gate.ts';
import { recordAccess } from './middleware/access-log.ts';
import { guardCertificate } from './middleware/certificate.ts';
import { guardAdmin } from './middleware/codec-cors.ts';
import { LOOPBACK_RULE, ruleOfNames } from './middleware/loopback.ts';
import { createRateLimiter } from './middleware/rate.ts';
import { traced } from './middleware/trace.ts';
import type { ListenerKind, Route } from './route.ts';
import { routes } from './routes/index.ts';
import type { ApiApp } from './upgrade.ts';

/** How an admin listener is guarded beyond keys: by being on this machine, or by certificates, under these names. */
export type AdminDoor = 'loopback' | { readonly names: readonly string[] };

/** The whole API, or what of it a listener serves: the table of `routes/index.ts`, each behind the one gate. Nothing else registers a handler. */
export function createApp(
  deps: ApiDeps,
  listener: ListenerKind,
  door: AdminDoor = 'loopback',
): ApiApp {
  const gate: GateDeps = { deps, limiter: createRateLimiter(deps.clock), listener };
  const app: ApiApp = new Hono();
  app.use(requestId({ limitLength: 128 }));
  app.use(async (c, next) => {
    await next();
    // The library's own header is lost where a handler makes its response itself.
    c.res.headers.set('x-request-id', c.get('requestId'));
  });
  app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'none'"] }, overwrite: false }));
  if (listener === 'admin') {
    const rule = door === 'loopback' ? LOOPBACK_RULE : ruleOfNames(door.names);
    app.use(guardAdmin(deps.codec?.uiOrigin ?? null, rule));
    if (door !== 'loopback') app.use(guardCertificate(deps));
  }
  const served = routes.filter((route) => listener === 'admin' || route.listener === 'public');
  for (const route of served) {
    app.on(route.method, honoPath(route.path), (c) =>
      traced(route, c, () => serve(route, c, gate)),
    );
  }
  for (const [path, methods] of methodsByPath(served)) {
    app.all(honoPath(path), (c) => answerProblem(c, methodNotAllowed(methods)));
  }
  app.notFound((c) => answerProblem(c, noRoute()));
  app.onError((error, c) => {
    deps.logger.error({ err: error, requestId: c.get('requestId') }, 'A request failed.');
    return answerProblem(c, error);
  });
  return app;
}

async function serve(route: Route, c: ApiContext, gate: GateDeps): Promise<Response> {
  const startedAt = performance.now();
  const passage: Passage = { caller: null, agent: null, rule: null, target: null, headers: {} };
  const response = await pass(route, { c, passage }, gate).catch((error: unknown) => {
    const problem = problemOf(error, c.get('requestId'));
    if (problem.status >= 500) {
      const requestIdOfThis = c.get('requestId');
      gate.deps.logger.error({ err: error, requestId: requestIdOfThis }, 'A request failed.');
    }
    const answer = { ...problem, headers: { ...passage.headers, ...problem.headers } };
    return route.problem?.(answer, c.req.raw) ?? problemResponse(answer);
  });
  const record = {
    requestId: c.get('requestId'),
    method: c.req.method,
    route: route.name,
    status: response.status,
    ms: Math.round((performance.now() - startedAt) * 10) / 10,
    principalId: passage.caller?.id ?? passage.agent?.agentId ?? null,
    rule: passage.rule,
    target: passage.target,
  };
  recordAccess(record, gate.deps);
  return c.req.method === 'HEAD' ? withoutBody(response) : response;
}

/** A stream that nobody reads would hold its reader for ever. */
async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, response);
}

/** The table speaks OpenAPI (`{agent}`), Hono speaks `:agent`. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function methodsByPath(table: readonly Route[]): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>();
  for (const { path, method } of table) {
    methods.set(path, [...(methods.get(path) ?? []), method]);
  }
  return methods;
}

function methodNotAllowed(methods: readonly string[]): HttpError {
  const allow = methods.join(', ');
  return new HttpError('invalid_input', `This address takes ${allow} only.`, {
    status: 405,
    headers: { allow },
  });
}

function noRoute(): HttpError {
  return new HttpError('not_found', 'There is nothing at this address. See /v1/openapi.json.');
}
