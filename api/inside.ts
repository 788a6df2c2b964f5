import type { Problem } from '../domain/schema/problem.ts';
import { ProblemSchema } from '../domain/schema/problem.ts';
import type { ApiApp, InsideCaller } from './upgrade.ts';

/** A request that is made inside the process, for somebody whom a chat network recognised. */
export interface InsideRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As in the table of routes, names filled in. */
  readonly path: string;
  readonly body?: unknown;
  /** Of what it was asked by: the same again is answered from memory, and done once. */
  readonly idempotencyKey: string;
}

export type InsideAnswer =
  | { readonly ok: true; readonly status: number; readonly body: unknown }
  | { readonly ok: false; readonly problem: Problem };

/**
 * Asks the app itself, so that chat goes through the very gate that HTTP goes through: role, scope, target, rate,
 * idempotency, shapes and words of refusal. The app must be that of the public listener, which has no admin routes.
 */
export async function askInside(
  app: ApiApp,
  inside: InsideCaller,
  request: InsideRequest,
): Promise<InsideAnswer> {
  const headers = new Headers({ accept: 'application/json' });
  if (request.method === 'POST') headers.set('idempotency-key', request.idempotencyKey);
  if (request.body !== undefined) headers.set('content-type', 'application/json');
  const response = await app.request(
    request.path,
    {
      method: request.method,
      headers,
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    },
    { inside },
  );
  const answer: unknown = await response.json();
  if (response.ok) return { ok: true, status: response.status, body: answer };
  return { ok: false, problem: ProblemSchema.parse(answer) };
}
