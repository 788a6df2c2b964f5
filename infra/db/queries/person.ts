import { sql } from 'kysely';
import type { Executor } from '../schema.ts';

/**
 * Who stands behind each of these ids: the user of a key that is somebody's, else what the id itself names. A person is
 * the same one by whatever key, certificate, token or chat he comes.
 */
export async function personsOf(
  db: Executor,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const keys =
    ids.length === 0
      ? []
      : await db
          .selectFrom('api_key')
          .select(['id', 'user_id as userId'])
          .where('id', 'in', ids)
          .where('user_id', 'is not', null)
          .execute();
  const users = new Map(keys.map(({ id, userId }) => [id, userId]));
  return new Map(ids.map((id) => [id, users.get(id) ?? id]));
}

export async function personOf(db: Executor, id: string): Promise<string> {
  return (await personsOf(db, [id])).get(id) ?? id;
}

/**
 * Who has made this person what he is since then: made his account, a key of his, gave him a role, linked an identity to
 * him or had a certificate made out to him, and who did that for those. Nobody becomes a second person by any of it.
 */
export async function makersSince(
  db: Executor,
  person: string,
  since: Date,
): Promise<readonly string[]> {
  const { rows } = await sql<{ readonly id: string }>`
    with recursive made (child, maker) as (
      select coalesce(user_id, id), created_by from api_key where created_at >= ${since}
      union all
      select id, created_by from user_account where created_at >= ${since}
      union all
      select user_id, created_by from role_binding where created_at >= ${since}
      union all
      select user_id, linked_by from identity where linked_at >= ${since}
      union all
      select c.user_id, e.created_by
      from certificate c join enrolment_secret e on e.id = c.enrolment_id
      where c.issued_at >= ${since}
    ), edge (child, maker) as (
      select m.child, coalesce(k.user_id, m.maker)
      from made m left join api_key k on k.id = m.maker
    ), line (id) as (
      select ${person}::text
      union
      select e.maker from edge e join line l on l.id = e.child
    )
    select id from line where id <> ${person}`.execute(db);
  return rows.map(({ id }) => id);
}
