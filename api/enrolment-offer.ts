import type { Id } from '../domain/id.ts';
import {
  ENROLMENT_VALID_MS,
  formatEnrolmentSecret,
  hashOfEnrolment,
  makeEnrolmentSecret,
} from '../infra/ca/enrolment-secret.ts';
import { insertEnrolment } from '../infra/db/queries/enrolment.ts';
import type { Executor } from '../infra/db/schema.ts';
import { recordCertificates, type CertificateFact } from './certificate-record.ts';

export interface EnrolmentOffering {
  readonly id: Id<'enrolment'>;
  /** Somebody who is there, or the name of the first of all, whom his enrolment makes. */
  readonly who: { readonly userId: string } | { readonly firstUserName: string };
  readonly actor: CertificateFact['actor'];
  /** Of the authority. */
  readonly fingerprint: string;
}

export interface OfferedEnrolment {
  readonly expiresAt: Date;
  /** Shown once and kept nowhere. */
  readonly secret: string;
}

/** A secret that lets one machine ask for a certificate. Null where there is one of this id already. */
export async function offerEnrolment(
  tx: Executor,
  { id, who, actor, fingerprint }: EnrolmentOffering,
): Promise<OfferedEnrolment | null> {
  const made = makeEnrolmentSecret(fingerprint);
  const userId = 'userId' in who ? who.userId : null;
  const expiresAt = await insertEnrolment(tx, {
    id,
    lookup: made.lookup,
    hash: hashOfEnrolment(made),
    userId,
    userName: 'userId' in who ? null : who.firstUserName,
    createdBy: actor.id,
    validMs: ENROLMENT_VALID_MS,
  });
  if (expiresAt === null) return null;
  await recordCertificates(tx, [
    {
      key: `${id}:offer`,
      type: 'enrolment.offered',
      actor,
      action: 'enrolment.offer',
      subjectId: id,
      data: { userId },
      detail: { before: null, after: { ...who, expiresAt: expiresAt.toISOString() } },
    },
  ]);
  return { expiresAt, secret: formatEnrolmentSecret(made) };
}
