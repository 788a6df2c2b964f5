import { sql } from 'kysely';
import type { Network } from '../../../domain/chat.ts';
import { fromNow } from '../interval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { PairingState } from '../tables/chat.ts';
import type { Page } from './page.ts';

/** Somebody on a network who wants to be linked to a user. */
export interface Pairing {
  readonly id: string;
  readonly seq: number;
  readonly connectorId: string;
  readonly connectorName: string;
  readonly network: Network;
  readonly subject: string;
  readonly displayName: string;
  /** Of its token, which is kept nowhere. */
  readonly tokenHash: string;
  /** `pending` until its token was entered, then `shown`. */
  readonly state: PairingState;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly userId: string | null;
}

/** Of one person at once: enough for somebody who lost the first token and the second. */
export const PENDING_MAX = 3;
/** Of one connector at once, so that nobody fills the list by making accounts. */
const PENDING_OF_CONNECTOR_MAX = 200;

const isOpen = sql<boolean>`(p.state in ('pending', 'shown') and p.expires_at > now())`;

function select(db: Executor) {
  return db
    .selectFrom('pairing as p')
    .innerJoin('connector as c', 'c.id', 'p.connector_id')
    .select([
      'p.id',
      'p.seq',
      'p.connector_id as connectorId',
      'c.name as connectorName',
      'c.network',
      'p.subject',
      'p.display_name as displayName',
      'p.token_hash as tokenHash',
      sql<PairingState>`case when p.state in ('pending', 'shown') and p.expires_at <= now()
        then 'expired' else p.state end`.as('state'),
      'p.created_at as createdAt',
      'p.expires_at as expiresAt',
      'p.user_id as userId',
    ]);
}

export type NewPairing = Pick<
  Pairing,
  'id' | 'connectorId' | 'subject' | 'displayName' | 'tokenHash'
> & { readonly lifeMs: number };

/** `existing`: the same request made it before. The others: there are too many of him, or of the connector. */
export type PairingMade = 'made' | 'existing' | 'too_many' | 'connector_full';

/** In a transaction: others of the same connector wait for its end, so that they are counted right. */
export async function insertPairing(tx: Executor, pairing: NewPairing): Promise<PairingMade> {
  await sql`select pg_advisory_xact_lock(hashtextextended('pairing:' || ${pairing.connectorId}, 0))`.execute(
    tx,
  );
  const { rows } = await sql<{ own: number; all: number; isThere: boolean }>`
    select count(*) filter (where p.subject = ${pairing.subject})::integer as own,
      count(*)::integer as all,
      exists (select from pairing where id = ${pairing.id}) as "isThere"
    from pairing p where p.connector_id = ${pairing.connectorId} and ${isOpen}
  `.execute(tx);
  const { own = 0, all = 0, isThere = false } = rows[0] ?? {};
  if (isThere) return 'existing';
  if (own >= PENDING_MAX) return 'too_many';
  if (all >= PENDING_OF_CONNECTOR_MAX) return 'connector_full';
  await tx
    .insertInto('pairing')
    .values({
      id: pairing.id,
      connector_id: pairing.connectorId,
      subject: pairing.subject,
      display_name: storableText(pairing.displayName),
      token_hash: pairing.tokenHash,
      expires_at: sql<Date>`${fromNow(pairing.lifeMs)}`,
    })
    .execute();
  return 'made';
}

export async function getPairing(db: Executor, id: string): Promise<Pairing | null> {
  return (await select(db).where('p.id', '=', id).executeTakeFirst()) ?? null;
}

export async function findPairingByHash(db: Executor, hash: string): Promise<Pairing | null> {
  return (await select(db).where('p.token_hash', '=', hash).executeTakeFirst()) ?? null;
}

/** Those that wait for a decision, oldest first. */
export function listOpenPairings(db: Executor, page: Page): Promise<readonly Pairing[]> {
  return select(db)
    .where(isOpen)
    .where('p.seq', '>', page.after)
    .orderBy('p.seq')
    .limit(page.limit)
    .execute();
}

/** Its token was entered by somebody who may decide. Idempotent. */
export async function markPairingShown(db: Executor, id: string): Promise<void> {
  await sql`update pairing p set state = 'shown' where p.id = ${id} and ${isOpen}`.execute(db);
}

/** Ends it, once. False where it was ended before, or is too old; a link takes one that was shown. */
export async function endPairing(
  tx: Executor,
  end: {
    readonly id: string;
    readonly state: 'linked' | 'refused';
    readonly by: string;
    readonly userId: string | null;
  },
): Promise<boolean> {
  const from = end.state === 'linked' ? ['shown'] : ['pending', 'shown'];
  const { rows } = await sql`
    update pairing p set state = ${end.state}, decided_by = ${end.by}, decided_at = now(),
      user_id = ${end.userId}
    where p.id = ${end.id} and p.expires_at > now() and p.state = any(${from}::text[])
    returning p.id
  `.execute(tx);
  return rows.length > 0;
}

/** Wrong tokens within the window lock whoever enters them out for a while. */
export interface GuardRules {
  readonly failuresMax: number;
  readonly windowMs: number;
  readonly lockMs: number;
}

/** Until when one of these is locked out; null where none is. */
export async function lockedUntil(db: Executor, who: readonly string[]): Promise<Date | null> {
  const row = await db
    .selectFrom('pairing_guard')
    .select((from) => from.fn.max('locked_until').as('until'))
    .where('who', 'in', ['', ...who])
    .where('locked_until', '>', sql<Date>`now()`)
    .executeTakeFirst();
  return row?.until ?? null;
}

/** Counts one wrong token. Answers until when that locks out; null where it does not yet. */
export async function countWrongToken(
  db: Executor,
  who: string,
  rules: GuardRules,
): Promise<Date | null> {
  const { rows } = await sql<{ until: Date | null }>`
    insert into pairing_guard as g (who, failures, since) values (${who}, 1, now())
    on conflict (who) do update set
      failures = case when g.since < ${fromNow(-rules.windowMs)} then 1 else g.failures + 1 end,
      since = case when g.since < ${fromNow(-rules.windowMs)} then now() else g.since end,
      locked_until = case
        when g.since >= ${fromNow(-rules.windowMs)} and g.failures + 1 >= ${rules.failuresMax}
        then ${fromNow(rules.lockMs)} else g.locked_until end
    returning case when locked_until > now() then locked_until end as until
  `.execute(db);
  return rows[0]?.until ?? null;
}

/** What ended long ago, and counts that mean nothing any more. */
export async function purgePairings(db: Executor, keepDays: number): Promise<void> {
  await sql`delete from pairing where expires_at < now() - make_interval(days => ${keepDays})`.execute(
    db,
  );
  await sql`delete from pairing_guard where since < now() - interval '1 day'
    and coalesce(locked_until <= now(), true)`.execute(db);
}
