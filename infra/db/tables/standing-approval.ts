import type { Generated, GeneratedAlways } from 'kysely';
import type { Risk } from '../../../domain/approval.ts';
import type { Nullable, NullableTime, Time, TimeNow } from '../column.ts';

/** What people have approved for ever: one exact template, in one workspace, for these recipients. */
export interface StandingApprovalTable {
  id: string;
  seq: GeneratedAlways<number>;
  workspace_id: string;
  /** The approval that it was made from. */
  approval_id: string;
  title: string;
  /** Canonical text; `template_hash` is its SHA-256 in hex. */
  template: string;
  template_hash: string;
  recipients: Generated<string[]>;
  /** The greatest that it covers. */
  risk: Risk;
  created_by: string;
  created_at: TimeNow;
  expires_at: Time;
  /** Null until the vote that made it has decided. */
  activated_at: NullableTime;
  revoked_at: NullableTime;
  revoked_by: Nullable<string>;
  uses: Generated<number>;
  last_used_at: NullableTime;
}

export interface StandingApprovalTables {
  standing_approval: StandingApprovalTable;
}
