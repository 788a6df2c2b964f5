import { z } from 'zod';
import type { Action } from '../../domain/action.ts';
import type { ApiDeps } from '../deps.ts';
import { route, type Caller, type ListenerKind, type Route } from '../route.ts';
import { framed, type Page, type SectionId } from './frame.ts';
import { loadFrame } from './load.ts';
import { htmlResponse, panelProblem } from './respond.ts';

export const HTML = {
  status: 200,
  media: 'text/html',
  description: 'A page of the panel.',
} as const;
/** What every page in the frame runs. */
export const CORE_SCRIPTS = ['core.js', 'forms.js', 'live.js'];
const NOTHING = z.strictObject({});

export interface PageInput<P, Q> {
  readonly params: P;
  readonly query: Q;
  readonly workspaceId: string;
  readonly caller: Caller;
  readonly now: number;
}

export interface PageSpec<P extends z.ZodObject, Q extends z.ZodObject> {
  readonly path: string;
  readonly name: Action;
  readonly summary: string;
  readonly section: SectionId;
  readonly listener?: ListenerKind;
  /** Which path parameter names the record that the page is about. */
  readonly target: 'workspace' | 'agent' | 'approval';
  readonly params: P;
  readonly query?: Q;
  readonly show: (input: PageInput<z.output<P>, z.output<Q>>, deps: ApiDeps) => Promise<Page>;
}

export const ByWorkspace = z.strictObject({ workspace: z.string() });

/** A page of a workspace, in its frame. */
export function pageRoute<P extends z.ZodObject, Q extends z.ZodObject = typeof NOTHING>(
  spec: PageSpec<P, Q>,
): Route {
  const { path, name, summary, section, target, params, show } = spec;
  // A shape that is left out is inferred as `NOTHING`, which the compiler cannot tie to the value here.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const query = (spec.query ?? NOTHING) as Q;
  return route({
    method: 'GET',
    path,
    name,
    summary: `Panel: ${summary}`,
    ...(spec.listener === undefined ? {} : { listener: spec.listener }),
    rate: 'read',
    target: { kind: target, param: target },
    params,
    query,
    response: HTML,
    problem: panelProblem,
    handler: async (input, deps) => {
      const workspaceId = input.workspaceId ?? '';
      const { caller, request, listener } = input;
      const frame = await loadFrame(deps, {
        workspaceId,
        caller,
        request,
        listener,
        active: section,
      });
      const { now } = frame;
      const page = await show(
        { params: input.params, query: input.query, workspaceId, caller, now },
        deps,
      );
      const { nonce } = page;
      return htmlResponse(framed(frame, page), nonce === undefined ? {} : { nonce });
    },
  });
}
