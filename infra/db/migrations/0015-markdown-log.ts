import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
create table markdown_log (
  context_id text not null references context (id),
  connector_id text not null references connector (id),
  workspace_id text not null references workspace (id),
  path text not null,
  seq bigint not null,
  primary key (context_id, connector_id)
);
create unique index markdown_log_path on markdown_log (workspace_id, path);
`;

/** Logs of chats as files: where each lies, and how far it was written. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
