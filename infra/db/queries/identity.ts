import { sql } from 'kysely';
import type { IdentityKind } from '../../../domain/user.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import { findLiveUser, type LiveUser } from './principal.ts';

export interface Identity {
  readonly id: string;
  readonly seq: number;
  readonly userId: string;
  readonly kind: IdentityKind;
  readonly issuer: string;
  readonly subject: string;
  readonly displayName: string;
  readonly linkedBy: string;
  readonly linkedAt: Date;
  readonly unlinkedAt: Date | null;
}

const COLUMNS = [
  'id',
  'seq',
  'user_id as userId',
  'kind',
  'issuer',
  'subject',
  'display_name as displayName',
  'linked_by as linkedBy',
  'linked_at as linkedAt',
  'unlinked_at as unlinkedAt',
] as const;

/** What a network, an issuer or a certificate says who somebody is. Names play no part in it. */
export interface IdentityName {
  readonly kind: IdentityKind;
  /** Of OIDC; empty for the others. */
  readonly issuer: string;
  readonly subject: string;
}

/** The user whom this is, with his roles; null where it is linked to nobody, or to somebody who is disabled. */
export async function findUserByIdentity(
  db: Executor,
  name: IdentityName,
): Promise<LiveUser | null> {
  const found = await findIdentity(db, name);
  return found === null ? null : findLiveUser(db, found.userId);
}

/** The link that holds now, also that of a disabled user; null where there is none. */
export async function findIdentity(db: Executor, name: IdentityName): Promise<Identity | null> {
  const row = await db
    .selectFrom('identity')
    .select(COLUMNS)
    .where('kind', '=', name.kind)
    .where('issuer', '=', name.issuer)
    .where('subject', '=', name.subject)
    .where('unlinked_at', 'is', null)
    .executeTakeFirst();
  return row ?? null;
}

export type LinkResult =
  | { readonly kind: 'linked' | 'existing'; readonly identity: Identity }
  /** Somebody else is recognised by it: it must be unlinked from him first. */
  | { readonly kind: 'taken'; readonly identity: Identity };

/** Idempotent: the same identity of the same user again changes nothing. It is never moved from one user to another. */
export async function linkIdentity(
  db: Executor,
  link: IdentityName & {
    readonly id: string;
    readonly userId: string;
    readonly displayName: string;
    readonly linkedBy: string;
  },
): Promise<LinkResult> {
  const made = await db
    .insertInto('identity')
    .values({
      id: link.id,
      user_id: link.userId,
      kind: link.kind,
      issuer: link.issuer,
      subject: link.subject,
      display_name: storableText(link.displayName),
      linked_by: link.linkedBy,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning(COLUMNS)
    .executeTakeFirst();
  if (made !== undefined) return { kind: 'linked', identity: made };
  const there = (await findIdentity(db, link)) ?? (await getIdentity(db, link.id));
  if (there === null) throw new Error('What an insertion conflicts with is there.');
  return { kind: there.userId === link.userId ? 'existing' : 'taken', identity: there };
}

/** True when this call unlinked it. Idempotent: the first time stands. */
export async function unlinkIdentity(db: Executor, id: string): Promise<boolean> {
  const result = await db
    .updateTable('identity')
    .set({ unlinked_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('unlinked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

export async function getIdentity(db: Executor, id: string): Promise<Identity | null> {
  const row = await db
    .selectFrom('identity')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

/** Oldest first, also those that were unlinked. */
export function listIdentities(
  db: Executor,
  { userId }: { readonly userId: string },
): Promise<Identity[]> {
  return db
    .selectFrom('identity')
    .select(COLUMNS)
    .where('user_id', '=', userId)
    .orderBy('seq')
    .execute();
}
