import { sql } from 'kysely';
import { isNotTouched } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { Page } from './page.ts';

export interface Certificate {
  readonly id: string;
  readonly seq: number;
  readonly userId: string;
  readonly serial: string;
  readonly fingerprint: string;
  readonly pem: string;
  readonly label: string;
  readonly renewsId: string | null;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | null;
  readonly revokedBy: string | null;
  readonly lastUsedAt: Date | null;
}

const COLUMNS = [
  'id',
  'seq',
  'user_id as userId',
  'serial',
  'fingerprint',
  'pem',
  'label',
  'renews_id as renewsId',
  'issued_at as issuedAt',
  'expires_at as expiresAt',
  'revoked_at as revokedAt',
  'revoked_by as revokedBy',
  'last_used_at as lastUsedAt',
] as const;

/** Neither revoked nor over, by the database's clock. */
const isLive = sql<boolean>`revoked_at is null and expires_at > now()`;

export interface NewCertificate {
  readonly id: string;
  readonly userId: string;
  readonly serial: string;
  readonly fingerprint: string;
  readonly publicKeyHash: string;
  readonly pem: string;
  readonly label: string;
  /** What it was given out for: a secret, or the certificate before it. */
  readonly enrolmentId: string | null;
  readonly renewsId: string | null;
  readonly expiresAt: Date;
}

/** Not idempotent: every certificate has a serial of its own. Callers look first, under a lock. */
export async function insertCertificate(db: Executor, made: NewCertificate): Promise<Certificate> {
  return db
    .insertInto('certificate')
    .values({
      id: made.id,
      user_id: made.userId,
      serial: made.serial,
      fingerprint: made.fingerprint,
      public_key_hash: made.publicKeyHash,
      pem: made.pem,
      label: storableText(made.label),
      enrolment_id: made.enrolmentId,
      renews_id: made.renewsId,
      expires_at: made.expiresAt,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
}

/** What is to be known of a certificate that was shown. */
export interface ShownCertificate {
  readonly id: string;
  readonly userId: string;
  readonly state: 'live' | 'expired' | 'revoked';
  readonly lastUsedAt: Date | null;
}

export async function findShownCertificate(
  db: Executor,
  fingerprint: string,
): Promise<ShownCertificate | null> {
  const row = await db
    .selectFrom('certificate')
    .select(['id', 'user_id as userId', 'last_used_at as lastUsedAt'])
    .select(
      sql<ShownCertificate['state']>`case when revoked_at is not null then 'revoked'
        when expires_at <= now() then 'expired' else 'live' end`.as('state'),
    )
    .where('fingerprint', '=', fingerprint)
    .executeTakeFirst();
  return row ?? null;
}

/** Of those shown by open connections, the ones that are good no longer, or whose users are disabled. */
export async function findDeadCertificates(
  db: Executor,
  fingerprints: readonly string[],
): Promise<readonly string[]> {
  if (fingerprints.length === 0) return [];
  const rows = await db
    .selectFrom('certificate as c')
    .innerJoin('user_account as u', 'u.id', 'c.user_id')
    .select('c.fingerprint')
    .where('c.fingerprint', 'in', fingerprints)
    .where('u.disabled_at', 'is', null)
    .where('c.revoked_at', 'is', null)
    .where('c.expires_at', '>', sql<Date>`now()`)
    .execute();
  const good = new Set(rows.map(({ fingerprint }) => fingerprint));
  return fingerprints.filter((fingerprint) => !good.has(fingerprint));
}

/** To the minute. */
export async function touchCertificate(db: Executor, id: string): Promise<void> {
  await db
    .updateTable('certificate')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where(isNotTouched)
    .execute();
}

export async function getCertificate(db: Executor, id: string): Promise<Certificate | null> {
  const row = await db
    .selectFrom('certificate')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export async function findCertificateOfEnrolment(
  db: Executor,
  request: { readonly enrolmentId: string; readonly publicKeyHash: string },
): Promise<Certificate | null> {
  const row = await db
    .selectFrom('certificate')
    .select(COLUMNS)
    .where('enrolment_id', '=', request.enrolmentId)
    .where('public_key_hash', '=', request.publicKeyHash)
    .where(isLive)
    .executeTakeFirst();
  return row ?? null;
}

/** What was given out for this certificate and key before; and locks the certificate, so that two requests make one. */
export async function findRenewal(
  db: Executor,
  request: { readonly certificateId: string; readonly publicKeyHash: string },
): Promise<Certificate | null> {
  await db
    .selectFrom('certificate')
    .select('id')
    .where('id', '=', request.certificateId)
    .forUpdate()
    .execute();
  const row = await db
    .selectFrom('certificate')
    .select(COLUMNS)
    .where('renews_id', '=', request.certificateId)
    .where('public_key_hash', '=', request.publicKeyHash)
    .executeTakeFirst();
  return row ?? null;
}

/** How many there are already that were asked for with this one. */
export async function countRenewals(db: Executor, certificateId: string): Promise<number> {
  const row = await db
    .selectFrom('certificate')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('renews_id', '=', certificateId)
    .executeTakeFirstOrThrow();
  return row.count;
}

export async function listCertificates(
  db: Executor,
  query: Page & { readonly userId?: string },
): Promise<readonly Certificate[]> {
  let select = db
    .selectFrom('certificate')
    .select(COLUMNS)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.userId !== undefined) select = select.where('user_id', '=', query.userId);
  return select.execute();
}

/**
 * Revokes a certificate and all that were asked for with it: whoever has its key may have renewed it. Answers the ids
 * of those that this call revoked. Idempotent: the first time stands.
 */
export async function revokeCertificate(
  db: Executor,
  revoke: { readonly id: string; readonly by: string },
): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    with recursive family (id) as (
      select id from certificate where id = ${revoke.id}
      union all
      select c.id from certificate c join family f on c.renews_id = f.id
    )
    update certificate set revoked_at = now(), revoked_by = ${revoke.by}
    where id in (select id from family) and revoked_at is null
    returning id`.execute(db);
  return rows.map(({ id }) => id);
}
