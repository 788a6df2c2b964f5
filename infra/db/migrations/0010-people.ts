import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
create table user_account (
  id text primary key,
  seq bigint generated always as identity unique,
  name text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  disabled_at timestamptz
);

create table identity (
  id text primary key,
  seq bigint generated always as identity unique,
  user_id text not null references user_account (id),
  kind text not null check (kind in ('oidc', 'certificate', 'telegram', 'discord')),
  issuer text not null default '',
  subject text not null,
  display_name text not null default '',
  linked_by text not null,
  linked_at timestamptz not null default now(),
  unlinked_at timestamptz
);
create unique index identity_subject on identity (kind, issuer, subject) where unlinked_at is null;
create index identity_user on identity (user_id);

create table role_binding (
  id text primary key,
  seq bigint generated always as identity unique,
  user_id text not null references user_account (id),
  role text not null check (role in ('overlord', 'admin', 'operator', 'member', 'viewer')),
  place text not null check (place in
    ('installation', 'workspace', 'context', 'skill', 'tool', 'command', 'model', 'mailbox')),
  workspace_id text references workspace (id),
  context_id text,
  thing text,
  created_by text not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  check ((place = 'installation') = (workspace_id is null)),
  check ((place = 'context') = (context_id is not null)),
  check ((place in ('installation', 'workspace', 'context')) = (thing is null))
);
create unique index role_binding_once on role_binding
  (user_id, role, place, coalesce(workspace_id, ''), coalesce(context_id, ''), coalesce(thing, ''))
  where revoked_at is null;

alter table api_key add column user_id text references user_account (id);
create index api_key_user on api_key (user_id) where user_id is not null;

alter table workspace
  add column kind text not null default 'community' check (kind in ('community', 'private')),
  add column owner_user_id text references user_account (id),
  add column settings jsonb not null default '{}';

create table context (
  id text primary key,
  seq bigint generated always as identity unique,
  workspace_id text not null references workspace (id),
  slug text not null,
  name text not null,
  kind text not null check (kind in ('channel', 'thread', 'group', 'dm', 'admin_hub', 'plain')),
  connector_id text,
  chat_id text,
  thread_id text,
  settings jsonb not null default '{}',
  created_by text not null,
  created_at timestamptz not null default now(),
  archived_at timestamptz,
  check ((connector_id is null) = (chat_id is null)),
  check (thread_id is null or chat_id is not null)
);
create unique index context_slug on context (workspace_id, slug) where archived_at is null;
create unique index context_chat on context (connector_id, chat_id, coalesce(thread_id, ''))
  where archived_at is null and connector_id is not null;
create unique index context_hub on context (workspace_id, connector_id)
  where archived_at is null and kind = 'admin_hub';
alter table role_binding add foreign key (context_id) references context (id);

alter table spawn add column context_id text references context (id);
alter table agent add column context_id text references context (id);
alter table approval add column context_id text references context (id);

create view live_binding as
  select k.id as principal_id, k.role, k.workspace_id, null::text as context_id, null::text as thing,
      case when k.workspace_id is null then 'installation' else 'workspace' end as place,
      'approvals:decide' = any(k.scopes) as decides
    from api_key k
    where k.user_id is null and k.revoked_at is null
      and (k.expires_at is null or k.expires_at > now())
  union all
  select b.user_id, b.role, b.workspace_id, b.context_id, b.thing, b.place, true
    from role_binding b join user_account u on u.id = b.user_id
    where b.revoked_at is null and u.disabled_at is null;
`;

/** People, how they are recognised, what they may do where, and the contexts that they work in. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
