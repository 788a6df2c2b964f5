import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { covers, type RolePlace } from '../domain/principal.ts';
import { roleAt, type Place } from '../domain/authorize.ts';
import { AppError } from '../domain/error.ts';
import { makeId } from '../domain/id.ts';
import {
  countRenewals,
  findRenewal,
  findShownCertificate,
  getCertificate,
  insertCertificate,
  revokeCertificate,
  type Certificate,
} from '../infra/db/queries/certificate.ts';
import { findLiveUser } from '../infra/db/queries/principal.ts';
import { getUser } from '../infra/db/queries/user.ts';
import type { Executor } from '../infra/db/schema.ts';
import { recordCertificates } from './certificate-record.ts';
import { CERTIFICATE_LIFETIME_MS, officeOf, viewIssued } from './certificate-view.ts';
import type { ApiDeps } from './deps.ts';
import { peerOf } from './middleware/certificate.ts';
import type { Caller } from './route.ts';
import { placeIn } from './target.ts';

/** With one certificate: each machine has one, and renews it once. More would be somebody's store of them. */
const RENEWALS_MAX = 5;

export interface RenewalRequest {
  readonly caller: Caller;
  readonly incoming: IncomingMessage | null;
  readonly csr: string;
  readonly label: string | undefined;
}

/** Another certificate for the same user, asked for with one that is good. The earlier one stays good until its end. */
export async function renew(deps: ApiDeps, { caller, incoming, csr, label }: RenewalRequest) {
  const { authority } = officeOf(deps);
  const peer = incoming === null ? null : peerOf(incoming);
  const userId = caller.via === 'certificate' ? caller.userId : null;
  if (peer === null || userId === null) {
    throw new AppError('policy_denied', 'A certificate is renewed by asking with it.');
  }
  const request = await authority.readRequest(csr);
  const certificate = await deps.db.transaction().execute(async (tx) => {
    const shown = await findShownCertificate(tx, peer.fingerprint);
    if (shown?.state !== 'live') throw new AppError('unauthenticated', 'It is good no longer.');
    const { publicKeyHash } = request;
    const earlier = await findRenewal(tx, { certificateId: shown.id, publicKeyHash });
    if (earlier !== null) return earlier;
    if ((await countRenewals(tx, shown.id)) >= RENEWALS_MAX) {
      throw new AppError(
        'conflict',
        `This certificate was renewed ${RENEWALS_MAX} times: go on with one of those.`,
      );
    }
    const lifetimeMs = CERTIFICATE_LIFETIME_MS;
    const issued = await authority.issueClient({
      userId,
      publicKey: request.publicKey,
      lifetimeMs,
    });
    const before = await getCertificate(tx, shown.id);
    const id = makeId('certificate', randomUUID());
    const { pem, serial, fingerprint, notAfter: expiresAt } = issued;
    const made = await insertCertificate(tx, {
      id,
      userId,
      serial,
      fingerprint,
      publicKeyHash,
      pem,
      label: label ?? before?.label ?? '',
      enrolmentId: null,
      renewsId: shown.id,
      expiresAt,
    });
    await recordCertificates(tx, [
      {
        key: `${id}:renew`,
        type: 'certificate.renewed',
        actor: { kind: 'user', id: userId },
        action: 'certificate.renew',
        subjectId: id,
        data: { userId, renewsId: shown.id },
        detail: { before: { certificateId: shown.id }, after: { userId, serial, fingerprint } },
      },
    ]);
    return made;
  });
  return viewIssued(deps, certificate);
}

interface Revocation {
  readonly caller: Caller;
  readonly id: string;
}

/** With all that were asked for with it. Again it changes nothing. */
export async function revoke({ db }: ApiDeps, { caller, id }: Revocation): Promise<Certificate> {
  return db.transaction().execute(async (tx) => {
    const found = await getCertificate(tx, id);
    if (found === null) throw new AppError('not_found', 'There is no such certificate.');
    await checkNotAbove(tx, caller, { userId: found.userId, withPrivate: false });
    const revoked = await revokeCertificate(tx, { id, by: caller.id });
    const after = await getCertificate(tx, id);
    if (after === null) throw new Error('A revoked certificate keeps its row.');
    await recordCertificates(
      tx,
      revoked.map((each) => ({
        key: `${each}:revoke`,
        type: 'certificate.revoked' as const,
        actor: { kind: 'user' as const, id: caller.id },
        action: 'certificate.revoke',
        subjectId: each,
        data: { userId: found.userId },
        detail: { before: { revokedAt: null }, after: { userId: found.userId, with: id } },
      })),
    );
    return after;
  });
}

interface Somebody {
  readonly userId: string;
  /** Whether his own workspace counts, which those above him see nothing of: for what would open it to them. */
  readonly withPrivate: boolean;
}

/** Nobody has to do with the certificates of somebody who is above him anywhere. One's own are one's own. */
export async function checkNotAbove(
  tx: Executor,
  caller: Caller,
  { userId, withPrivate }: Somebody,
): Promise<void> {
  if (caller.userId === userId) return;
  if ((await getUser(tx, userId)) === null) {
    throw new AppError('not_found', 'There is no such user.');
  }
  const user = await findLiveUser(tx, userId);
  for (const { role, place } of user?.bindings ?? []) {
    const at = await placeOf(tx, place, withPrivate);
    const own = roleAt(caller.bindings, at);
    if (own !== null && covers(own, role)) continue;
    throw new AppError(
      'policy_denied',
      `This user is ${role} where you are not, or less: somebody above must do it.`,
    );
  }
}

async function placeOf(tx: Executor, place: RolePlace, withPrivate: boolean): Promise<Place> {
  if (place.kind === 'installation') return { workspaceId: null };
  const { isPrivate } = await placeIn(tx, place.workspaceId);
  const { workspaceId } = place;
  if (place.kind !== 'context') return { workspaceId, isPrivate: withPrivate && isPrivate };
  return { workspaceId, contextId: place.contextId, isPrivate: withPrivate && isPrivate };
}
