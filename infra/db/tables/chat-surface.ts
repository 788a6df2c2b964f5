import type { Generated } from 'kysely';
import type { Nullable, NullableTime, Time, TimeNow } from '../column.ts';

/** An approval as it is shown in one chat. */
export interface ApprovalCardTable {
  approval_id: string;
  connector_id: string;
  place: string;
  workspace_id: string;
  chat_id: string;
  thread_id: Nullable<string>;
  /** Whose direct chat it is; null for a hub. */
  user_id: Nullable<string>;
  /** Of the payload that it shows: what its buttons decide about. */
  digest: string;
  /** Of what its buttons carry now. */
  nonce_hash: string;
  /** Rises each time that the message is changed. */
  revision: Generated<number>;
  /** Who is pressing, or has pressed, a button of this revision; and by which update. */
  pressed_by: Nullable<string>;
  press_key: Nullable<string>;
  created_at: TimeNow;
  closed_at: NullableTime;
}

/** Where somebody of a network can be spoken to alone: known from what he said there. */
export interface DirectChatTable {
  connector_id: string;
  subject: string;
  chat_id: string;
  /** Whether he wants to be shown approvals there. */
  wants_approvals: Generated<boolean>;
}

/** Where a spawn was asked for, written before it is: its agents report there. */
export interface ChatSpawnTable {
  request_id: string;
  workspace_id: string;
  connector_id: string;
  chat_id: string;
  thread_id: Nullable<string>;
  created_at: TimeNow;
}

/** Wrong pairing tokens of one admin, or of one address. */
export interface PairingGuardTable {
  who: string;
  failures: number;
  since: Time;
  locked_until: NullableTime;
}

export interface ChatSurfaceTables {
  approval_card: ApprovalCardTable;
  direct_chat: DirectChatTable;
  chat_spawn: ChatSpawnTable;
  pairing_guard: PairingGuardTable;
}
