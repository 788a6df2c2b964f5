import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
create table connector (
  id text primary key,
  seq bigint generated always as identity unique,
  network text not null check (network in ('telegram', 'discord')),
  name text not null unique,
  settings jsonb not null default '{}',
  secret_ref text,
  sealed_secret bytea,
  revision integer not null default 1,
  enabled boolean not null default true,
  created_by text not null,
  created_at timestamptz not null default now(),
  removed_at timestamptz,
  state text not null default 'stopped',
  state_detail text not null default '',
  state_since timestamptz not null default now(),
  bot_id text,
  bot_name text,
  check ((secret_ref is null) or (sealed_secret is null))
);

create table connector_cursor (
  connector_id text not null references connector (id),
  name text not null,
  position text not null,
  primary key (connector_id, name)
);

create table chat_update (
  connector_id text not null references connector (id),
  key text not null,
  seq bigint generated always as identity unique,
  place text not null,
  sealed bytea,
  state text not null default 'received' check (state in ('received', 'handled', 'failed')),
  attempts integer not null default 0,
  not_before timestamptz,
  error text,
  received_at timestamptz not null default now(),
  handled_at timestamptz,
  primary key (connector_id, key)
);
create index chat_update_queue on chat_update (connector_id, place, seq) where state = 'received';
create index chat_update_purge on chat_update (handled_at) where state <> 'received';

create table post (
  id text primary key,
  seq bigint generated always as identity unique,
  connector_id text not null references connector (id),
  workspace_id text references workspace (id),
  key text not null unique,
  kind text not null check (kind in ('send', 'edit')),
  place text not null,
  edits_key text,
  sealed bytea,
  state text not null default 'queued'
    check (state in ('queued', 'sending', 'sent', 'uncertain', 'failed')),
  attempts integer not null default 0,
  not_before timestamptz,
  message_id text,
  error text,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  check ((kind = 'edit') = (edits_key is not null))
);
create index post_queue on post (connector_id, place, seq) where state in ('queued', 'sending');
create index post_purge on post (created_at);

create table chat_message (
  id text primary key,
  seq bigint generated always as identity unique,
  workspace_id text not null references workspace (id),
  context_id text not null references context (id),
  connector_id text not null references connector (id),
  direction text not null check (direction in ('in', 'out')),
  external_id text not null,
  sender_id text not null,
  sender_name text not null,
  user_id text references user_account (id),
  text text not null,
  at timestamptz not null,
  edited_at timestamptz,
  unique (connector_id, context_id, external_id)
);
create index chat_message_context on chat_message (context_id, seq);

create table pairing (
  id text primary key,
  seq bigint generated always as identity unique,
  connector_id text not null references connector (id),
  subject text not null,
  display_name text not null,
  token_hash text not null,
  state text not null default 'pending'
    check (state in ('pending', 'shown', 'linked', 'refused', 'expired')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  user_id text references user_account (id),
  decided_by text,
  decided_at timestamptz
);
create unique index pairing_token on pairing (token_hash);
create index pairing_subject on pairing (connector_id, subject);
`;

/** Chat: networks we are connected to, what came in, what is to go out, and who is being linked. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
