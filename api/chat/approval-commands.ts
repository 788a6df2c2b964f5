import { AppError } from '../../domain/error.ts';
import { isId } from '../../domain/id.ts';
import {
  ApprovalSchema,
  ApprovalSummarySchema,
  DecidedSchema,
} from '../../domain/schema/approval.ts';
import { pageOf } from '../../domain/schema/page.ts';
import { ApprovedForeverSchema } from '../../domain/schema/standing-approval.ts';
import { findApprovalByCode, getApproval } from '../../infra/db/queries/approval.ts';
import { wasPressedBy } from '../../infra/db/queries/approval-card.ts';
import { auditRefusal } from './audit.ts';
import { approvalFacts, choicesOf } from './card.ts';
import { firstWord, UsageError, type ChatCommand } from './command.ts';
import { bold, cleanLine, code, plain } from './text.ts';
import { ask, line, lines, Refused, type KnownTurn, type Reply } from './turn.ts';
import { roomOf, workspacesOf } from './where.ts';

export const approvalCommands: readonly ChatCommand[] = [
  {
    name: 'approvals',
    usage: '[code]',
    help: 'lists what waits for a decision, or shows one',
    action: 'listApprovals',
    where: 'staff',
    run: approvals,
  },
  {
    name: 'approve',
    usage: '<code or id> [note]',
    help: 'lets it happen',
    action: 'decideApproval',
    where: 'staff',
    run: (turn, args) => decide(turn, args, 'grant'),
  },
  {
    name: 'deny',
    usage: '<code or id> [reason]',
    help: 'refuses it',
    action: 'decideApproval',
    where: 'staff',
    run: (turn, args) => decide(turn, args, 'refuse'),
  },
  {
    name: 'approve-forever',
    usage: '<code or id> [days]',
    help: 'lets it, and exactly the same later, happen',
    action: 'approveForever',
    where: 'staff',
    run: approveForever,
  },
];

const SHOWN_MAX = 20;
const Approvals = pageOf(ApprovalSummarySchema);

async function approvals(turn: KnownTurn, args: string): Promise<Reply> {
  const { word } = firstWord(args);
  if (word !== '' && !word.startsWith('@')) return approvalFacts(await findApproval(turn, word));
  const rooms =
    turn.place.kind === 'dm' && word === '' ? await workspacesOf(turn) : [await roomOf(turn, args)];
  const found = [];
  for (const { id, slug } of rooms) {
    const { items } = await ask(turn, {
      method: 'GET',
      path: `/v1/workspaces/${id}/approvals?state=open&limit=${SHOWN_MAX}`,
      answer: Approvals,
    });
    found.push(...items.map((approval) => ({ slug, approval })));
  }
  if (found.length === 0) return line('Nothing waits for a decision.');
  return lines(
    ...found
      .slice(0, SHOWN_MAX)
      .map(({ slug, approval }) => [
        code(approval.code),
        plain(` ${approval.risk} risk · `),
        bold(cleanLine(approval.title, 120)),
        plain(rooms.length > 1 ? ` · ${slug}` : ''),
      ]),
    ...(found.length > SHOWN_MAX ? ['… and more.'] : []),
    'Show one with /approvals <code>; decide with /approve or /deny <code>.',
  );
}

async function decide(turn: KnownTurn, args: string, verdict: 'grant' | 'refuse'): Promise<Reply> {
  const { word, rest } = firstWord(args);
  if (word === '') throw new UsageError('Say which approval: its code is on the card.');
  const approval = await findApproval(turn, word);
  const choices = choicesOf(approval.options);
  if (choices.length > 0 && !(verdict === 'refuse' && hasDeny(approval.options))) {
    const labels = choices.map(({ label }) => `“${cleanLine(label, 40)}”`).join(', ');
    throw new AppError(
      'conflict',
      `This dialog has options of its own: choose on the card. ${labels}`,
    );
  }
  return decided(turn, {
    approvalId: approval.id,
    title: approval.title,
    digest: approval.digest,
    verdict,
    optionLabel: null,
    note: rest,
  });
}

function hasDeny(options: readonly { readonly effect: string }[]): boolean {
  return options.some(({ effect }) => effect === 'deny');
}

async function approveForever(turn: KnownTurn, args: string): Promise<Reply> {
  const { word, rest } = firstWord(args);
  if (word === '') throw new UsageError('Say which approval: its code is on the card.');
  if (rest !== '' && !/^[1-9]\d{0,3}$/.test(rest))
    throw new UsageError('The days are a whole number.');
  const approval = await findApproval(turn, word);
  const { decision, standingApprovalId } = await ask(turn, {
    method: 'POST',
    path: `/v1/approvals/${approval.id}/approve-forever`,
    body: { digest: approval.digest, ...(rest === '' ? {} : { expiresInDays: Number(rest) }) },
    answer: ApprovedForeverSchema,
  });
  const title = cleanLine(approval.title, 120);
  const done = decision.status === 'decided' ? 'Approved, and the same later' : 'Your vote counts';
  return lines(`${done}: ${title}`, [
    plain('It is listed and taken back as '),
    code(standingApprovalId),
    plain('.'),
  ]);
}

/** In the hub of one workspace nothing of another one is shown or decided. */
async function findApproval(turn: KnownTurn, word: string) {
  const approval = await ask(turn, {
    method: 'GET',
    path: isId('approval', word)
      ? `/v1/approvals/${word}`
      : `/v1/approvals/code/${encodeURIComponent(word)}`,
    answer: ApprovalSchema,
  });
  if (turn.place.kind === 'dm' || approval.workspaceId === turn.context?.workspaceId)
    return approval;
  await auditRefusal(turn, {
    action: 'chat.command_refused',
    workspaceId: approval.workspaceId,
    subjectId: approval.id,
    reason: 'another workspace',
  });
  throw new AppError(
    'policy_denied',
    'This approval belongs to another workspace: it is decided in that one’s admin hub, or in a direct chat.',
  );
}

export interface Deciding {
  readonly approvalId: string;
  readonly title: string;
  readonly digest: string;
  readonly verdict: 'grant' | 'refuse';
  /** Of the dialog, where the verdict alone picks none. */
  readonly optionLabel: string | null;
  readonly note: string;
}

const NOTE_CHARS_MAX = 4_000;

/** Of the payload that was shown: another one by now is refused. */
export async function decided(turn: KnownTurn, what: Deciding): Promise<Reply> {
  const title = cleanLine(what.title, 120);
  const done = what.verdict === 'grant' ? 'Approved' : 'Denied';
  const note = what.note.slice(0, NOTE_CHARS_MAX).toWellFormed().replaceAll('\u0000', '');
  const answer = await ask(turn, {
    method: 'POST',
    path: `/v1/approvals/${what.approvalId}/decide`,
    body: {
      verdict: what.verdict,
      digest: what.digest,
      ...(what.optionLabel === null ? {} : { optionLabel: what.optionLabel }),
      ...(note === '' ? {} : { note }),
    },
    answer: DecidedSchema,
  }).catch(async (error: unknown) => {
    // A process that died after the vote and before its answer was kept: what was pressed is what happened.
    if (error instanceof Refused && (await isOwnVote(turn, what))) {
      return {
        status: 'decided' as const,
        state: what.verdict === 'grant' ? ('granted' as const) : ('refused' as const),
      };
    }
    throw error;
  });
  switch (answer.status) {
    case 'decided':
      return line(`${done}: ${title}`);
    case 'counted':
      return line(`Your vote counts: ${answer.votes} of ${answer.quorum} for ${title}`);
    case 'pending':
      return line(`Your decision is on its way and will be applied: ${title}`);
  }
}

/** Whether this very update has decided it, in a try whose answer was lost. */
async function isOwnVote(turn: KnownTurn, { approvalId, verdict }: Deciding): Promise<boolean> {
  const { db } = turn.deps.api;
  const approval = await getApproval(db, approvalId);
  if (approval?.state !== (verdict === 'grant' ? 'granted' : 'refused')) return false;
  return wasPressedBy(db, { approvalId, key: turn.key });
}

/** `/approve` where approvals are not taken: said, and on record in the log of the approval's workspace. */
export async function refuseHere(turn: KnownTurn, command: string, args: string): Promise<never> {
  const { word } = firstWord(args);
  const { db } = turn.deps.api;
  const approval = isId('approval', word)
    ? await getApproval(db, word)
    : word === ''
      ? null
      : await findApprovalByCode(db, word);
  await auditRefusal(turn, {
    action: 'chat.command_refused',
    workspaceId: approval?.workspaceId ?? turn.context?.workspaceId ?? null,
    subjectId: approval?.id ?? command,
    reason: `/${command} outside of the admin hub and direct chats`,
  });
  throw new AppError(
    'policy_denied',
    `/${command} is taken in the workspace's admin hub and in direct chats only, so that not everybody reads what is asked.`,
  );
}
