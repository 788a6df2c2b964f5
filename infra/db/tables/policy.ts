import type { Generated, GeneratedAlways } from 'kysely';
import type { PolicyEngineName, PolicyVerdict } from '../../../domain/policy.ts';
import type { DefaultedJson, Json, TimeNow } from '../column.ts';

/** A version: it never changes, which the database sees to. */
export interface PolicyTable {
  id: string;
  seq: GeneratedAlways<number>;
  workspace_id: string;
  /** From 1, without gaps, per workspace. */
  version: number;
  engine: PolicyEngineName;
  /** Of `cedar` the policies, of `opa` the path of the decision; empty for `built-in`. */
  text: string;
  /** What Cedar read from the text. */
  rules: DefaultedJson;
  /** Hex SHA-256 of engine and text. */
  digest: string;
  note: Generated<string>;
  created_by: string;
  created_at: TimeNow;
}

/** Which version holds. A workspace without a row has the built-in policy. */
export interface ActivePolicyTable {
  workspace_id: string;
  policy_id: string;
  activated_by: string;
  activated_at: TimeNow;
}

/** The latest requests of a workspace, to try new versions on. */
export interface PolicyRequestTable {
  seq: GeneratedAlways<number>;
  workspace_id: string;
  at: TimeNow;
  request: Json;
  /** False where subject and intent were left out. */
  has_text: boolean;
  verdict: PolicyVerdict;
  rule: string;
  version: number;
}

/** Of an identity whose roles come from its tokens: when the newest of them was issued. */
export interface OidcSyncTable {
  identity_id: string;
  issued_at_s: number;
  synced_at: TimeNow;
}

export interface PolicyTables {
  policy: PolicyTable;
  active_policy: ActivePolicyTable;
  policy_request: PolicyRequestTable;
  oidc_sync: OidcSyncTable;
}
