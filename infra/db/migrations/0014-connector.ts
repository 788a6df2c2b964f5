import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const CHANGES = `
alter table connector drop constraint connector_name_key;
create unique index connector_name on connector (name) where removed_at is null;
alter table connector add column webhook_secret bytea;
alter table post add column begun_at timestamptz;
create index post_attention on post (connector_id, seq) where state in ('uncertain', 'failed');
create index post_edits on post (edits_key) where edits_key is not null;
create index chat_update_due on chat_update (connector_id, seq) where state = 'received';
create index chat_update_waiting on chat_update (connector_id, place)
  where state = 'received' and not_before is not null;
create index post_due on post (connector_id, seq) where state = 'queued';
create index post_waiting on post (connector_id, place)
  where state = 'queued' and not_before is not null;
create index chat_update_failed on chat_update (connector_id, seq) where state = 'failed';
`;

/** Connectors as they are run: a name is free again after a removal, and what the network must show with a webhook. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(CHANGES).execute(db);
}
