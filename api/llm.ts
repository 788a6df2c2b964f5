import type { ModelProtocol } from '../domain/model.ts';
import { kindOfStatus, shapeRefusal, type Refusal } from '../infra/models/gateway/refusal.ts';
import type { ModelOperation } from '../infra/models/gateway/request.ts';
import { watchAgentKey } from './agent-liveness.ts';
import type { ApiDeps } from './deps.ts';
import { HttpError, type ProblemAnswer } from './errors.ts';
import type { AgentCaller } from './middleware/agent-auth.ts';
import type { Connection } from './route.ts';

/** Told to the HTTP adapter: the answer is on the connection already. */
const SENT_HEADER = 'x-hono-already-sent';

export interface LlmRequest {
  readonly agent: AgentCaller;
  readonly request: Request;
  readonly requestId: string;
  readonly connection: Connection | null;
}

/** Hands a model call to the gateway, which answers on the connection itself. */
export async function passToModel(
  { models, db, agents }: Pick<ApiDeps, 'models' | 'db' | 'agents'>,
  call: {
    readonly protocol: ModelProtocol;
    readonly operation: ModelOperation;
    readonly pathModel: string | null;
  },
  { agent, request, requestId, connection }: LlmRequest,
): Promise<Response> {
  if (connection === null) {
    throw new HttpError('invalid_input', 'Models are called over a connection of their own.');
  }
  const { incoming, outgoing } = connection;
  outgoing.setHeader('x-request-id', requestId);
  const watch = watchAgentKey({ db, agents }, agent);
  outgoing.once('close', () => watch.stop());
  const served = await models.serve(
    {
      ...call,
      query: new URL(request.url).searchParams,
      incoming,
      outgoing,
      ended: watch.signal,
    },
    {
      agentId: agent.agentId,
      workspaceId: agent.workspaceId,
      epoch: agent.epoch,
      keyId: agent.id,
      models: agent.models,
    },
  );
  if (served.kind === 'refused') return refusalResponse(call.protocol, served.refusal);
  return new Response(null, { status: served.status, headers: { [SENT_HEADER]: 'true' } });
}

/** What the gate refuses, in the words of the protocol that was spoken. */
export function inWordsOf(protocol: ModelProtocol): (answer: ProblemAnswer) => Response {
  return ({ status, headers, problem }) => {
    const refusal = { kind: kindOfStatus(status), status, message: problem.detail };
    return refusalResponse(protocol, refusal, headers);
  };
}

function refusalResponse(
  protocol: ModelProtocol,
  refusal: Refusal,
  others: Readonly<Record<string, string>> = {},
): Response {
  const { status, headers, body } = shapeRefusal(protocol, refusal);
  return new Response(body, { status, headers: { ...others, ...headers } });
}
