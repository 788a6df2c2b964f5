import { z } from 'zod';
import { CompatSendSchema } from '../../domain/schema/compat.ts';
import { AppError } from '../../domain/error.ts';
import type { UserPrincipal } from '../../domain/principal.ts';
import { eventRange } from '../../infra/db/queries/event.ts';
import { agentIn, workspaceOf } from '../compat/place.ts';
import { send } from '../compat/send.ts';
import { plainDialect, relayEvents } from '../compat/socket.ts';
import type { ApiDeps } from '../deps.ts';
import { HttpError } from '../errors.ts';
import { hostOfAgent } from '../agent-host.ts';
import { route, ShapeError, type Caller } from '../route.ts';
import { requireAt } from '../target.ts';
import { CLOSE_CODES, reasonOf, relayTerminal } from '../terminal.ts';
import type { Acceptor } from '../upgrade.ts';

const UPGRADED = { status: 101, media: '', description: 'Switches to WebSocket.' } as const;
const EVENTS = { rate: 'stream', target: null } as const;

export const compatSocketRoutes = [
  route({
    ...EVENTS,
    method: 'GET',
    path: '/ws',
    name: 'compatSocket',
    summary:
      'WebSocket: events as `{event, data, timestamp}`; takes `{type: "send", agentId, message}`.',
    query: z.object({ agentId: z.string().max(64).optional() }),
    response: UPGRADED,
    handler: async ({ caller, query, request, requestId, accept, lookAgain }, deps) => {
      const place = await placeOf(deps, { caller, agentId: query.agentId, request });
      const checkCaller = async () => requireAt(await lookAgain(), 'compatSocket', place);
      // Asked again each time: what was revoked a moment ago types nothing more.
      const onMessage = async (message: unknown) =>
        obey(deps, { who: await lookAgain(), message, requestId });
      const call = { ...place, caller, checkCaller, onMessage };
      return upgraded(accept)((socket) => relayEvents(deps, call, socket));
    },
  }),
  route({
    ...EVENTS,
    method: 'GET',
    path: '/ws/events',
    name: 'compatEvents',
    summary:
      'WebSocket: events as `{event, data, timestamp}`, of all agents or of one; `ping` is answered `pong`.',
    query: z.object({
      agentId: z.string().max(64).optional(),
      threadId: z.string().max(64).optional(),
    }),
    response: UPGRADED,
    handler: async ({ caller, query, request, accept, lookAgain }, deps) => {
      const agentId = query.agentId ?? query.threadId;
      const place = await placeOf(deps, { caller, agentId, request });
      const checkCaller = async () => requireAt(await lookAgain(), 'compatEvents', place);
      const call = { ...place, caller, checkCaller, onMessage: null };
      return upgraded(accept)((socket) => relayEvents(deps, call, socket));
    },
  }),
  route({
    method: 'GET',
    path: '/ws/agents/{agent}/terminal',
    name: 'compatTerminal',
    summary:
      'WebSocket: raw terminal bytes, a snapshot first. Closes with 4404 where there is no such terminal.',
    rate: 'stream',
    target: null,
    params: z.strictObject({ agent: z.string().max(64) }),
    response: UPGRADED,
    handler: async ({ params, caller, lookAgain, accept }, deps) => {
      const take = upgraded(accept);
      try {
        const { agentId, workspaceId } = await agentIn(deps, caller, params.agent);
        const host = await hostOfAgent(deps, agentId);
        const checkCaller = async () =>
          requireAt(await lookAgain(), 'compatTerminal', { workspaceId });
        const options = { mode: 'view', principal: caller.id } as const;
        const call = { agentId, caller, host, options, checkCaller, dialect: plainDialect() };
        return take((socket) => relayTerminal(deps, call, socket));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        // Its clients know this close code, and no refused upgrade.
        const isThere = error.code === 'upstream_unavailable';
        const code = isThere ? CLOSE_CODES.failed : CLOSE_CODES.gone;
        return take((socket) => socket.close(code, reasonOf(error.message)));
      }
    },
  }),
];

function upgraded(accept: Acceptor | null): Acceptor {
  if (accept !== null) return accept;
  throw new HttpError('invalid_input', 'This address speaks WebSocket: ask for an upgrade.', {
    status: 426,
    headers: { upgrade: 'websocket', connection: 'upgrade' },
  });
}

interface Asked {
  readonly caller: Caller;
  readonly agentId: string | undefined;
  readonly request: Request;
}

async function placeOf(deps: ApiDeps, { caller, agentId, request }: Asked) {
  const place =
    agentId === undefined
      ? { agentId: null, workspaceId: await workspaceOf(deps, caller, request.headers) }
      : await agentIn(deps, caller, agentId);
  // Before the upgrade is answered: what a client does as soon as it hears of that is told.
  const { lastSeq: after } = await eventRange(deps.db, place.workspaceId);
  return { ...place, after };
}

const Message = z.object({
  type: z.literal('send'),
  agentId: z.string(),
  message: CompatSendSchema.shape.message.unwrap(),
});

/** Listening needs less than speaking, so the right to speak is asked for with each message. */
async function obey(
  deps: ApiDeps,
  {
    who,
    message,
    requestId,
  }: { readonly who: UserPrincipal; readonly message: unknown; readonly requestId: string },
) {
  const parsed = Message.safeParse(message);
  if (!parsed.success) throw new ShapeError('body', parsed.error.issues);
  const { agentId, workspaceId } = await agentIn(deps, who, parsed.data.agentId);
  const caller = requireAt(who, 'compatSendToAgent', { workspaceId });
  const body = CompatSendSchema.parse({ message: parsed.data.message });
  const data = await send(deps, {
    agentId,
    caller,
    body,
    requestId: `${requestId}:${crypto.randomUUID()}`,
    signal: null,
  });
  return { event: 'message_sent', data: { agentId, ...data } };
}
