import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/error.ts';
import type { UserId } from '../../domain/id.ts';
import type { UserPrincipal } from '../../domain/principal.ts';
import { userInAltName } from '../../infra/ca/identity.ts';
import {
  findShownCertificate,
  touchCertificate,
  type ShownCertificate,
} from '../../infra/db/queries/certificate.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import type { ApiDeps, CertificateSignIn } from '../deps.ts';
import type { Bindings } from '../upgrade.ts';
import { answerProblem } from '../errors.ts';
import { principalOfUser } from './auth.ts';

/** `last_used_at` is for people; a write per request would cost more than the request. */
const TOUCH_EVERY_MS = 60_000;

/** What a connection showed and proved to have the key of. */
export interface Peer {
  /** Lower-case hex SHA-256. */
  readonly fingerprint: string;
  readonly userId: UserId | null;
}

/** A handshake happens once, and every request after it asks. */
const peers = new WeakMap<object, Peer>();

/** Null where the connection is not TLS, or its client showed nothing that our authority made. */
export function peerOf({ socket }: Pick<IncomingMessage, 'socket'>): Peer | null {
  const known = peers.get(socket);
  if (known !== undefined) return known;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  const peer = {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    userId: userInAltName(certificate.subjectAltName),
  };
  peers.set(socket, peer);
  return peer;
}

const NOTHING_SHOWN = 'A client certificate is needed here.';

type CertificateDeps = Pick<ApiDeps, 'db' | 'clock'>;

type Verdict =
  | { readonly kind: 'user'; readonly principal: UserPrincipal }
  | { readonly kind: 'refused'; readonly why: string };

/** Who the certificate of a connection is, at this moment: nothing of it is remembered from one request to the next. */
async function judge({ db, clock }: CertificateDeps, peer: Peer | null): Promise<Verdict> {
  if (peer === null) return refused(NOTHING_SHOWN);
  const [shown, user] = await Promise.all([
    findShownCertificate(db, peer.fingerprint),
    findLiveUser(db, peer.userId ?? ''),
  ]);
  const why = whyNot(peer, shown);
  if (why !== null) return refused(why);
  if (shown === null || user === null) return refused('The user of this certificate is disabled.');
  if (clock.now() - (shown.lastUsedAt?.getTime() ?? 0) > TOUCH_EVERY_MS) {
    await touchCertificate(db, shown.id);
  }
  return { kind: 'user', principal: principalOfUser(user, 'certificate') };
}

/** Told in words: who hears them has proved that he has the certificate's key. */
function whyNot({ userId }: Peer, shown: ShownCertificate | null): string | null {
  if (shown === null || shown.userId !== userId) {
    return 'This certificate was not given out here, or by an earlier installation.';
  }
  if (shown.state === 'revoked') return 'This certificate was revoked.';
  return shown.state === 'expired' ? 'This certificate has expired.' : null;
}

function refused(why: string): Verdict {
  return { kind: 'refused', why };
}

/** What the guard found a moment ago, for the one question that follows in the same request. */
const justJudged = new WeakMap<IncomingMessage, UserPrincipal>();

export function createCertificateSignIn(deps: CertificateDeps): CertificateSignIn {
  return { authenticate: (incoming) => authenticateCertificate(deps, incoming) };
}

/** The user of a connection's certificate; null where it has none, or one that is good for nobody now. */
async function authenticateCertificate(
  deps: CertificateDeps,
  incoming: IncomingMessage,
): Promise<UserPrincipal | null> {
  const known = justJudged.get(incoming);
  // Once only: what stays open asks again, and wants to know how it is then.
  justJudged.delete(incoming);
  if (known !== undefined) return known;
  const peer = peerOf(incoming);
  if (peer === null) return null;
  const verdict = await judge(deps, peer);
  return verdict.kind === 'user' ? verdict.principal : null;
}

/** Before everything else on a listener of certificates: whatever is asked for, and whatever else is shown. */
export function guardCertificate(deps: CertificateDeps): MiddlewareHandler<{ Bindings: Bindings }> {
  return async (c, next) => {
    const incoming = c.env?.incoming;
    const verdict = await judge(deps, incoming === undefined ? null : peerOf(incoming));
    if (verdict.kind === 'refused' || incoming === undefined) {
      const why = verdict.kind === 'refused' ? verdict.why : NOTHING_SHOWN;
      return answerProblem(c, new AppError('unauthenticated', why));
    }
    justJudged.set(incoming, verdict.principal);
    return next();
  };
}
