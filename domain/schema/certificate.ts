import { z } from 'zod';
import { CertificateIdSchema, EnrolmentIdSchema, UserIdSchema } from './id.ts';
import { Timestamp, lineOfText } from './text.ts';

export const CertificateSchema = z
  .object({
    id: CertificateIdSchema,
    userId: UserIdSchema,
    /** Lower-case hex. */
    serial: z.string(),
    /** Lower-case hex SHA-256 of the DER form. */
    fingerprint: z.string(),
    label: z.string(),
    /** The certificate that it was asked for with; null for one of an enrolment. */
    renewsId: CertificateIdSchema.nullable(),
    issuedAt: Timestamp,
    expiresAt: Timestamp,
    revokedAt: Timestamp.nullable(),
    revokedBy: z.string().nullable(),
    lastUsedAt: Timestamp.nullable(),
  })
  .meta({ id: 'Certificate' });

/** A request in PEM (PKCS #10). Only its key counts; names in it are not read. */
const Csr = z.string().min(1).max(8_192);
const Label = lineOfText(80);

export const EnrolSchema = z
  .strictObject({
    secret: z.string().min(1).max(256),
    csr: Csr,
    /** Which machine it is for, in its owner's words. */
    label: Label.optional(),
  })
  .meta({ id: 'Enrol' });

export const RenewCertificateSchema = z
  .strictObject({ csr: Csr, label: Label.optional() })
  .meta({ id: 'RenewCertificate' });

/** What a machine needs to reach the admin listener, besides its own key. */
export const IssuedCertificateSchema = z
  .object({
    certificate: CertificateSchema,
    /** PEM of the certificate. */
    pem: z.string(),
    /** PEM of the authority's, which also vouches for the admin listener. */
    chain: z.string(),
    user: z.object({ id: UserIdSchema, name: z.string() }),
    adminUrl: z.string(),
  })
  .meta({ id: 'IssuedCertificate' });

export const OfferEnrolmentSchema = z
  .strictObject({ userId: UserIdSchema })
  .meta({ id: 'OfferEnrolment' });

/** `secret` is shown once: a replayed answer has null there. */
export const EnrolmentSecretSchema = z
  .object({
    id: EnrolmentIdSchema,
    userId: UserIdSchema,
    expiresAt: Timestamp,
    secret: z.string().nullable(),
  })
  .meta({ id: 'EnrolmentSecret' });
