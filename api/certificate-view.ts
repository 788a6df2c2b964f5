import type { z } from 'zod';
import { AppError } from '../domain/error.ts';
import { parseId } from '../domain/id.ts';
import type { CertificateSchema, IssuedCertificateSchema } from '../domain/schema/certificate.ts';
import type { Certificate } from '../infra/db/queries/certificate.ts';
import { getUser } from '../infra/db/queries/user.ts';
import type { ApiDeps, CertificateOffice } from './deps.ts';

/** Short, since it is renewed by itself; long enough for a holiday. */
export const CERTIFICATE_LIFETIME_MS = 30 * 24 * 60 * 60 * 1_000;

/** Throws where this installation gives out no certificates. */
export function officeOf({ office }: Pick<ApiDeps, 'office'>): CertificateOffice {
  if (office !== undefined) return office;
  throw new AppError(
    'conflict',
    'This Rookery gives out no certificates: its admin listener works without (admin.mtls is off).',
  );
}

export function certificateView(found: Certificate): z.output<typeof CertificateSchema> {
  const { id, userId, serial, fingerprint, label, renewsId, revokedBy } = found;
  return {
    id: parseId('certificate', id),
    userId: parseId('user', userId),
    serial,
    fingerprint,
    label,
    renewsId: renewsId === null ? null : parseId('certificate', renewsId),
    issuedAt: found.issuedAt.toISOString(),
    expiresAt: found.expiresAt.toISOString(),
    revokedAt: found.revokedAt?.toISOString() ?? null,
    revokedBy,
    lastUsedAt: found.lastUsedAt?.toISOString() ?? null,
  };
}

export async function viewIssued(
  deps: Pick<ApiDeps, 'db' | 'office'>,
  certificate: Certificate,
): Promise<z.output<typeof IssuedCertificateSchema>> {
  const office = officeOf(deps);
  const user = await getUser(deps.db, certificate.userId);
  return {
    certificate: certificateView(certificate),
    pem: certificate.pem,
    chain: office.authority.certificate,
    user: { id: parseId('user', certificate.userId), name: user?.name ?? '' },
    adminUrl: office.adminUrl(),
  };
}
