import { sql } from 'kysely';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import { appendCall, type NewEvent } from './record.ts';

/** Something that was said in a chat that is bound to a context. */
export interface NewChatMessage {
  readonly id: string;
  readonly workspaceId: string;
  readonly contextId: string;
  readonly connectorId: string;
  readonly direction: 'in' | 'out';
  /** The network's number of it; of what we say, the key of its post. */
  readonly externalId: string;
  readonly senderId: string;
  readonly senderName: string;
  /** Who it is, where the sender is linked. */
  readonly userId: string | null;
  readonly text: string;
  readonly at: Date;
}

/** With its event, in one statement. Idempotent by the network's number in its context. */
export async function insertChatMessage(
  db: Executor,
  message: NewChatMessage,
  event: NewEvent,
): Promise<void> {
  const record = appendCall({ workspaceId: message.workspaceId, events: [event] });
  await sql`
    with said as (
      insert into chat_message (id, workspace_id, context_id, connector_id, direction, external_id,
        sender_id, sender_name, user_id, text, at)
      values (${message.id}, ${message.workspaceId}, ${message.contextId}, ${message.connectorId},
        ${message.direction}, ${message.externalId}, ${message.senderId},
        ${storableText(message.senderName)}, ${message.userId}, ${storableText(message.text)},
        ${message.at})
      on conflict do nothing returning id
    )
    select said.id from said cross join lateral ${record} as written
  `.execute(db);
}

/** What somebody made of his message. False where it was not stored, as it was said before its chat was bound. */
export async function editChatMessage(
  db: Executor,
  edit: {
    readonly workspaceId: string;
    readonly contextId: string;
    readonly connectorId: string;
    readonly externalId: string;
    readonly senderId: string;
    readonly text: string;
    readonly at: Date;
  },
  event: NewEvent,
): Promise<boolean> {
  const record = appendCall({ workspaceId: edit.workspaceId, events: [event] });
  const { rows } = await sql`
    with said as (
      select id from chat_message
      where connector_id = ${edit.connectorId} and context_id = ${edit.contextId}
        and external_id = ${edit.externalId} and sender_id = ${edit.senderId}
    ), edited as (
      update chat_message m set text = ${storableText(edit.text)}, edited_at = ${edit.at}
      from said where m.id = said.id and coalesce(m.edited_at <= ${edit.at}, true)
      returning m.id
    ), told as (
      select edited.id from edited cross join lateral ${record} as written
    )
    select said.id, (select count(*) from told) from said
  `.execute(db);
  return rows.length > 0;
}
