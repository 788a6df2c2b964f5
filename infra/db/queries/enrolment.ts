import { sql } from 'kysely';
import { fromNow } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';

export interface EnrolmentOffer {
  readonly id: string;
  readonly lookup: string;
  /** Hex SHA-256 of the secret part. */
  readonly hash: string;
  /** Whom it is for: somebody who is there, or the first of all, by name. */
  readonly userId: string | null;
  readonly userName: string | null;
  readonly createdBy: string;
  readonly validMs: number;
}

/** Answers when it ends. Idempotent by the id: the first one stands, and null is answered. */
export async function insertEnrolment(db: Executor, offer: EnrolmentOffer): Promise<Date | null> {
  const row = await db
    .insertInto('enrolment_secret')
    .values({
      id: offer.id,
      lookup: offer.lookup,
      hash: offer.hash,
      user_id: offer.userId,
      user_name: offer.userName === null ? null : storableText(offer.userName),
      created_by: offer.createdBy,
      expires_at: sql<Date>`${fromNow(offer.validMs)}`,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('expires_at')
    .executeTakeFirst();
  return row?.expires_at ?? null;
}

export async function getEnrolment(
  db: Executor,
  id: string,
): Promise<{ readonly userId: string | null; readonly expiresAt: Date } | null> {
  const row = await db
    .selectFrom('enrolment_secret')
    .select(['user_id as userId', 'expires_at as expiresAt'])
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export interface FoundEnrolment {
  readonly id: string;
  readonly hash: string;
  readonly userId: string | null;
  readonly userName: string | null;
  readonly createdBy: string;
  readonly isUsed: boolean;
  readonly isOver: boolean;
}

/** Locked, so that a secret that two machines show at once lets in one. */
export async function takeEnrolment(db: Executor, lookup: string): Promise<FoundEnrolment | null> {
  const row = await db
    .selectFrom('enrolment_secret')
    .select([
      'id',
      'hash',
      'user_id as userId',
      'user_name as userName',
      'created_by as createdBy',
      sql<boolean>`used_at is not null`.as('isUsed'),
      sql<boolean>`expires_at <= now() or voided_at is not null`.as('isOver'),
    ])
    .where('lookup', '=', lookup)
    .forUpdate()
    .executeTakeFirst();
  return row ?? null;
}

/** The user that the first enrolment made is its user from then on. */
export async function useEnrolment(
  db: Executor,
  { id, userId }: { readonly id: string; readonly userId: string },
): Promise<void> {
  await db
    .updateTable('enrolment_secret')
    .set({ used_at: sql<Date>`now()`, user_id: userId, user_name: null })
    .where('id', '=', id)
    .execute();
}

/** Notes a guess at a secret that there is; after `triesMax` of them it is good no longer. True where this one was the last. */
export async function noteWrongTry(
  db: Executor,
  guess: { readonly lookup: string; readonly triesMax: number },
): Promise<boolean> {
  const row = await db
    .updateTable('enrolment_secret')
    .set({
      wrong_tries: sql<number>`wrong_tries + 1`,
      voided_at: sql<Date | null>`case when wrong_tries + 1 >= ${guess.triesMax}::int
        then coalesce(voided_at, now()) else voided_at end`,
    })
    .where('lookup', '=', guess.lookup)
    .where('used_at', 'is', null)
    .where('voided_at', 'is', null)
    .returning(sql<boolean>`voided_at is not null`.as('isOver'))
    .executeTakeFirst();
  return row?.isOver ?? false;
}

/** Guesses from one address come one after the other, so that none is missed by being sent at once. */
export async function lockAddress(db: Executor, address: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`enrolment:${address}`}, 0))`.execute(
    db,
  );
}

interface Window {
  readonly address: string;
  readonly windowMs: number;
}

export async function countFailures(db: Executor, window: Window): Promise<number> {
  const row = await db
    .selectFrom('enrolment_failure')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('address', '=', window.address)
    .where('at', '>', sql<Date>`${fromNow(-window.windowMs)}`)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** Forgets those that no longer count. */
export async function noteFailure(db: Executor, { address, windowMs }: Window): Promise<void> {
  await db
    .deleteFrom('enrolment_failure')
    .where('at', '<=', sql<Date>`${fromNow(-windowMs)}`)
    .execute();
  await db.insertInto('enrolment_failure').values({ address }).execute();
}

/** Held until the end of the transaction, so that two first enrolments make one first user. */
export async function lockFirstEnrolment(db: Executor): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('enrolment:first', 0))`.execute(db);
}

/** Whether anybody who is not disabled has every power there is. */
export async function hasOverlord(db: Executor): Promise<boolean> {
  const row = await db
    .selectFrom('role_binding as b')
    .innerJoin('user_account as u', 'u.id', 'b.user_id')
    .select('b.id')
    .where('b.role', '=', 'overlord')
    .where('b.place', '=', 'installation')
    .where('b.revoked_at', 'is', null)
    .where('u.disabled_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
