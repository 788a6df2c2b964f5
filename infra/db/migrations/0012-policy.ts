import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
create table policy (
  id text primary key,
  seq bigint generated always as identity unique,
  workspace_id text not null references workspace (id),
  version integer not null check (version > 0),
  engine text not null check (engine in ('built-in', 'cedar', 'opa')),
  text text not null,
  rules jsonb not null default '[]',
  digest text not null,
  note text not null default '',
  created_by text not null,
  created_at timestamptz not null default now(),
  unique (workspace_id, version),
  unique (workspace_id, id)
);

create function policy_is_fixed() returns trigger language plpgsql as $$
begin
  raise exception 'a version of a policy never changes';
end
$$;
create trigger policy_fixed before update or delete on policy
  for each row execute function policy_is_fixed();

create table active_policy (
  workspace_id text primary key references workspace (id),
  policy_id text not null,
  activated_by text not null,
  activated_at timestamptz not null default now(),
  foreign key (workspace_id, policy_id) references policy (workspace_id, id)
);

create table policy_request (
  seq bigint generated always as identity primary key,
  workspace_id text not null references workspace (id),
  at timestamptz not null default now(),
  request jsonb not null,
  has_text boolean not null,
  verdict text not null check (verdict in ('allow', 'deny', 'ask')),
  rule text not null,
  version integer not null
);
create index policy_request_recent on policy_request (workspace_id, seq desc);
create index policy_request_purge on policy_request (at);

create table oidc_sync (
  identity_id text primary key references identity (id),
  issued_at_s bigint not null,
  synced_at timestamptz not null default now()
);
`;

/** Policies of workspaces and what they were asked lately; and how new the token was that roles were taken from. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
