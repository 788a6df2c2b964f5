import type { Generated, GeneratedAlways } from 'kysely';
import type { ConnectorState, Network } from '../../../domain/chat.ts';
import type { DefaultedJson, Nullable, NullableTime, Time, TimeNow } from '../column.ts';

export interface ConnectorTable {
  id: string;
  seq: GeneratedAlways<number>;
  network: Network;
  name: string;
  settings: DefaultedJson;
  /** The bot's token: a reference, or sealed where an admin typed it. */
  secret_ref: Nullable<string>;
  sealed_secret: Nullable<Buffer>;
  /** Sealed: what the network must show with what it pushes. Made anew with each new secret. */
  webhook_secret: Nullable<Buffer>;
  /** Rises with every change, which a running connector then takes over. */
  revision: Generated<number>;
  enabled: Generated<boolean>;
  created_by: string;
  created_at: TimeNow;
  removed_at: NullableTime;
  state: Generated<ConnectorState>;
  state_detail: Generated<string>;
  state_since: Generated<Date>;
  bot_id: Nullable<string>;
  bot_name: Nullable<string>;
}

/** How far a network was read: one row, or one for each of its channels. */
export interface ConnectorCursorTable {
  connector_id: string;
  name: string;
  position: string;
}

/** What a network told us, written before the network hears that we have it. */
export interface ChatUpdateTable {
  connector_id: string;
  /** The network's own number of it: the same update again changes nothing. */
  key: string;
  seq: GeneratedAlways<number>;
  /** Chat and thread: what comes from one place is handled in order. */
  place: string;
  /** Until it is handled. */
  sealed: Nullable<Buffer>;
  state: Generated<'received' | 'handled' | 'failed'>;
  attempts: Generated<number>;
  not_before: NullableTime;
  error: Nullable<string>;
  received_at: TimeNow;
  handled_at: NullableTime;
}

export type PostState = 'queued' | 'sending' | 'sent' | 'uncertain' | 'failed';

/** The outbox: a post goes out once under its key. */
export interface PostTable {
  id: string;
  seq: GeneratedAlways<number>;
  connector_id: string;
  workspace_id: Nullable<string>;
  key: string;
  kind: 'send' | 'edit';
  place: string;
  /** The key of the post whose message this one changes. */
  edits_key: Nullable<string>;
  /** Until it was sent. */
  sealed: Nullable<Buffer>;
  state: Generated<PostState>;
  attempts: Generated<number>;
  not_before: NullableTime;
  /** When it was last handed to the network. */
  begun_at: NullableTime;
  /** The network's. */
  message_id: Nullable<string>;
  error: Nullable<string>;
  created_at: TimeNow;
  sent_at: NullableTime;
}

export interface ChatMessageTable {
  id: string;
  seq: GeneratedAlways<number>;
  workspace_id: string;
  context_id: string;
  connector_id: string;
  direction: 'in' | 'out';
  external_id: string;
  sender_id: string;
  sender_name: string;
  user_id: Nullable<string>;
  text: string;
  at: Time;
  edited_at: NullableTime;
}

export type PairingState = 'pending' | 'shown' | 'linked' | 'refused' | 'expired';

export interface PairingTable {
  id: string;
  seq: GeneratedAlways<number>;
  connector_id: string;
  subject: string;
  display_name: string;
  token_hash: string;
  state: Generated<PairingState>;
  created_at: TimeNow;
  expires_at: Time;
  user_id: Nullable<string>;
  decided_by: Nullable<string>;
  decided_at: NullableTime;
}

export interface ChatTables {
  connector: ConnectorTable;
  connector_cursor: ConnectorCursorTable;
  chat_update: ChatUpdateTable;
  post: PostTable;
  chat_message: ChatMessageTable;
  pairing: PairingTable;
}
