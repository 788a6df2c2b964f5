import { sql } from 'kysely';
import type { ConnectorState, Network } from '../../../domain/chat.ts';
import type { Executor } from '../schema.ts';
import type { PostState } from '../tables/chat.ts';

export interface ChatGauges {
  /** As they are now: one that no process runs is stopped. */
  readonly connectors: readonly {
    readonly network: Network;
    readonly state: ConnectorState;
    readonly count: number;
  }[];
  /** What was given up, or may have been said: for a person to look at. */
  readonly posts: readonly { readonly state: PostState; readonly count: number }[];
  readonly failedUpdates: number;
  /** How long the oldest of each has waited. */
  readonly oldestUpdateSeconds: number;
  readonly oldestPostSeconds: number;
}

/** What `/metrics` tells of chats, over all connectors. Each count is by an index of what is not done. */
export async function readChatGauges(db: Executor): Promise<ChatGauges> {
  const [connectors, posts, waiting] = await Promise.all([
    sql<ChatGauges['connectors'][number]>`
      select network, case when exists (select from listener_lease l
          where l.name = 'connector:' || c.id and l.lease_until > now())
        then state else 'stopped' end as state, count(*)::int as count
      from connector c where removed_at is null group by 1, 2
    `.execute(db),
    sql<ChatGauges['posts'][number]>`
      select state, count(*)::int as count from post
      where state in ('uncertain', 'failed') group by state
      union all select state, count(*)::int from post where state in ('queued', 'sending') group by state
    `.execute(db),
    sql<Pick<ChatGauges, 'failedUpdates' | 'oldestUpdateSeconds' | 'oldestPostSeconds'>>`
      select (select count(*)::int from chat_update where state = 'failed') as "failedUpdates",
        coalesce((select extract(epoch from now() - min(received_at)) from chat_update
          where state = 'received'), 0)::float8 as "oldestUpdateSeconds",
        coalesce((select extract(epoch from now() - min(created_at)) from post
          where state = 'queued'), 0)::float8 as "oldestPostSeconds"
    `.execute(db),
  ]);
  const [row] = waiting.rows;
  return {
    connectors: connectors.rows,
    posts: posts.rows,
    failedUpdates: row?.failedUpdates ?? 0,
    oldestUpdateSeconds: row?.oldestUpdateSeconds ?? 0,
    oldestPostSeconds: row?.oldestPostSeconds ?? 0,
  };
}
