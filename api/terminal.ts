import type { WebSocket } from 'ws';
import { parseJson } from '../domain/json.ts';
import { AppError } from '../domain/error.ts';
import type { AgentId } from '../domain/id.ts';
import type {
  HostClient,
  TerminalConnection,
  TerminalFrame,
  TerminalOptions,
} from '../infra/host/contract.ts';
import { TerminalCommandSchema } from '../infra/host/schema.ts';
import { findApprovalOfPrompt } from '../infra/db/queries/approval-view.ts';
import { getPrompt } from '../infra/db/queries/prompt.ts';
import { covers } from '../domain/principal.ts';
import { decide } from './decide.ts';
import type { ApiDeps } from './deps.ts';
import { problemOf } from './errors.ts';
import type { Caller } from './route.ts';

/** Unsent bytes after which the host is asked to wait; it drops and re-snapshots a viewer that stays away. */
const BUFFERED_BYTES_MAX = 1_048_576;
/** Commands and keys that arrive while the host is still being reached. */
const EARLY_MESSAGES_MAX = 256;
/** Proxies cut a silent connection after 30 to 60 s; a viewer that misses one ping is gone. */
const PING_EVERY_MS = 15_000;

/** Ours, beside RFC 6455's: the last three digits are those of HTTP. */
export const CLOSE_CODES = { unauthenticated: 4401, gone: 4404, failed: 4500 } as const;

export interface TerminalCall {
  readonly agentId: AgentId;
  readonly caller: Caller;
  readonly host: HostClient;
  readonly options: TerminalOptions;
  /** Throws once the viewer's key is no longer good. */
  readonly checkCaller: () => Promise<unknown>;
  /** Ours where absent. */
  readonly dialect?: TerminalDialect;
}

export type Message = { readonly bytes: Uint8Array } | { readonly text: string };

interface Ends {
  readonly socket: WebSocket;
  readonly connection: TerminalConnection;
}

/** How a viewer's socket speaks beside the bytes that the terminal shows. */
export interface TerminalDialect {
  fromViewer(call: TerminalCall, ends: Ends, message: Message): void;
  fromHost(deps: ApiDeps, call: TerminalCall, told: Told): void;
}
interface Told {
  readonly socket: WebSocket;
  readonly frame: TerminalFrame;
}

/** Ours: commands and frames as JSON text. */
const FRAMES: TerminalDialect = {
  fromViewer,
  fromHost(deps, call, { socket, frame }) {
    if (frame.type === 'choice') {
      choose(deps, call, frame).then(
        (text) => socket.send(text),
        (error: unknown) => deps.logger.error({ err: error }, 'A choice was not answered.'),
      );
    } else socket.send(JSON.stringify(frame));
  },
};

/** Typing is a right of its own beside looking. */
export function mayType({ role, scopes }: Caller): boolean {
  return covers(role, 'operator') && scopes.includes('terminal:write');
}

/** Joins a viewer's socket and the host's terminal: bytes as they are, the rest as the dialect has it. */
export function relayTerminal(deps: ApiDeps, call: TerminalCall, socket: WebSocket): void {
  const early: Message[] = [];
  const { dialect = FRAMES } = call;
  let connection: TerminalConnection | null = null;
  deps.metrics.readers.inc({ kind: 'terminal' });

  const handle = (message: Message): void => {
    if (connection !== null) dialect.fromViewer(call, { socket, connection }, message);
    else if (early.length < EARLY_MESSAGES_MAX) early.push(message);
    else socket.close(1008, 'Too much was sent before the terminal was there.');
  };
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    handle(isBinary ? { bytes: data } : { text: data.toString('utf8') });
  });
  const stopWatching = watch(deps, socket, call.checkCaller);
  socket.on('close', () => {
    stopWatching();
    connection?.close();
    deps.metrics.readers.dec({ kind: 'terminal' });
  });

  open(deps, call, socket).then(
    (opened) => {
      connection = opened;
      if (socket.readyState !== socket.OPEN) opened.close();
      for (const message of early.splice(0)) handle(message);
    },
    (error: unknown) => {
      const { problem } = problemOf(error, '');
      if (problem.code === 'internal') deps.logger.error({ err: error }, 'No terminal was opened.');
      const code = problem.code === 'not_found' ? CLOSE_CODES.gone : CLOSE_CODES.failed;
      socket.close(code, reasonOf(problem.detail));
    },
  );
}

async function open(
  deps: ApiDeps,
  call: TerminalCall,
  socket: WebSocket,
): Promise<TerminalConnection> {
  const { host, agentId, options, dialect = FRAMES } = call;
  let paused = false;
  const opened = await host.terminal(agentId, options, {
    onBytes: (bytes) => {
      socket.send(bytes, () => {
        if (!paused || socket.bufferedAmount > BUFFERED_BYTES_MAX / 2) return;
        paused = false;
        opened.resume();
      });
      if (paused || socket.bufferedAmount <= BUFFERED_BYTES_MAX) return;
      paused = true;
      opened.pause();
    },
    onFrame: (frame) => dialect.fromHost(deps, call, { socket, frame }),
    onClose: (code, reason) => socket.close(closeCodeOf(code), reasonOf(reason)),
  });
  return opened;
}

function fromViewer({ caller }: TerminalCall, ends: Ends, message: Message): void {
  const refuse = (reason: string): void =>
    ends.socket.send(JSON.stringify({ type: 'refused', reason }));
  if ('bytes' in message) {
    if (mayType(caller)) ends.connection.write(message.bytes);
    else refuse('Typing needs the role operator and the scope terminal:write.');
    return;
  }
  const command = TerminalCommandSchema.safeParse(parseJson(message.text));
  if (!command.success) refuse('Not a command: send {"type":"resize"|"mode"|"choice", …}.');
  else if (mayType(caller) || (command.data.type === 'mode' && command.data.mode === 'view')) {
    ends.connection.send(command.data);
  } else refuse('This needs the role operator and the scope terminal:write.');
}

type Choice = Extract<TerminalFrame, { type: 'choice' }>;

/** Choosing an option at the terminal is a decision like any other, with the chooser as its author. */
async function choose(deps: ApiDeps, call: TerminalCall, choice: Choice): Promise<string> {
  const { agentId, caller } = call;
  try {
    if (!covers(caller.role, 'operator') || !caller.scopes.includes('approvals:decide')) {
      throw new AppError(
        'policy_denied',
        'Deciding needs the role operator and the scope approvals:decide.',
      );
    }
    const { promptId, optionLabel, digest } = choice;
    const approvalId = await findApprovalOfPrompt(deps.db, { agentId, promptId });
    const prompt = await getPrompt(deps.db, promptId);
    if (approvalId === null || prompt === null) {
      throw new AppError('conflict', 'This prompt has no open approval yet. Choose again.');
    }
    const option = prompt.options.find(({ label }) => label === optionLabel);
    const verdict = option?.effect === 'deny' ? 'refuse' : 'grant';
    const request = { verdict, digest, optionLabel } as const;
    const decided = await decide(deps, { approvalId, caller, request });
    return JSON.stringify({ type: 'decision', approvalId, ...decided });
  } catch (error) {
    const { problem } = problemOf(error, '');
    if (problem.code === 'internal') deps.logger.error({ err: error }, 'A choice failed.');
    return JSON.stringify({ type: 'refused', reason: problem.detail });
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['unauthenticated', 'policy_denied', 'not_found']);

/** Ends the connection of a viewer that is gone, or whose key was revoked meanwhile. */
export function watch(
  { config }: ApiDeps,
  socket: WebSocket,
  checkCaller: () => Promise<unknown>,
): () => void {
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) {
      socket.terminate();
      return;
    }
    isAlive = false;
    socket.ping();
    checkCaller().catch((error: unknown) => {
      // A database that is away for a moment takes nobody's right to look.
      if (error instanceof AppError && REFUSALS.has(error.code)) {
        socket.close(CLOSE_CODES.unauthenticated, 'You may no longer look at this.');
      }
    });
  }, config.heartbeatMs ?? PING_EVERY_MS);
  return () => clearInterval(timer);
}

/** 1005 and 1006 may not be sent (RFC 6455, 7.4.1). */
function closeCodeOf(code: number): number {
  if (code === 1000 || (code >= 4000 && code < 5000)) return code;
  return CLOSE_CODES.failed;
}

/** A close frame has room for 123 bytes. */
export function reasonOf(text: string): string {
  return Buffer.from(text).subarray(0, 120).toString('utf8').replaceAll('\ufffd', '');
}
