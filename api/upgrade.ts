import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Hono } from 'hono';
import type { Logger } from 'pino';
import type { UserPrincipal } from '../domain/principal.ts';
import { WebSocketServer, type WebSocket } from 'ws';

/** Given to the handler of a WebSocket route: says that it takes the connection, and what to do with it. */
export type Acceptor = (run: (socket: WebSocket) => void) => Response;

/** What Hono's handlers get as `c.env`. A request made inside the process has none of it. */
export interface Bindings {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
  readonly accept?: Acceptor;
  /** Of a request that was made inside the process, as a chat command is: who asks, recognised by the network. */
  readonly inside?: InsideCaller;
}

export interface InsideCaller {
  readonly principal: UserPrincipal;
  /** Where it was said. */
  readonly contextId: string | null;
}

export type ApiApp = Hono<{ Bindings: Bindings; Variables: { requestId: string } }>;

/** A frame from a viewer is a few keys or a pasted text; the host takes no more at once. */
const MESSAGE_BYTES_MAX = 1_048_576;
/** Said by browsers, which cannot set headers: `Sec-WebSocket-Protocol: rookery.v1, rookery.key.<key>`. */
const TERMINAL_PROTOCOL = 'rookery.v1';
const KEY_PROTOCOL = 'rookery.key.';

export interface Upgrades {
  readonly sockets: ReadonlySet<WebSocket>;
}

/**
 * Sends every upgrade through the app like any other request, so that the same table, gate and problem
 * documents hold. Not the adapter's own upgrade, which answers a refusal without its body.
 */
export function serveUpgrades(
  server: Pick<Server, 'on'>,
  { app, logger }: { readonly app: ApiApp; readonly logger: Logger },
): Upgrades {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(TERMINAL_PROTOCOL) ? TERMINAL_PROTOCOL : false),
  });
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A peer that goes away while it is being asked for its key is no failure of ours.
    socket.on('error', () => socket.destroy());
    upgrade(app, { sockets, incoming, socket, head }).catch((error: unknown) => {
      logger.error({ err: error }, 'An upgrade failed.');
      socket.destroy();
    });
  });
  return { sockets: sockets.clients };
}

interface UpgradeParts {
  readonly sockets: WebSocketServer;
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

async function upgrade(app: ApiApp, parts: UpgradeParts): Promise<void> {
  const { sockets, incoming, socket, head } = parts;
  let run: ((socket: WebSocket) => void) | null = null;
  const accept: Acceptor = (taken) => {
    run = taken;
    return new Response(null, { status: 204 });
  };
  const response = await app.fetch(requestOf(incoming), { incoming, accept });
  if (socket.destroyed) return;
  // Narrowing is lost where a closure assigns.
  const accepted = run as ((socket: WebSocket) => void) | null;
  if (accepted === null) {
    await refuse(socket, response);
    return;
  }
  sockets.handleUpgrade(incoming, socket, head, (opened) => {
    opened.on('error', () => opened.terminate());
    accepted(opened);
  });
}

/** An offered key takes the place of the header. Where both are there, the header counts. */
function requestOf(incoming: IncomingMessage): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (typeof value === 'string') headers.set(name, value);
  }
  const offered = (headers.get('sec-websocket-protocol') ?? '')
    .split(',')
    .map((name) => name.trim());
  const key = offered.find((name) => name.startsWith(KEY_PROTOCOL));
  if (key !== undefined && !headers.has('authorization')) {
    headers.set('authorization', `Bearer ${key.slice(KEY_PROTOCOL.length)}`);
  }
  // The host's name plays no part in routing, and a hostile one would not parse.
  const url = incoming.url?.startsWith('/') === true ? incoming.url : '/';
  return new Request(new URL(`http://rookery${url}`), { headers });
}

async function refuse(socket: Duplex, response: Response): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer());
  const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  socket.end(
    Buffer.concat([
      Buffer.from(
        [
          `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}`,
          ...lines,
          `content-length: ${body.length}`,
          'connection: close',
          '',
          '',
        ].join('\r\n'),
      ),
      body,
    ]),
  );
}
