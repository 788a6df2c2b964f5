import type { Context } from 'hono';
import { ruleOf } from '../domain/action.ts';
import { AppError } from '../domain/error.ts';
import type { UserPrincipal } from '../domain/principal.ts';
import { ANYWHERE, authorize, enough, type Place } from '../domain/authorize.ts';
import type { ApiDeps } from './deps.ts';
import { HttpError } from './errors.ts';
import { authenticateAgent, type AgentCaller } from './middleware/agent-auth.ts';
import { authenticateRequest } from './middleware/auth.ts';
import { readBody } from './middleware/body.ts';
import { once, readIdempotencyKey, requestDigest } from './middleware/idempotency.ts';
import type { RateLimiter } from './middleware/rate.ts';
import {
  isUserAccess,
  type Answer,
  type Caller,
  type Connection,
  type ListenerKind,
  type Route,
  type UserAccess,
} from './route.ts';
import { getContext } from '../infra/db/queries/context.ts';
import { findTarget, type FoundTarget } from './target.ts';
import type { Bindings } from './upgrade.ts';

const NO_BYTES = new Uint8Array();

export type ApiContext = Context<{ Bindings: Bindings; Variables: { requestId: string } }>;

/** Fills while a request passes, for the access log: also for one that is refused half-way. */
export interface Passage {
  caller: Caller | null;
  agent: AgentCaller | null;
  rule: string | null;
  target: string | null;
  headers: Readonly<Record<string, string>>;
}

export interface GateDeps {
  readonly deps: ApiDeps;
  readonly limiter: RateLimiter;
  readonly listener: ListenerKind;
}

/**
 * What every request goes through, in this order: who, how often, may he ask, is the record his, is it the first
 * time, the work. Nothing else calls a handler.
 */
export async function pass(
  route: Route,
  { c, passage }: { readonly c: ApiContext; readonly passage: Passage },
  gate: GateDeps,
): Promise<Response> {
  const { deps } = gate;
  await letIn(route, { c, passage }, gate);
  const { agent } = passage;
  const place = await locate(route, { c, passage }, deps);
  const { workspaceId, contextId } = place;
  const { caller } = passage;

  const request = c.req.raw;
  const idempotencyKey = route.idempotent ? readIdempotencyKey(request.headers) : '';
  const body = route.isRaw ? { value: {}, bytes: NO_BYTES } : await readBody(request);
  const work = (): Promise<Answer> =>
    route.handle(
      {
        params: c.req.param(),
        query: readQuery(c),
        body: body.value,
        request,
        requestId: c.get('requestId'),
        idempotencyKey,
        workspaceId,
        contextId,
        listener: gate.listener,
        accept: c.env?.accept ?? null,
        connection: connectionOf(c.env),
        hangUp: () => c.env?.incoming?.socket.destroy(),
        lookAgain: () => lookAgain(route, { c, passage }, { deps, ...place }),
        caller,
        agent,
      },
      deps,
    );
  if (!route.idempotent || caller === null) return respond(await work(), passage);
  const name = {
    workspaceId: workspaceId ?? '',
    principalId: caller.id,
    route: route.name,
    key: idempotencyKey,
  };
  const digest = requestDigest(request, body.bytes);
  return respond(await once(deps, { name, digest, storable: route.storable }, work), passage);
}

function connectionOf(bindings: Bindings | undefined): Connection | null {
  const { incoming, outgoing } = bindings ?? {};
  return incoming === undefined || outgoing === undefined ? null : { incoming, outgoing };
}

interface Passing {
  readonly c: ApiContext;
  readonly passage: Passage;
}

async function letIn(route: Route, { c, passage }: Passing, gate: GateDeps): Promise<void> {
  const { deps, limiter } = gate;
  const address = c.env?.incoming?.socket.remoteAddress ?? 'inside';
  const countFailure = (error: unknown): never => {
    if (error instanceof AppError) limiter.take(address, 'login');
    throw error;
  };
  if (route.access === 'public') {
    passage.rule = 'public';
    passage.headers = limiter.take(address, route.rate);
    return;
  }
  passage.rule = 'authenticated';
  if (!isUserAccess(route.access)) {
    const agent = await authenticateAgent(deps, {
      use: route.access.agent,
      headers: c.req.raw.headers,
    }).catch(countFailure);
    passage.agent = agent;
    passage.rule = `agent:${route.access.agent}`;
    passage.headers = limiter.take(agent.agentId, route.rate);
    return;
  }
  const who = await whoAsks(c, deps).catch(countFailure);
  passage.headers = limiter.take(who.id, route.rate);
  // Until it is known where: less than anybody.
  passage.caller = { ...who, role: 'viewer' };
}

async function whoAsks(c: ApiContext, deps: ApiDeps): Promise<UserPrincipal> {
  const inside = c.env?.inside?.principal;
  if (inside !== undefined) return inside;
  return authenticateRequest(deps, { request: c.req.raw, incoming: c.env?.incoming });
}

/** For what stays open: the caller as he is now, which throws where he may no longer ask for it. */
async function lookAgain(
  { access, target }: Route,
  { c, passage }: Passing,
  { deps, ...place }: FoundTarget & { readonly deps: ApiDeps },
): Promise<Caller> {
  if (!isUserAccess(access)) throw new Error('Only people are looked at again.');
  const who = await whoAsks(c, deps);
  const caller = { ...who, role: 'viewer' } as const;
  return allow(access, { passage, caller, place: target === null ? ANYWHERE : place });
}

const NOWHERE: FoundTarget = { workspaceId: null, contextId: null, isPrivate: false };

/** Finds what the route is about, and whether the caller may ask for it there. */
async function locate(route: Route, { c, passage }: Passing, deps: ApiDeps): Promise<FoundTarget> {
  const { access, target } = route;
  const { caller } = passage;
  if (caller === null || !isUserAccess(access)) return NOWHERE;
  if (target === null) {
    passage.caller = allow(access, { passage, caller, place: ANYWHERE });
    return NOWHERE;
  }
  const value = c.req.param(target.param) ?? '';
  // A code opens an approval and is not written down.
  if (target.kind !== 'approvalCode') passage.target = value.slice(0, 64).toWellFormed();
  const found = await findTarget(deps.db, { kind: target.kind, value }, caller);
  const contextId = found.contextId ?? (await spokenIn(access, { c, found }, deps));
  const place = { ...found, contextId };
  passage.caller = allow(access, { passage, caller, place });
  return place;
}

/** The context that something was asked in, where it is one of this workspace and what is asked can be done in it alone. */
async function spokenIn(
  { action }: UserAccess,
  { c, found }: { readonly c: ApiContext; readonly found: FoundTarget },
  { db }: ApiDeps,
): Promise<string | null> {
  const contextId = c.env?.inside?.contextId ?? null;
  if (contextId === null || ruleOf(action).inContext !== true) return null;
  const context = await getContext(db, contextId);
  return context?.workspaceId === found.workspaceId ? contextId : null;
}

interface Asking {
  readonly passage: Passage;
  readonly caller: Caller;
  readonly place: Place | typeof ANYWHERE;
}

/**
 * The caller with his role there. A route that names no place gets him with what is enough for it and nothing else, so
 * that wherever its handler finds that he has to do with a workspace, he may do there what he asks for.
 */
function allow(access: UserAccess, { passage, caller, place }: Asking): Caller {
  const decision = authorize(caller, access.action, place);
  passage.rule = decision.rule;
  if (decision.kind === 'deny') throw new AppError('policy_denied', decision.message);
  const { role } = decision;
  if (place !== ANYWHERE) return { ...caller, role };
  return { ...caller, role, bindings: enough(caller.bindings, access.action) };
}

/** A parameter given twice means two things, so it means neither. */
function readQuery(c: ApiContext): Readonly<Record<string, string>> {
  const entries = Object.entries(c.req.queries()).map(([name, values]): [string, string] => {
    const [value, ...others] = values;
    if (value === undefined || others.length > 0) {
      throw new HttpError('invalid_input', 'Each query parameter may be given once.');
    }
    return [name, value];
  });
  return Object.fromEntries(entries);
}

function respond(answer: Answer, passage: Passage): Response {
  if (answer.kind === 'response') {
    for (const [name, value] of Object.entries(passage.headers)) {
      answer.response.headers.set(name, value);
    }
    return answer.response;
  }
  const { status, body, headers } = answer.reply;
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      ...passage.headers,
      'cache-control': 'no-store',
      ...headers,
      'content-type': 'application/json',
    },
  });
}
