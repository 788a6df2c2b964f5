import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal } from '../../domain/agent.ts';
import { AppError } from '../../domain/error.ts';
import type { AgentId } from '../../domain/id.ts';
import type { CompatSend } from '../../domain/schema/compat.ts';
import type { ListedAgent } from '../../infra/db/queries/agent.ts';
import { lastEvents } from '../../infra/db/queries/event-view.ts';
import { getInput } from '../../infra/db/queries/input.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { findAgent, hostOfAgent } from '../agent-host.ts';
import type { ApiDeps } from '../deps.ts';
import { sendInput } from '../input.ts';
import type { Caller } from '../route.ts';
import { requireAt } from '../target.ts';

/** A turn that ends is a row that changed; four looks a second are nobody's load. */
const LOOK_EVERY_MS = 250;

/** A turn shorter than this can be over before its message was written down as delivered. */
const SHORT_TURN_MS = 2_000;

export interface SendCall {
  readonly agentId: AgentId;
  readonly caller: Caller;
  readonly body: CompatSend;
  readonly requestId: string;
  /** Aborted when whoever asked has gone; null where nobody waits. */
  readonly signal: AbortSignal | null;
}

/** Queues a message like any other. With `expectResponse`, waits for the end of the turn and answers the screen. */
export async function send(deps: ApiDeps, call: SendCall) {
  const { agentId, caller, body } = call;
  const { message, raw, keys, expectResponse } = body;
  if (raw !== undefined || keys !== undefined) {
    throw new AppError(
      'policy_denied',
      'raw and keys are not taken: bytes could answer a dialog that nobody decided. Send a message, decide the ' +
        'approval, or attach to the terminal.',
    );
  }
  if (message === undefined) throw new AppError('invalid_input', 'Say the message to send.');
  const { turn, workspaceId } = await findAgent(deps, agentId);
  if (expectResponse) requireAt(caller, 'getScreenText', { workspaceId });
  // Those clients give one id to all that belongs together, so it says "the same" of the same text only.
  const requestId = `compat:${call.requestId}:${sha256Hex(message)}`;
  const inputId = await sendInput(deps, {
    agentId,
    caller,
    kind: 'text',
    text: message,
    requestId,
  });
  const response = expectResponse ? await responseOf(deps, call, { inputId, turn }) : null;
  return { sent: true as const, response };
}

/** Null where the turn has not ended in time, as when it waits for an approval. */
async function responseOf(
  deps: ApiDeps,
  { agentId, body, signal }: SendCall,
  sent: { readonly inputId: string; readonly turn: number },
): Promise<string | null> {
  const until = AbortSignal.any([AbortSignal.timeout(body.timeout), ...(signal ? [signal] : [])]);
  while (!until.aborted) {
    await sleep(LOOK_EVERY_MS);
    const agent = await findAgent(deps, agentId);
    if (isTerminal(agent.state)) return null;
    if (agent.state !== 'ready' || agent.turn <= sent.turn) continue;
    if (!(await hasEnded(deps, agent, sent.inputId))) continue;
    const { lines } = await (await hostOfAgent(deps, agentId)).screen(agentId);
    return lines.join('\n').trim();
  }
  return null;
}

/** Whether the turn that this message began is over: an earlier one may have ended since it was sent. */
async function hasEnded(
  { db }: ApiDeps,
  { id, workspaceId }: ListedAgent,
  inputId: string,
): Promise<boolean> {
  const input = await getInput(db, inputId);
  if (input?.deliveredAt == null) return false;
  const last = { workspaceId, subjectId: id, type: 'agent.turn_ended', limit: 1 } as const;
  const [ended] = await lastEvents(db, last);
  if (ended !== undefined && Date.parse(ended.at) >= input.deliveredAt.getTime()) return true;
  return Date.now() - input.deliveredAt.getTime() > SHORT_TURN_MS;
}
