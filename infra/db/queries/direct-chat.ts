import type { Network } from '../../../domain/chat.ts';
import type { Executor } from '../schema.ts';

/** Where somebody can be spoken to alone. */
export interface DirectChat {
  readonly connectorId: string;
  readonly subject: string;
  readonly chatId: string;
  readonly wantsApprovals: boolean;
}

/** Idempotent. A network that gives somebody another direct chat is followed. */
export async function noteDirectChat(
  db: Executor,
  chat: Pick<DirectChat, 'connectorId' | 'subject' | 'chatId'>,
): Promise<void> {
  await db
    .insertInto('direct_chat')
    .values({ connector_id: chat.connectorId, subject: chat.subject, chat_id: chat.chatId })
    .onConflict((conflict) =>
      conflict
        .columns(['connector_id', 'subject'])
        .doUpdateSet({ chat_id: chat.chatId })
        .where('direct_chat.chat_id', '<>', chat.chatId),
    )
    .execute();
}

export async function setWantsApprovals(
  db: Executor,
  chat: Pick<DirectChat, 'connectorId' | 'subject' | 'wantsApprovals'>,
): Promise<void> {
  await db
    .updateTable('direct_chat')
    .set({ wants_approvals: chat.wantsApprovals })
    .where('connector_id', '=', chat.connectorId)
    .where('subject', '=', chat.subject)
    .execute();
}

function select(db: Executor) {
  return db
    .selectFrom('direct_chat as d')
    .innerJoin('connector as c', 'c.id', 'd.connector_id')
    .innerJoin('identity as i', (join) =>
      join.onRef('i.kind', '=', 'c.network').onRef('i.subject', '=', 'd.subject'),
    )
    .innerJoin('user_account as u', 'u.id', 'i.user_id')
    .select([
      'd.connector_id as connectorId',
      'd.subject',
      'd.chat_id as chatId',
      'd.wants_approvals as wantsApprovals',
      'i.user_id as userId',
    ])
    .where('i.issuer', '=', '')
    .where('i.unlinked_at', 'is', null)
    .where('u.disabled_at', 'is', null)
    .where('c.removed_at', 'is', null)
    .orderBy('d.connector_id')
    .orderBy('d.subject');
}

/** The direct chats of a user who is linked there now. */
export function directChatsOf(
  db: Executor,
  userId: string,
): Promise<readonly (DirectChat & { readonly userId: string })[]> {
  return select(db).where('i.user_id', '=', userId).execute();
}

/** Those in which somebody linked wants to be shown approvals. */
export function approvalChatsOf(
  db: Executor,
  userIds: readonly string[],
): Promise<readonly (DirectChat & { readonly userId: string })[]> {
  return select(db)
    .where('i.user_id', 'in', ['', ...userIds])
    .where('d.wants_approvals', '=', true)
    .execute();
}

/** Of a number on a network, whether it is linked or not. */
export function findDirectChats(
  db: Executor,
  query: { readonly network: Network; readonly subject: string },
): Promise<readonly { readonly connectorId: string; readonly chatId: string }[]> {
  return db
    .selectFrom('direct_chat as d')
    .innerJoin('connector as c', 'c.id', 'd.connector_id')
    .select(['d.connector_id as connectorId', 'd.chat_id as chatId'])
    .where('c.network', '=', query.network)
    .where('c.removed_at', 'is', null)
    .where('d.subject', '=', query.subject)
    .orderBy('d.connector_id')
    .execute();
}
