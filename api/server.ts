import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { getRequestListener } from '@hono/node-server';
import { createApp } from './app.ts';
import type { ApiDeps } from './deps.ts';
import type { ListenerKind } from './route.ts';
import { createTlsServer, type ClientCertificates } from './tls.ts';
import { serveUpgrades } from './upgrade.ts';

export interface ApiListener {
  readonly kind: ListenerKind;
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Of an admin listener: who reaches it. Without it only this machine does. */
  readonly tls?: ClientCertificates;
}

export interface RunningApi {
  readonly url: string;
  /** Lets running requests end, ends streams and terminals, and returns when no connection is left. */
  close(): Promise<void>;
}

/** Headers that dribble in hold a connection; ours fit in one packet. */
const HEADERS_TIMEOUT_MS = 10_000;
/** A large body over a slow line; streams are answers and are not counted. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than what proxies keep (60 s is common), so that they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** Whoever is still reading after this has an event stream or a terminal, and comes back by number. */
const CLOSE_GRACE_MS = 1_000;
/** Going away (RFC 6455). */
const CLOSE_CODE_GOING_AWAY = 1001;

export async function startApi(deps: ApiDeps, listener: ApiListener): Promise<RunningApi> {
  const { tls } = listener;
  const app = createApp(deps, listener.kind, tls === undefined ? 'loopback' : tls);
  const listen = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const { server, stop } = await open(deps, tls, (incoming, outgoing) => {
    listen(incoming, outgoing).catch((error: unknown) => {
      deps.logger.error({ err: error }, 'A connection failed.');
      outgoing.destroy();
    });
  });
  const { sockets } = serveUpgrades(server, { app, logger: deps.logger });
  server.listen(listener.port, listener.hostname);
  await once(server, 'listening').catch((error: unknown) => {
    stop();
    throw error;
  });

  return {
    url: urlOf(server, tls === undefined ? 'http' : 'https'),
    async close() {
      stop();
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.close(CLOSE_CODE_GOING_AWAY, 'The API is going away.');
      server.closeIdleConnections();
      const force = setTimeout(() => {
        for (const socket of sockets) socket.terminate();
        server.closeAllConnections();
      }, CLOSE_GRACE_MS);
      await closed;
      clearTimeout(force);
    },
  };
}

interface OpenServer {
  readonly server: Server | HttpsServer;
  readonly stop: () => void;
}

async function open(
  deps: ApiDeps,
  tls: ClientCertificates | undefined,
  listen: RequestListener,
): Promise<OpenServer> {
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  };
  if (tls !== undefined) return createTlsServer(deps, tls, { options, listen });
  return { server: createServer(options, listen), stop: () => undefined };
}

function urlOf(server: Server | HttpsServer, protocol: 'http' | 'https'): string {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('The API has no port.');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${protocol}://${host}:${address.port}`;
}
