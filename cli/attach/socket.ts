import { WebSocket } from 'ws';
import type { ApiClient } from '../client.ts';
import { CliError } from '../exit.ts';
import { plainLine } from '../text.ts';
import { parseFrame, type Frame } from './frames.ts';

export interface TerminalRequest {
  readonly agentId: string;
  readonly mode: 'view' | 'type';
  /** With `type`: what size the agent's terminal takes. */
  readonly size: { readonly cols: number; readonly rows: number } | null;
}

export interface TerminalEvents {
  readonly onFrame: (frame: Frame) => void;
  readonly onBytes: (bytes: Buffer) => void;
  /** Called once. Null: the session ended in order. A `CliError` of `unavailable` may pass. */
  readonly onClose: (error: CliError | null) => void;
}

export interface TerminalSocket {
  type(bytes: Buffer): void;
  resize(size: { readonly cols: number; readonly rows: number }): void;
  /** A reader that is slow here is dropped and shown a new snapshot by the host. */
  pause(): void;
  resume(): void;
  close(): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** The API pings every 20 s: two misses and the line is dead. */
const SILENCE_MS = 45_000;
/** A snapshot with its scrollback is the largest message there is. */
const MESSAGE_BYTES_MAX = 64 * 1_024 * 1_024;

/** One connection to an agent's terminal. Bytes travel as binary messages, everything else as JSON text. */
export function openTerminalSocket(
  client: ApiClient,
  { agentId, mode, size }: TerminalRequest,
  events: TerminalEvents,
): TerminalSocket {
  const query = { mode, ...(mode === 'type' && size !== null ? size : {}) };
  const { url, headers, tls } = client.socketOf(`/v1/agents/${agentId}/terminal`, query);
  const socket = new WebSocket(url, {
    ...tls,
    headers,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
  });
  let isClosed = false;
  const silence = setTimeout(() => socket.terminate(), SILENCE_MS);
  const close = (error: CliError | null): void => {
    clearTimeout(silence);
    if (isClosed) return;
    isClosed = true;
    events.onClose(error);
  };
  socket.on('ping', () => silence.refresh());
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    silence.refresh();
    if (isBinary) {
      events.onBytes(data);
      return;
    }
    const frame = parseFrame(data.toString('utf8'));
    if (frame !== null) events.onFrame(frame);
  });
  socket.on('unexpected-response', (request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('close', () => {
      request.destroy();
      const text = Buffer.concat(chunks).toString('utf8');
      const contentType = response.headers['content-type'] ?? '';
      close(client.errorOfAnswer({ status: response.statusCode ?? 0, contentType, text }));
    });
  });
  socket.on('error', (error) => close(client.errorOfNetwork(error, new URL(client.origin))));
  socket.on('close', (code, reason) => close(errorOfClose(code, reason.toString('utf8'))));
  const send = (data: Buffer | string): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
  };
  return {
    type: send,
    resize: ({ cols, rows }) => send(JSON.stringify({ type: 'resize', cols, rows })),
    pause: () => socket.pause(),
    resume: () => {
      silence.refresh();
      socket.resume();
    },
    close() {
      isClosed = true;
      clearTimeout(silence);
      socket.close(1000);
      // Nobody waits for the other side's goodbye: the person wants the shell back.
      socket.terminate();
    },
  };
}

/** The API's own codes end with those of HTTP. */
function errorOfClose(code: number, reason: string): CliError | null {
  if (code === 1000) return null;
  const words = reason === '' ? 'The connection to the terminal was lost.' : plainLine(reason);
  if (code === 4401) return new CliError('denied', words);
  if (code === 4404) return new CliError('not_found', words);
  if (code === 1008) return new CliError('failed', words);
  return new CliError('unavailable', words);
}
