import type { Generated } from 'kysely';
import type { Risk } from '../../../domain/approval.ts';
import type { AgentGrant } from '../../../domain/grant.ts';
import type { Nullable, NullableJson, TimeNow } from '../column.ts';

/** What an agent asks people for by itself, before its approval is opened from it. */
export interface ApprovalRequestTable {
  approval_id: string;
  workspace_id: string;
  /** Null for a spawn, which a person asks for. */
  agent_id: Nullable<string>;
  /** `request` only answers; the others do what they ask for when they are granted. */
  kind: 'request' | 'grant' | 'post' | 'spawn';
  title: string;
  /** Canonical JSON text. */
  payload: string;
  risk: Risk;
  grants: AgentGrant[];
  created_at: TimeNow;
  requested_by: Nullable<string>;
  context_id: Nullable<string>;
  /** What the gate answered when it was asked: `GateNote`. */
  gate: NullableJson;
  template: Nullable<string>;
  recipients: Generated<string[]>;
}

/** Access that people gave an agent beyond the default. */
export interface AgentGrantTable {
  agent_id: string;
  permission: AgentGrant;
  approval_id: string;
  granted_at: TimeNow;
}

export interface GrantTables {
  approval_request: ApprovalRequestTable;
  agent_grant: AgentGrantTable;
}
