import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const TABLES = `
create table enrolment_secret (
  id text primary key,
  seq bigint generated always as identity unique,
  lookup text not null unique,
  hash text not null,
  user_id text references user_account (id),
  user_name text,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  wrong_tries integer not null default 0,
  voided_at timestamptz,
  used_at timestamptz,
  check ((user_id is null) <> (user_name is null))
);

create table certificate (
  id text primary key,
  seq bigint generated always as identity unique,
  user_id text not null references user_account (id),
  serial text not null unique,
  fingerprint text not null unique,
  public_key_hash text not null,
  pem text not null,
  label text not null default '',
  enrolment_id text references enrolment_secret (id),
  renews_id text references certificate (id),
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_by text,
  last_used_at timestamptz,
  check (enrolment_id is null or renews_id is null)
);
create unique index certificate_enrolment on certificate (enrolment_id) where enrolment_id is not null;
create unique index certificate_renewal on certificate (renews_id, public_key_hash)
  where renews_id is not null;
create index certificate_user on certificate (user_id);

create table enrolment_failure (
  seq bigint generated always as identity primary key,
  address text not null,
  at timestamptz not null default now()
);
create index enrolment_failure_address on enrolment_failure (address, at);
create index enrolment_failure_at on enrolment_failure (at);
`;

/** Client certificates, the one-time secrets that lead to them, and who guessed at those. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db);
}
