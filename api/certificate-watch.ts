import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { findDeadCertificates } from '../infra/db/queries/certificate.ts';
import type { ApiDeps } from './deps.ts';
import { peerOf } from './middleware/certificate.ts';

/** Every request asks by itself; this is for what stays open, and costs one query while anything does. */
const LOOK_EVERY_MS = 1_000;

/** Ends connections, with all that is open on them, whose certificates are good no longer. Returns what ends it. */
export function watchCertificates(
  server: Server,
  { db, logger }: Pick<ApiDeps, 'db' | 'logger'>,
): () => void {
  const open = new Map<string, Map<TLSSocket, number>>();
  server.on('secureConnection', (socket) => {
    const peer = peerOf({ socket });
    if (peer === null) return;
    const sockets = open.get(peer.fingerprint) ?? new Map<TLSSocket, number>();
    open.set(peer.fingerprint, sockets.set(socket, performance.now()));
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0 && open.get(peer.fingerprint) === sockets)
        open.delete(peer.fingerprint);
    });
  });

  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking || open.size === 0) return;
    isLooking = true;
    try {
      for (const fingerprint of await findDeadCertificates(db, [...open.keys()])) {
        endThose(open.get(fingerprint) ?? []);
      }
    } catch (error) {
      // A database that is away for a moment takes nobody's certificate.
      logger.warn({ err: error }, 'Open connections could not be looked at.');
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

/** One that has just come is to hear in words why not. */
function endThose(sockets: Iterable<readonly [TLSSocket, number]>): void {
  for (const [socket, openedAt] of sockets) {
    if (performance.now() - openedAt >= LOOK_EVERY_MS) socket.destroy();
  }
}
