import { constants } from 'node:crypto';
import type { RequestListener, ServerOptions } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import type { CertificateAuthority } from '../infra/ca/contract.ts';
import { watchCertificates } from './certificate-watch.ts';
import type { ApiDeps } from './deps.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const LIFETIME_MS = 30 * DAY_MS;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Timers hold 24 days at most; and a machine that slept finds out within a day. */
const LOOK_AGAIN_MS_MAX = DAY_MS;
const RETRY_MS = 60_000;

/** A listener that only those reach who have a certificate of the authority. */
export interface ClientCertificates {
  readonly authority: CertificateAuthority;
  /** Host names and addresses of the listener: in its own certificate, and what it answers to. */
  readonly names: readonly string[];
  /** Of the listener's own certificate. Default: 30 days. */
  readonly lifetimeMs?: number;
}

export interface TlsServer {
  readonly server: Server;
  stop(): void;
}

/** TLS 1.3 only; a client without a certificate of ours does not get past the handshake. */
export async function createTlsServer(
  deps: Pick<ApiDeps, 'db' | 'logger'>,
  tls: ClientCertificates,
  { options, listen }: { readonly options: ServerOptions; readonly listen: RequestListener },
): Promise<TlsServer> {
  const first = await nextContext(tls);
  const server = createServer(
    {
      ...options,
      ...first.context,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
    },
    listen,
  );
  server.on('tlsClientError', (error, socket) => {
    const { code } = error as NodeJS.ErrnoException;
    deps.logger.info({ code, address: socket.remoteAddress }, 'A handshake was refused.');
    socket.destroy();
  });
  const stopRenewing = keepRenewed(server, deps, { tls, renewAt: first.renewAt });
  const stopWatching = watchCertificates(server, deps);
  return {
    server,
    stop() {
      stopRenewing();
      stopWatching();
    },
  };
}

interface NextContext {
  readonly context: SecureContextOptions;
  /** When two thirds of the certificate's time are over. */
  readonly renewAt: number;
}

async function nextContext({
  authority,
  names,
  lifetimeMs = LIFETIME_MS,
}: ClientCertificates): Promise<NextContext> {
  const identity = await authority.issueServer({ names, lifetimeMs });
  const now = Date.now();
  return {
    context: {
      key: identity.key,
      cert: identity.pem,
      ca: authority.certificate,
      minVersion: 'TLSv1.3',
      // Nothing is taken up again: every connection shows its certificate anew.
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
    renewAt: now + ((identity.notAfter.getTime() - now) * 2) / 3,
  };
}

interface Renewing {
  readonly tls: ClientCertificates;
  readonly renewAt: number;
}

/** New connections get the new certificate; those that are open stay. */
function keepRenewed(
  server: Server,
  { logger }: Pick<ApiDeps, 'logger'>,
  renewing: Renewing,
): () => void {
  let { renewAt } = renewing;
  let isStopped = false;
  let timer = plan(renewAt - Date.now());

  function plan(afterMs: number): NodeJS.Timeout {
    return setTimeout(() => void look(), Math.min(Math.max(afterMs, 0), LOOK_AGAIN_MS_MAX));
  }

  async function look(): Promise<void> {
    let afterMs = renewAt - Date.now();
    if (afterMs <= 0) {
      try {
        const next = await nextContext(renewing.tls);
        if (isStopped) return;
        server.setSecureContext(next.context);
        ({ renewAt } = next);
        afterMs = renewAt - Date.now();
        logger.info('The admin listener has a new certificate.');
      } catch (error) {
        logger.error({ err: error }, 'The certificate of the admin listener was not renewed.');
        afterMs = RETRY_MS;
      }
    }
    if (!isStopped) timer = plan(afterMs);
  }

  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
