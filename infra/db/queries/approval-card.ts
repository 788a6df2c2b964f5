import { sql } from 'kysely';
import { placeKey, type ChatPlace } from '../../../domain/chat.ts';
import type { Executor } from '../schema.ts';

export interface ApprovalCard {
  readonly approvalId: string;
  readonly connectorId: string;
  readonly place: string;
  readonly workspaceId: string;
  readonly chatId: string;
  readonly threadId: string | null;
  readonly userId: string | null;
  readonly digest: string;
  readonly nonceHash: string;
  readonly revision: number;
  readonly pressedBy: string | null;
  readonly pressKey: string | null;
  readonly closedAt: Date | null;
}

const COLUMNS = [
  'approval_id as approvalId',
  'connector_id as connectorId',
  'place',
  'workspace_id as workspaceId',
  'chat_id as chatId',
  'thread_id as threadId',
  'user_id as userId',
  'digest',
  'nonce_hash as nonceHash',
  'revision',
  'pressed_by as pressedBy',
  'press_key as pressKey',
  'closed_at as closedAt',
] as const;

/** Key of the post that shows it; its changes are posts of their own. */
export function cardPostKey({
  approvalId,
  connectorId,
  place,
}: Pick<ApprovalCard, 'approvalId' | 'connectorId' | 'place'>): string {
  return `card:${approvalId}:${connectorId}:${place}`;
}

/** True when this call made it: it is then to be shown, in the same transaction. Idempotent by approval and chat. */
export async function insertCard(
  db: Executor,
  card: {
    readonly approvalId: string;
    readonly connectorId: string;
    readonly workspaceId: string;
    readonly to: Pick<ChatPlace, 'chatId' | 'threadId'>;
    readonly userId: string | null;
    readonly digest: string;
    readonly nonceHash: string;
  },
): Promise<boolean> {
  const made = await db
    .insertInto('approval_card')
    .values({
      approval_id: card.approvalId,
      connector_id: card.connectorId,
      place: placeKey(card.to),
      workspace_id: card.workspaceId,
      chat_id: card.to.chatId,
      thread_id: card.to.threadId,
      user_id: card.userId,
      digest: card.digest,
      nonce_hash: card.nonceHash,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('approval_id')
    .executeTakeFirst();
  return made !== undefined;
}

export async function listCards(
  db: Executor,
  query: { readonly approvalId: string; readonly onlyOpen: boolean },
): Promise<readonly ApprovalCard[]> {
  let select = db
    .selectFrom('approval_card')
    .select(COLUMNS)
    .where('approval_id', '=', query.approvalId)
    .orderBy('connector_id')
    .orderBy('place');
  if (query.onlyOpen) select = select.where('closed_at', 'is', null);
  return select.execute();
}

/** Whether a message is that of the card: known once the network has named the message. */
export async function findCardMessage(db: Executor, card: ApprovalCard): Promise<string | null> {
  const row = await db
    .selectFrom('post')
    .select('message_id as messageId')
    .where('key', '=', cardPostKey(card))
    .executeTakeFirst();
  return row?.messageId ?? null;
}

/**
 * Takes a card's buttons for one press, so that no other counts: they are taken once, however many press at the same
 * moment. The same press again has them still. Null where they were taken by another, or are not these any more.
 */
export async function claimPress(
  db: Executor,
  press: {
    readonly card: ApprovalCard;
    readonly nonceHash: string;
    readonly by: string;
    readonly key: string;
  },
): Promise<boolean> {
  const { card } = press;
  const { rows } = await sql`
    update approval_card set pressed_by = ${press.by}, press_key = ${press.key}
    where approval_id = ${card.approvalId} and connector_id = ${card.connectorId}
      and place = ${card.place} and nonce_hash = ${press.nonceHash} and closed_at is null
      and (press_key is null or press_key = ${press.key})
    returning approval_id
  `.execute(db);
  return rows.length > 0;
}

/** Gives the buttons back: what was pressed had no effect. Idempotent. */
export async function releasePress(
  db: Executor,
  press: { readonly card: ApprovalCard; readonly key: string },
): Promise<void> {
  await db
    .updateTable('approval_card')
    .set({ pressed_by: null, press_key: null })
    .where('approval_id', '=', press.card.approvalId)
    .where('connector_id', '=', press.card.connectorId)
    .where('place', '=', press.card.place)
    .where('press_key', '=', press.key)
    .execute();
}

/** New buttons, or none any more. Answers the revision; null where the card was closed before. */
export async function reviseCard(
  db: Executor,
  card: ApprovalCard,
  nonceHash: string | null,
): Promise<number | null> {
  const row = await db
    .updateTable('approval_card')
    .set({
      revision: sql<number>`revision + 1`,
      ...(nonceHash === null
        ? { closed_at: sql<Date>`now()` }
        : { nonce_hash: nonceHash, pressed_by: null, press_key: null }),
    })
    .where('approval_id', '=', card.approvalId)
    .where('connector_id', '=', card.connectorId)
    .where('place', '=', card.place)
    .where('closed_at', 'is', null)
    .returning('revision')
    .executeTakeFirst();
  return row?.revision ?? null;
}

/** Whether an update holds the buttons of a card: it had an effect, or is about to have one. */
export async function wasPressedBy(
  db: Executor,
  press: { readonly approvalId: string; readonly key: string },
): Promise<boolean> {
  const row = await db
    .selectFrom('approval_card')
    .select('approval_id')
    .where('approval_id', '=', press.approvalId)
    .where('press_key', '=', press.key)
    .executeTakeFirst();
  return row !== undefined;
}

/** A group goes on under another number: what is shown there is there still. */
export async function moveCards(
  db: Executor,
  move: { readonly connectorId: string; readonly from: string; readonly to: string },
): Promise<void> {
  await sql`
    update approval_card set chat_id = ${move.to},
      place = case when thread_id is null then ${move.to} else ${move.to} || '/' || thread_id end
    where connector_id = ${move.connectorId} and chat_id = ${move.from}
  `.execute(db);
  await sql`
    update chat_spawn set chat_id = ${move.to}
    where connector_id = ${move.connectorId} and chat_id = ${move.from}
  `.execute(db);
}
