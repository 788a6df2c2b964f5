import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
create table approval_card (
  approval_id text not null references approval (id) on delete cascade,
  connector_id text not null references connector (id),
  place text not null,
  workspace_id text not null references workspace (id),
  chat_id text not null,
  thread_id text,
  user_id text references user_account (id),
  digest text not null,
  nonce_hash text not null,
  revision integer not null default 1,
  pressed_by text,
  press_key text,
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  primary key (approval_id, connector_id, place)
);

create table direct_chat (
  connector_id text not null references connector (id),
  subject text not null,
  chat_id text not null,
  wants_approvals boolean not null default false,
  primary key (connector_id, subject)
);

create table chat_spawn (
  request_id text primary key,
  workspace_id text not null references workspace (id),
  connector_id text not null references connector (id),
  chat_id text not null,
  thread_id text,
  created_at timestamptz not null default now()
);
create index chat_spawn_created_at on chat_spawn (created_at);

create table pairing_guard (
  who text primary key,
  failures integer not null,
  since timestamptz not null,
  locked_until timestamptz
);
`;

/** What the chat surface remembers: cards and their buttons, direct chats, where agents were asked for, wrong tokens. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
