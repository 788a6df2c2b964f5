import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ApprovalState } from '../../domain/approval.ts';
import type { ChatPlace } from '../../domain/chat.ts';
import type { Event } from '../../domain/event.ts';
import {
  cardPostKey,
  findCardMessage,
  insertCard,
  listCards,
  moveCards,
  reviseCard,
  type ApprovalCard,
} from '../../infra/db/queries/approval-card.ts';
import { viewApproval, type ApprovalView } from '../../infra/db/queries/approval-view.ts';
import { listApprovals } from '../../infra/db/queries/approval.ts';
import { findNetwork } from '../../infra/db/queries/chat-place.ts';
import { getContext, listHubs } from '../../infra/db/queries/context.ts';
import { approvalChatsOf } from '../../infra/db/queries/direct-chat.ts';
import { findDeciders, namesOfPrincipals } from '../../infra/db/queries/principal.ts';
import { getSettings } from '../../infra/db/queries/setting.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { noteWords } from '../note.ts';
import { cardButtons, cardFacts, momentOf, showPayload } from './card.ts';
import type { ChatDeps } from './deps.ts';
import { bold, cleanLine, plain } from './text.ts';
import { lines, say, type Reply } from './turn.ts';

const NONCE_BYTES = 16;

function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString('base64url');
}

/** A chat that approvals are shown in. */
interface CardPlace {
  readonly connectorId: string;
  readonly to: Pick<ChatPlace, 'chatId' | 'threadId'>;
  /** Whose direct chat it is; null for a hub. */
  readonly userId: string | null;
}

/** In every admin hub of its workspace, and to those who may decide it and asked to be shown it alone. Idempotent. */
export async function showCards(deps: ChatDeps, approvalId: string): Promise<void> {
  const { db } = deps.api;
  const view = await viewApproval(db, approvalId);
  if (view === null || view.approval.state !== 'open') return;
  for (const place of await placesOf(db, view)) await showCard(deps, view, place);
}

async function placesOf(db: Executor, { approval }: ApprovalView): Promise<readonly CardPlace[]> {
  const { workspaceId, contextId, role } = approval;
  const hubs = await listHubs(db, { workspaceId });
  const deciders = await findDeciders(db, { workspaceId, contextId, role });
  const { approvals } = (await getSettings(db, { workspaceId, contextId })).effective;
  const direct = approvals.value === 'hub' ? [] : await approvalChatsOf(db, deciders);
  return [
    ...hubs.flatMap(({ connectorId, chatId, threadId }) =>
      connectorId === null || chatId === null
        ? []
        : [{ connectorId, to: { chatId, threadId }, userId: null }],
    ),
    ...direct.map(({ connectorId, chatId, userId }) => ({
      connectorId,
      to: { chatId, threadId: null },
      userId,
    })),
  ];
}

/** What waits already, in a hub that was just made. */
export async function showWaiting(deps: ChatDeps, contextId: string): Promise<number> {
  const { db } = deps.api;
  const hub = await getContext(db, contextId);
  if (hub?.kind !== 'admin_hub' || hub.connectorId === null || hub.chatId === null) return 0;
  const place = {
    connectorId: hub.connectorId,
    to: { chatId: hub.chatId, threadId: hub.threadId },
    userId: null,
  };
  const waiting = await listApprovals(db, {
    workspaceId: hub.workspaceId,
    states: ['open'],
    after: 0,
    limit: WAITING_MAX,
  });
  for (const { id } of waiting) {
    const view = await viewApproval(db, id);
    if (view !== null) await showCard(deps, view, place);
  }
  return waiting.length;
}

const Moved = z.object({
  before: z.object({ chatId: z.string() }),
  after: z.object({ chatId: z.string() }),
});

/** A group went on under another number: its cards, and the reports of agents that were asked for there, do too. */
export async function followChat(deps: ChatDeps, { subjectId, data }: Event): Promise<void> {
  const moved = Moved.safeParse(data);
  const context = moved.success ? await getContext(deps.api.db, subjectId) : null;
  if (!moved.success || context?.connectorId == null) return;
  await moveCards(deps.api.db, {
    connectorId: context.connectorId,
    from: moved.data.before.chatId,
    to: moved.data.after.chatId,
  });
}

/** More than that at once would flood a chat; `/approvals` lists the others. */
const WAITING_MAX = 20;

/** The row of its buttons and its post are made together, or not at all. */
async function showCard(deps: ChatDeps, view: ApprovalView, place: CardPlace): Promise<void> {
  const { db } = deps.api;
  const found = await findNetwork(db, place.connectorId);
  if (found === null) return;
  const { approval } = view;
  const facts = await cardFacts(db, view);
  const nonce = newNonce();
  await db.transaction().execute(async (tx) => {
    const { workspaceId, id: approvalId, digest } = approval;
    const card = { ...place, approvalId, workspaceId, digest, nonceHash: sha256Hex(nonce) };
    if (!(await insertCard(tx, card))) return;
    await say(deps, tx, {
      ...showPayload(facts),
      buttons: cardButtons(view, nonce),
      connectorId: place.connectorId,
      network: found.network,
      workspaceId,
      context: null,
      key: cardPostKey({ approvalId, connectorId: place.connectorId, place: placeOf(place) }),
      to: place.to,
    });
  });
}

function placeOf({ to }: CardPlace): string {
  return to.threadId === null ? to.chatId : `${to.chatId}/${to.threadId}`;
}

/** A vote was counted and more are needed: the buttons that were pressed are spent, and there are new ones. */
export async function renewCards(deps: ChatDeps, approvalId: string): Promise<void> {
  const { db } = deps.api;
  const view = await viewApproval(db, approvalId);
  if (view === null || view.approval.state !== 'open') return;
  const grants = view.votes.filter(({ verdict }) => verdict === 'grant');
  // The last vote decides, as a refusal does, which is told by an event of its own.
  if (grants.length < view.votes.length || grants.length >= view.approval.quorum) return;
  const cards = await listCards(db, { approvalId, onlyOpen: true });
  const spent = cards.filter(({ pressKey }) => pressKey !== null);
  if (spent.length === 0) return;
  const facts = await cardFacts(db, view);
  const names = await namesOfPrincipals(
    db,
    grants.map(({ principalId }) => principalId),
  );
  const by = grants.map(({ principalId }) => cleanLine(names.get(principalId) ?? principalId, 60));
  const shown = showPayload(facts);
  for (const card of spent) {
    const nonce = newNonce();
    await change(deps, card, {
      nonce,
      said: {
        ...shown,
        spans: [
          ...shown.spans,
          plain(`\nApproved so far by ${by.join(', ')}: ${by.length} of ${facts.quorum}.`),
        ],
        buttons: cardButtons(view, nonce),
      },
    });
  }
}

/** Says on every card what became of it, and takes the buttons away. */
export async function closeCards(deps: ChatDeps, approvalId: string): Promise<void> {
  const { db } = deps.api;
  const view = await viewApproval(db, approvalId);
  if (view === null || view.approval.state === 'open') return;
  const outcome = await outcomeOf(deps, view);
  const said: Reply = {
    spans: [
      bold(outcome),
      plain(
        `\n${cleanLine(view.approval.title, 200)}\nDigest ${view.approval.digest.slice(0, 12)}`,
      ),
    ],
  };
  for (const card of await listCards(db, { approvalId, onlyOpen: true })) {
    await change(deps, card, { nonce: null, said });
  }
}

interface CardChange {
  /** Of the new buttons; null for none. */
  readonly nonce: string | null;
  readonly said: Reply;
}

async function change(
  deps: ChatDeps,
  card: ApprovalCard,
  { nonce, said }: CardChange,
): Promise<void> {
  const found = await findNetwork(deps.api.db, card.connectorId);
  await deps.api.db.transaction().execute(async (tx) => {
    const revision = await reviseCard(tx, card, nonce === null ? null : sha256Hex(nonce));
    if (revision === null || found === null) return;
    const key = cardPostKey(card);
    await say(deps, tx, {
      ...said,
      connectorId: card.connectorId,
      network: found.network,
      workspaceId: card.workspaceId,
      context: null,
      key: `${key}:${revision}`,
      editsKey: key,
      to: card,
    });
  });
}

const OUTCOMES = {
  open: 'Open',
  granted: 'Approved',
  refused: 'Denied',
  expired: 'Expired: nobody decided in time',
  voided: 'Withdrawn: nobody waits for it any more',
} as const satisfies Record<ApprovalState, string>;

/** Who decided, when, and why. */
export async function outcomeOf(
  deps: ChatDeps,
  { approval, votes }: ApprovalView,
): Promise<string> {
  const outcome = OUTCOMES[approval.state];
  const at = approval.decidedAt === null ? '' : ` at ${momentOf(approval.decidedAt)}`;
  const verdict = approval.state === 'granted' ? 'grant' : 'refuse';
  const deciding = votes.filter((vote) => vote.verdict === verdict);
  if (approval.state !== 'granted' && approval.state !== 'refused') return `${outcome}${at}`;
  const names = await namesOfPrincipals(
    deps.api.db,
    deciding.map(({ principalId }) => principalId),
  );
  const by = deciding.map(({ principalId }) =>
    cleanLine(names.get(principalId) ?? principalId, 60),
  );
  const note = deciding
    .map(({ note: sealed }) => noteWords(deps.api, sealed))
    .filter((text) => text !== '');
  const option = deciding.find(({ optionLabel }) => optionLabel !== null)?.optionLabel ?? null;
  const choice = option === null ? '' : `, choosing “${cleanLine(option, 60)}”`;
  const why = note.length === 0 ? '' : `: ${cleanLine(note.join('; '), 300)}`;
  return `${outcome}${by.length === 0 ? '' : ` by ${by.join(', ')}`}${at}${choice}${why}`;
}

/** Still open after a while: said under each card, once for each occasion. */
export async function remindOfCards(
  deps: ChatDeps,
  approvalId: string,
  { words, key }: { readonly words: string; readonly key: string },
): Promise<void> {
  const { db } = deps.api;
  const view = await viewApproval(db, approvalId);
  if (view === null || view.approval.state !== 'open') return;
  const { approval } = view;
  for (const card of await listCards(db, { approvalId, onlyOpen: true })) {
    const found = await findNetwork(db, card.connectorId);
    if (found === null) continue;
    await say(deps, db, {
      ...lines(
        words,
        cleanLine(approval.title, 200),
        `Decide on the card, or with /approve ${approval.code} or /deny ${approval.code}.`,
      ),
      connectorId: card.connectorId,
      network: found.network,
      workspaceId: card.workspaceId,
      context: null,
      key: `${key}:${card.connectorId}:${card.place}`,
      to: card,
      replyTo: await findCardMessage(db, card),
    });
  }
}
