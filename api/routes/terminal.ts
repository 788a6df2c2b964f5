import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { wholeNumber } from '../../domain/schema/text.ts';
import { TERMINAL_MODES, type TerminalMode } from '../../infra/host/contract.ts';
import { hostOfAgent } from '../agent-host.ts';
import { HttpError } from '../errors.ts';
import { route, type Caller } from '../route.ts';
import { mayType, relayTerminal } from '../terminal.ts';
import { ByAgent } from './agent.ts';

export const terminalRoutes = [
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/terminal',
    name: 'openTerminal',
    summary: 'WebSocket: the live terminal, a snapshot first. Typing needs `terminal:write` too.',
    rate: 'stream',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    query: z.strictObject({
      mode: z.enum(TERMINAL_MODES).default('view'),
      cols: wholeNumber({ min: 2, max: 1_000 }).optional(),
      rows: wholeNumber({ min: 1, max: 1_000 }).optional(),
    }),
    response: { status: 101, media: '', description: 'Switches to WebSocket; see docs/api.md.' },
    handler: async ({ params, query, caller, lookAgain, accept }, deps) => {
      const { mode, cols, rows } = query;
      requireTyping(mode, caller);
      const host = await hostOfAgent(deps, params.agent);
      if (accept === null) {
        throw new HttpError('invalid_input', 'This address speaks WebSocket: ask for an upgrade.', {
          status: 426,
          headers: { upgrade: 'websocket', connection: 'upgrade' },
        });
      }
      const options = {
        mode,
        principal: caller.id,
        ...(cols === undefined ? {} : { cols }),
        ...(rows === undefined ? {} : { rows }),
      };
      const checkCaller = async () => requireTyping(mode, await lookAgain());
      const call = { agentId: params.agent, caller, host, options, checkCaller };
      return accept((socket) => relayTerminal(deps, call, socket));
    },
  }),
];

function requireTyping(mode: TerminalMode, caller: Caller): void {
  if (mode !== 'type' || mayType(caller)) return;
  throw new AppError(
    'policy_denied',
    'Typing needs the role operator and the scope terminal:write.',
  );
}
