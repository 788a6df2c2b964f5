import { sql } from 'kysely';

/** A length of time for the database; null stays null. */
export function interval(ms: number | null): ReturnType<typeof sql> {
  return sql`(${ms}::double precision * interval '1 millisecond')`;
}

/** A moment by the database's clock; null stays null. */
export function fromNow(ms: number | null): ReturnType<typeof sql> {
  return sql`now() + ${interval(ms)}`;
}

/** Of a row whose `last_used_at` is kept to the minute: a busy one would otherwise be rewritten with every request. */
export const isNotTouched = sql<boolean>`(last_used_at is null or last_used_at < now() - interval '1 minute')`;
