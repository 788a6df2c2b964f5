import type { Generated, GeneratedAlways } from 'kysely';
import type { Nullable, NullableTime, Time, TimeNow } from '../column.ts';

/** Lets one machine ask for a certificate, once. */
export interface EnrolmentSecretTable {
  id: string;
  seq: GeneratedAlways<number>;
  /** The public part, by which the row is found. */
  lookup: string;
  /** Hex SHA-256 of the secret part. */
  hash: string;
  /** Null for the first of all, which makes its user. */
  user_id: Nullable<string>;
  /** Of the user that is made. */
  user_name: Nullable<string>;
  created_by: string;
  created_at: TimeNow;
  expires_at: Time;
  wrong_tries: Generated<number>;
  /** Guessed at too often. */
  voided_at: NullableTime;
  used_at: NullableTime;
}

export interface CertificateTable {
  id: string;
  seq: GeneratedAlways<number>;
  user_id: string;
  /** Lower-case hex. */
  serial: string;
  /** Lower-case hex SHA-256 of the DER form. */
  fingerprint: string;
  /** Hex SHA-256 of the key: the same request again gets the same certificate. */
  public_key_hash: string;
  pem: string;
  /** Which machine it is for, in its owner's words. */
  label: Generated<string>;
  enrolment_id: Nullable<string>;
  /** The one that it was asked for with; revoked with it. */
  renews_id: Nullable<string>;
  issued_at: TimeNow;
  expires_at: Time;
  revoked_at: NullableTime;
  revoked_by: Nullable<string>;
  last_used_at: NullableTime;
}

/** Secrets that were wrong, by the address that they came from. */
export interface EnrolmentFailureTable {
  seq: GeneratedAlways<number>;
  address: string;
  at: TimeNow;
}

export interface CertificateTables {
  enrolment_secret: EnrolmentSecretTable;
  certificate: CertificateTable;
  enrolment_failure: EnrolmentFailureTable;
}
