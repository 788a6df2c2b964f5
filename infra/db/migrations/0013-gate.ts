import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
alter table approval
  add column role text check (role in ('overlord', 'admin', 'operator')),
  add column gate jsonb,
  add column template text,
  add column recipients text[] not null default '{}';

alter table vote add column standing_id text;

alter table approval_request
  alter column agent_id drop not null,
  drop constraint approval_request_kind_check,
  add column requested_by text,
  add column context_id text references context (id),
  add column gate jsonb,
  add column template text,
  add column recipients text[] not null default '{}',
  add check (kind in ('request', 'grant', 'post', 'spawn')),
  add check ((kind = 'spawn') = (agent_id is null)),
  add check ((agent_id is null) = (requested_by is not null));

alter table spawn
  drop constraint spawn_state_check,
  add column approval_id text,
  add check (state in
    ('asked', 'refused', 'requested', 'running', 'finished', 'cancelled', 'failed')),
  add check (state <> 'asked' or approval_id is not null);
create index spawn_asked on spawn (approval_id) where state = 'asked';

create table standing_approval (
  id text primary key,
  seq bigint generated always as identity unique,
  workspace_id text not null references workspace (id),
  approval_id text not null references approval (id),
  title text not null,
  template text not null,
  template_hash text not null,
  recipients text[] not null default '{}',
  risk text not null check (risk in ('low', 'medium', 'high')),
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  activated_at timestamptz,
  revoked_at timestamptz,
  revoked_by text,
  uses integer not null default 0,
  last_used_at timestamptz
);
create index standing_approval_match on standing_approval (workspace_id, template_hash)
  where activated_at is not null and revoked_at is null;
create index standing_approval_list on standing_approval (workspace_id, seq);
`;

/** The gate: what decided, what may be approved for ever, and spawns that wait for people. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
