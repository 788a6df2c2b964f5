import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { ACTIONS, type Action, type ActionRule } from '../domain/action.ts';
import type { Role, UserPrincipal } from '../domain/principal.ts';
import type { WorkspaceId } from '../domain/id.ts';
import type { AgentKeyUse } from '../infra/db/tables/agent-key.ts';
import type { ApiDeps } from './deps.ts';
import type { ProblemAnswer } from './errors.ts';
import type { AgentCaller } from './middleware/agent-auth.ts';
import type { RateClass } from './middleware/rate.ts';
import type { TargetKind } from '../infra/db/queries/target-view.ts';
import type { Acceptor } from './upgrade.ts';

/** Who asks, and what he is at the place that he asks about; where it is none, the best he is anywhere. */
export interface Caller extends UserPrincipal {
  readonly role: Role;
}

/** `public` routes answer anybody, agents' routes the keys of running sessions; the others name role and scope. */
export type Access = 'public' | UserAccess | { readonly agent: AgentKeyUse };
export interface UserAccess extends ActionRule {
  readonly action: Action;
}

export function isUserAccess(access: Access): access is UserAccess {
  return access !== 'public' && 'role' in access;
}

/** Admin routes exist on the admin listener only; that one has the public routes too. */
export type ListenerKind = 'public' | 'admin';

/** Which record a route is about. It is found, and the caller's right to it checked, before the handler runs. */
interface Target {
  readonly kind: TargetKind;
  /** The path parameter that names it. */
  readonly param: string;
}

/** A JSON body, or bytes that the handler answers by itself. */
type ReplyShape<R extends z.ZodType> =
  | { readonly status: 200 | 201 | 202; readonly json: R }
  | { readonly status: 101 | 200 | 206; readonly media: string; readonly description: string };

interface JsonReply<T> {
  readonly body: T;
  /** Where it differs from the shape's own. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** For a handler that answers on the connection itself, since what it passes on should pass through nothing else. */
export interface Connection {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

interface RouteInput<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly request: Request;
  readonly requestId: string;
  /** The `Idempotency-Key`; empty where the method needs none. */
  readonly idempotencyKey: string;
  /** The workspace of the target; null for routes that are in none. */
  readonly workspaceId: WorkspaceId | null;
  /** The context that the target belongs to, or that was spoken in. */
  readonly contextId: string | null;
  /** Where it was asked. */
  readonly listener: ListenerKind;
  /** Takes over the connection of a WebSocket route; null on a plain request. */
  readonly accept: Acceptor | null;
  /** Null for a request that was made inside the process. */
  readonly connection: Connection | null;
  /** Breaks the connection: for an answer that has begun and cannot go on. */
  readonly hangUp: () => void;
  /** The caller as he is now, for what stays open. Throws where he may no longer ask for it. */
  readonly lookAgain: () => Promise<Caller>;
}

interface Shapes<P, Q, B, R extends z.ZodType> {
  readonly path: string;
  /** Unique; the operation's name in OpenAPI, logs and metrics. */
  readonly name: string;
  readonly summary: string;
  readonly rate: RateClass;
  /** Public where absent. */
  readonly listener?: ListenerKind;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly response: ReplyShape<R>;
}

/** What the table holds: shapes to read, and one function that parses, runs and answers. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly access: Access;
  readonly listener: ListenerKind;
  readonly rate: RateClass;
  readonly target: Target | null;
  /** POSTs need an `Idempotency-Key` and are answered from memory the second time. */
  readonly idempotent: boolean;
  /** The handler reads the request's body itself, as it comes. */
  readonly isRaw: boolean;
  /** How a refusal is said where another protocol has its own words for it. */
  readonly problem: ((answer: ProblemAnswer, request: Request) => Response) | null;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body: z.ZodType | null;
  readonly response: ReplyShape<z.ZodType>;
  /** What of a body may be stored for a replay; the whole of it where absent. */
  readonly storable: (body: unknown) => unknown;
  readonly handle: (raw: RawInput, deps: ApiDeps) => Promise<Answer>;
}

interface RawInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly request: Request;
  readonly requestId: string;
  readonly idempotencyKey: string;
  readonly workspaceId: WorkspaceId | null;
  readonly contextId: string | null;
  readonly listener: ListenerKind;
  readonly accept: Acceptor | null;
  readonly connection: Connection | null;
  readonly hangUp: () => void;
  readonly lookAgain: () => Promise<Caller>;
  readonly caller: Caller | null;
  readonly agent: AgentCaller | null;
}

export type Answer =
  | { readonly kind: 'json'; readonly reply: JsonReply<unknown> & { readonly status: number } }
  | { readonly kind: 'response'; readonly response: Response };

const NOTHING = z.strictObject({});
type Nothing = typeof NOTHING;
/** What another protocol's clients put into the query is for its handler to read. */
const ANYTHING = z.looseObject({});

type Handler<I, R extends z.ZodType> = (
  input: I,
  deps: ApiDeps,
) => Promise<JsonReply<z.input<R>> | Response>;

interface CommonSpec<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  R extends z.ZodType,
> extends Shapes<P, Q, B, R> {
  readonly method: Route['method'];
  readonly isRaw?: true;
  /** What a raw body holds, for the reference: the handler parses it itself. */
  readonly rawBody?: z.ZodType;
  readonly problem?: (answer: ProblemAnswer, request: Request) => Response;
  readonly storable?: (body: unknown) => unknown;
}

type InputOf<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = RouteInput<
  z.output<P>,
  z.output<Q>,
  z.output<B>
>;

export interface RouteSpec<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  R extends z.ZodType,
> extends CommonSpec<P, Q, B, R> {
  /** Its line in the table of actions says who may. */
  readonly name: Action;
  readonly target: Target | null;
  readonly handler: Handler<InputOf<P, Q, B> & { readonly caller: Caller }, R>;
}

export interface PublicRouteSpec<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  R extends z.ZodType,
> extends CommonSpec<P, Q, B, R> {
  readonly handler: Handler<InputOf<P, Q, B>, R>;
}

/** A route for authenticated callers. */
export function route<
  R extends z.ZodType,
  P extends z.ZodObject = Nothing,
  Q extends z.ZodObject = Nothing,
  B extends z.ZodType = Nothing,
>(spec: RouteSpec<P, Q, B, R>): Route {
  return build(spec, {
    access: { action: spec.name, ...ACTIONS[spec.name] },
    target: spec.target,
    run: (input, { caller }, deps) => {
      // The gate lets nobody through without a principal, so this would be a bug of it.
      if (caller === null) throw new Error(`${spec.name} was called without a caller.`);
      return spec.handler({ ...input, caller }, deps);
    },
  });
}

/** A route for anybody who reaches the listener. */
export function publicRoute<
  R extends z.ZodType,
  P extends z.ZodObject = Nothing,
  Q extends z.ZodObject = Nothing,
  B extends z.ZodType = Nothing,
>(spec: PublicRouteSpec<P, Q, B, R>): Route {
  return build(spec, {
    access: 'public',
    target: null,
    run: (input, _callers, deps) => spec.handler(input, deps),
  });
}

interface AgentRouteSpec<P extends z.ZodObject, R extends z.ZodType> extends CommonSpec<
  P,
  Nothing,
  Nothing,
  R
> {
  readonly use: AgentKeyUse;
  readonly handler: Handler<
    Pick<
      RouteInput<z.output<P>, unknown, unknown>,
      'params' | 'request' | 'requestId' | 'connection' | 'hangUp'
    > & {
      readonly agent: AgentCaller;
    },
    R
  >;
}

/** A route for agents, in another protocol: the body is the handler's to read, and a refusal is said in its words. */
export function agentRoute<R extends z.ZodType, P extends z.ZodObject = Nothing>(
  spec: Omit<AgentRouteSpec<P, R>, 'isRaw' | 'rate'>,
): Route {
  return build<R, P, typeof ANYTHING, Nothing>(
    { ...spec, query: ANYTHING, isRaw: true, rate: 'agent' },
    {
      access: { agent: spec.use },
      target: null,
      run: (input, { agent }, deps) => {
        if (agent === null) throw new Error(`${spec.name} was called without an agent.`);
        return spec.handler({ ...input, agent }, deps);
      },
    },
  );
}

interface Runner<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  R extends z.ZodType,
> {
  readonly access: Access;
  readonly target: Target | null;
  readonly run: (
    input: InputOf<P, Q, B>,
    callers: Pick<RawInput, 'caller' | 'agent'>,
    deps: ApiDeps,
  ) => Promise<JsonReply<z.input<R>> | Response>;
}

function build<
  R extends z.ZodType,
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
>(spec: CommonSpec<P, Q, B, R>, runner: Runner<P, Q, B, R>): Route {
  // A shape that is left out is inferred as `Nothing`, which the compiler cannot tie to the value here.
  /* oxlint-disable typescript/no-unsafe-type-assertion */
  const params = (spec.params ?? NOTHING) as P;
  const query = (spec.query ?? NOTHING) as Q;
  const body = (spec.body ?? NOTHING) as B;
  /* oxlint-enable typescript/no-unsafe-type-assertion */
  return {
    method: spec.method,
    path: spec.path,
    name: spec.name,
    summary: spec.summary,
    access: runner.access,
    listener: spec.listener ?? 'public',
    rate: spec.rate,
    target: runner.target,
    idempotent: spec.method === 'POST' && spec.isRaw !== true,
    isRaw: spec.isRaw ?? false,
    problem: spec.problem ?? null,
    params,
    query,
    body: spec.body ?? spec.rawBody ?? null,
    response: spec.response,
    storable: spec.storable ?? ((value) => value),
    handle: async (raw, deps) => {
      const input = {
        ...raw,
        params: parsePart(params, raw.params, 'path'),
        query: parsePart(query, raw.query, 'query'),
        body: parsePart(body, raw.body, 'body'),
      };
      return answerOf(spec.response, await runner.run(input, raw, deps));
    },
  };
}

export type Part = 'path' | 'query' | 'body';

/** Carries which part of the request was wrong, for the pointers of the problem document. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
  readonly part: Part;
  readonly issues: readonly z.core.$ZodIssue[];

  constructor(part: Part, issues: readonly z.core.$ZodIssue[]) {
    super(`The ${part} has another shape.`);
    this.part = part;
    this.issues = issues;
  }
}

function parsePart<S extends z.ZodType>(schema: S, value: unknown, part: Part): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ShapeError(part, parsed.error.issues);
}

/** An answer leaves through its schema, so that a column added tomorrow is not told by accident. */
function answerOf<R extends z.ZodType>(
  shape: ReplyShape<R>,
  reply: JsonReply<z.input<R>> | Response,
): Answer {
  if (reply instanceof Response) return { kind: 'response', response: reply };
  if (!('json' in shape)) throw new Error('A route of bytes answered with JSON.');
  const status = reply.status ?? shape.status;
  return { kind: 'json', reply: { ...reply, status, body: shape.json.parse(reply.body) } };
}
