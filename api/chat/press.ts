import { placeKey, type ChatUpdate } from '../../domain/chat.ts';
import { AppError } from '../../domain/error.ts';
import {
  claimPress,
  findCardMessage,
  listCards,
  releasePress,
  type ApprovalCard,
} from '../../infra/db/queries/approval-card.ts';
import { viewApproval, type ApprovalView } from '../../infra/db/queries/approval-view.ts';
import { namesOfPrincipals } from '../../infra/db/queries/principal.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { decided } from './approval-commands.ts';
import { auditRefusal } from './audit.ts';
import { chosen, parsePress, type PressData } from './card.ts';
import { outcomeOf } from './cards.ts';
import { cleanLine } from './text.ts';
import { line, TryLater, type KnownTurn, type Reply, type Turn } from './turn.ts';

type Press = Extract<ChatUpdate, { readonly kind: 'press' }>;

/**
 * A button was pressed. It counts where the card was shown, by somebody who is linked and may decide, once. Everything
 * else gets an answer that says why not, and a line in the audit.
 */
export async function press(turn: Turn, update: Press): Promise<Reply> {
  const data = parsePress(update.data);
  if (data === null) return line('This button does nothing any more.');
  const { db } = turn.deps.api;
  const [cards, view] = await Promise.all([
    listCards(db, { approvalId: data.approvalId, onlyOpen: false }),
    viewApproval(db, data.approvalId),
  ]);
  const card = cards.find(
    ({ connectorId, place }) => connectorId === turn.connectorId && place === placeKey(turn.place),
  );
  const refuse = refuser(turn, data, cards[0]?.workspaceId ?? null);
  if (turn.principal === null) {
    return refuse(
      'unpaired',
      'I do not know who you are here: write me "pair" in a direct chat, then give the token to an admin.',
    );
  }
  const known: KnownTurn = { ...turn, principal: turn.principal };
  if (card === undefined) {
    return refuse(
      'another chat',
      'This card was shown in another chat: its buttons count there only.',
    );
  }
  const scope = await scopeProblem(known, card, update.messageId);
  if (scope !== null) return refuse(scope.reason, scope.words);
  const taking = { card, data, view, note: update.reason ?? '', refuse };
  // Handled again after a crash: it has the buttons still, whatever became of them since.
  if (card.pressKey === turn.key) return take(known, taking);
  const late = await lateWords(known, view);
  if (late !== null) return refuse('late', late);
  const nonceHash = sha256Hex(data.nonce);
  if (card.nonceHash !== nonceHash) {
    return refuse('reused', 'These buttons were used before: the card has new ones.');
  }
  const claim = { card, nonceHash, by: known.principal.id, key: turn.key };
  if (!(await claimPress(db, claim))) {
    return refuse('reused', await takenWords(known, card));
  }
  return take(known, taking);
}

type Refuse = (reason: string, words: string) => Promise<Reply>;

function refuser(turn: Turn, { approvalId }: PressData, workspaceId: string | null): Refuse {
  return async (reason, words) => {
    await auditRefusal(turn, {
      action: 'chat.press_refused',
      workspaceId,
      subjectId: approvalId,
      reason,
    });
    return line(words);
  };
}

interface Taken {
  readonly card: ApprovalCard;
  readonly data: PressData;
  readonly view: ApprovalView | null;
  readonly note: string;
  readonly refuse: Refuse;
}

/** Decides about the payload that the card shows. What the API refuses gives the buttons back to whoever may. */
async function take(turn: KnownTurn, { card, data, view, note, refuse }: Taken): Promise<Reply> {
  const { db } = turn.deps.api;
  const choice = view === null ? null : chosen(view, data);
  try {
    if (view === null || choice === null) {
      throw new AppError('conflict', 'This card has no such button.');
    }
    return await decided(turn, {
      approvalId: data.approvalId,
      title: view.approval.title,
      digest: card.digest,
      ...choice,
      note,
    });
  } catch (error) {
    if (error instanceof TryLater || !(error instanceof AppError)) throw error;
    await releasePress(db, { card, key: turn.key });
    const now = error.code === 'conflict' ? await viewApproval(db, data.approvalId) : view;
    const late = await lateWords(turn, now);
    return refuse(late === null ? error.code : 'late', late ?? error.message);
  }
}

async function scopeProblem(turn: KnownTurn, card: ApprovalCard, messageId: string) {
  if (card.userId !== null && card.userId !== turn.principal.userId) {
    return { reason: 'another person', words: 'This card was shown to somebody else.' };
  }
  const { context } = turn;
  if (
    card.userId === null &&
    (context?.kind !== 'admin_hub' || context.workspaceId !== card.workspaceId)
  ) {
    return {
      reason: 'no hub',
      words: 'This chat is no admin hub any more: nothing is decided here.',
    };
  }
  const shown = await findCardMessage(turn.deps.api.db, card);
  if (shown === null || shown === messageId) return null;
  return {
    reason: 'copied',
    words: 'This is a copy of the card: press the button of the card itself.',
  };
}

/** Null while it is open. */
async function lateWords(turn: KnownTurn, view: ApprovalView | null): Promise<string | null> {
  if (view === null) return 'There is no such approval any more.';
  return view.approval.state === 'open' ? null : `Too late. ${await outcomeOf(turn.deps, view)}`;
}

async function takenWords(turn: KnownTurn, { pressedBy }: ApprovalCard): Promise<string> {
  const names = await namesOfPrincipals(turn.deps.api.db, pressedBy === null ? [] : [pressedBy]);
  const who = cleanLine(names.get(pressedBy ?? '') ?? 'Somebody', 60);
  return `${who} has pressed it already: the card will say what came of it.`;
}
