import type { ChatUpdate } from '../../domain/chat.ts';
import { editChatMessage, insertChatMessage } from '../../infra/db/queries/chat-message.ts';
import type { NewEvent } from '../../infra/db/queries/record.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { repeatableId } from '../repeatable-id.ts';
import { cleanLine, cut, wordsOf } from './text.ts';
import type { Saying, Turn } from './turn.ts';

/** Far above what a network takes in one message; a row is for reading, not for storing files. */
const TEXT_CHARS_MAX = 65_536;

type Said = Extract<ChatUpdate, { readonly kind: 'message' | 'edit' }>;

/** What was said in a chat that is bound to a context belongs to its record. Idempotent. */
export async function recordMessage(turn: Turn, update: Said): Promise<void> {
  const { context, connectorId, principal } = turn;
  if (context === null || update.sender.isBot) return;
  const text = cut(update.text.toWellFormed(), TEXT_CHARS_MAX);
  const at = new Date(update.at);
  const message = {
    workspaceId: context.workspaceId,
    contextId: context.id,
    connectorId,
    externalId: update.messageId,
    senderId: update.sender.subject,
    text,
    at,
  };
  const id = messageIdOf(message);
  const event = (type: NewEvent['type'], key: string): NewEvent => ({
    key,
    type,
    subjectId: id,
    data: { contextId: context.id, connectorId, attachments: update.attachments },
  });
  const { db } = turn.deps.api;
  if (update.kind === 'edit') {
    if (await editChatMessage(db, message, event('chat.message_edited', `${turn.key}:edited`)))
      return;
  }
  await insertChatMessage(
    db,
    {
      ...message,
      id,
      direction: 'in',
      senderName: cleanLine(update.sender.displayName, 80),
      userId: principal?.userId ?? null,
    },
    event('chat.message_received', `${id}:received`),
  );
}

/** What we say there. What only one person may read is not recorded. Idempotent by the post's key. */
export async function recordSaid(db: Executor, saying: Saying): Promise<void> {
  const { context, connectorId, key } = saying;
  if (context === null || saying.isPrivate === true) return;
  const file = saying.file === undefined ? '' : `\n[file: ${saying.file.name}]`;
  const message = {
    workspaceId: context.workspaceId,
    contextId: context.id,
    connectorId,
    direction: 'out' as const,
    externalId: `post:${key}`,
    senderId: 'rookery',
    senderName: 'Rookery',
    userId: null,
    text: `${cut(wordsOf(saying.spans), TEXT_CHARS_MAX)}${file}`,
    at: new Date(),
  };
  const id = messageIdOf(message);
  await insertChatMessage(
    db,
    { ...message, id },
    {
      key: `${id}:sent`,
      type: 'chat.message_sent',
      subjectId: id,
      data: { contextId: context.id, connectorId },
    },
  );
}

function messageIdOf(message: {
  readonly connectorId: string;
  readonly contextId: string;
  readonly externalId: string;
}) {
  return repeatableId('chatMessage', [message.connectorId, message.contextId, message.externalId]);
}
