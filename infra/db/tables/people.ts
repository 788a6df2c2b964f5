import type { Generated, GeneratedAlways } from 'kysely';
import type { ContextKind, WorkspaceKind } from '../../../domain/context.ts';
import type { IdentityKind } from '../../../domain/user.ts';
import type { Role, RolePlace } from '../../../domain/principal.ts';
import type { DefaultedJson, Nullable, NullableTime, TimeNow } from '../column.ts';

export interface WorkspaceTable {
  id: string;
  seq: GeneratedAlways<number>;
  slug: string;
  name: string;
  created_at: TimeNow;
  kind: Generated<WorkspaceKind>;
  owner_user_id: Nullable<string>;
  settings: DefaultedJson;
}

/** Not `user`, which is a reserved word. */
export interface UserAccountTable {
  id: string;
  seq: GeneratedAlways<number>;
  name: string;
  created_by: string;
  created_at: TimeNow;
  disabled_at: NullableTime;
}

/** How a user is recognised: by numbers and certificates, never by a name that somebody can change. */
export interface IdentityTable {
  id: string;
  seq: GeneratedAlways<number>;
  user_id: string;
  kind: IdentityKind;
  /** Of OIDC; empty for the others. */
  issuer: Generated<string>;
  subject: string;
  display_name: Generated<string>;
  linked_by: string;
  linked_at: TimeNow;
  unlinked_at: NullableTime;
}

export interface RoleBindingTable {
  id: string;
  seq: GeneratedAlways<number>;
  user_id: string;
  role: Role;
  place: RolePlace['kind'];
  workspace_id: Nullable<string>;
  context_id: Nullable<string>;
  /** Name of the skill, tool, command, model or mailbox. */
  thing: Nullable<string>;
  created_by: string;
  created_at: TimeNow;
  revoked_at: NullableTime;
}

export interface ContextTable {
  id: string;
  seq: GeneratedAlways<number>;
  workspace_id: string;
  slug: string;
  name: string;
  kind: ContextKind;
  connector_id: Nullable<string>;
  chat_id: Nullable<string>;
  thread_id: Nullable<string>;
  settings: DefaultedJson;
  created_by: string;
  created_at: TimeNow;
  archived_at: NullableTime;
}

/** A view: what users, and keys that are nobody's in particular, may do at this moment. */
export interface LiveBindingView {
  principal_id: string;
  role: Role;
  workspace_id: string | null;
  context_id: string | null;
  thing: string | null;
  place: RolePlace['kind'];
  /** Whether approvals may be decided with it. */
  decides: boolean;
}

export interface PeopleTables {
  workspace: WorkspaceTable;
  user_account: UserAccountTable;
  identity: IdentityTable;
  role_binding: RoleBindingTable;
  context: ContextTable;
  live_binding: LiveBindingView;
}
