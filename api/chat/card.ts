import type { z } from 'zod';
import type { Risk } from '../../domain/approval.ts';
import type { ChatButton, ChatSpan } from '../../domain/chat.ts';
import type { PromptOption } from '../../domain/prompt.ts';
import type { Role } from '../../domain/principal.ts';
import type { ApprovalSchema } from '../../domain/schema/approval.ts';
import { agentNames } from '../../infra/db/queries/agent-view.ts';
import type { ApprovalView } from '../../infra/db/queries/approval-view.ts';
import { namesOfPrincipals } from '../../infra/db/queries/principal.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { block, bold, cleanLine, code, fenced, plain, visibleText } from './text.ts';
import type { Reply } from './turn.ts';
import { shortId } from './where.ts';

/** What a card shows. */
export interface CardFacts {
  readonly id: string;
  readonly title: string;
  readonly askerId: string;
  /** Null where it is told by its id only. */
  readonly askerName: string | null;
  readonly requestedBy: string;
  readonly requesterName: string | null;
  readonly risk: Risk;
  readonly role: Role;
  readonly code: string;
  readonly digest: string;
  readonly quorum: number;
  readonly expiresAt: Date | null;
  /** Canonical JSON: exactly what the digest is of. */
  readonly payload: string;
}

export async function cardFacts(db: Executor, { approval }: ApprovalView): Promise<CardFacts> {
  const agents = await agentNames(db, [approval.askerId]);
  const people = await namesOfPrincipals(db, [approval.requestedBy]);
  return {
    ...approval,
    askerName: agents.get(approval.askerId) ?? null,
    requesterName: people.get(approval.requestedBy) ?? null,
  };
}

/** One that somebody asked to see. */
export function approvalFacts(approval: z.output<typeof ApprovalSchema>): Reply {
  return showPayload({
    ...approval,
    askerName: null,
    requesterName: null,
    role: approval.roleNeeded,
    expiresAt: approval.expiresAt === null ? null : new Date(approval.expiresAt),
    payload: JSON.stringify(approval.payload),
  });
}

/** Longer payloads go along as a file, whole: nobody decides about what he could not read. */
const SHOWN_CHARS_MAX = 1_200;
const DIGEST_CHARS = 12;

export function showPayload(facts: CardFacts): Reply {
  const text = payloadText(facts.payload);
  const head = [...factSpans(facts), plain('\n')];
  if (text.length <= SHOWN_CHARS_MAX) return { spans: [...head, block(text)] };
  return {
    spans: [...head, plain('The whole of what is asked is in the file.')],
    file: { name: `approval-${facts.code}.md`, text: payloadFile(facts, text) },
  };
}

/** Never cut, and nothing in it is invisible. */
function payloadText(payload: string): string {
  try {
    return visibleText(JSON.stringify(JSON.parse(payload), null, 2));
  } catch {
    return visibleText(payload);
  }
}

function factSpans(facts: CardFacts): readonly ChatSpan[] {
  const { askerName, requesterName } = facts;
  const asker =
    askerName === null ? facts.askerId : `${cleanLine(askerName, 60)} (${shortId(facts.askerId)})`;
  const several = facts.quorum > 1 ? `, ${facts.quorum} of them` : '';
  return [
    bold(`Approval needed: ${facts.risk} risk`),
    plain('\n'),
    plain(cleanLine(facts.title, 200)),
    plain(
      `\nAsked by: ${asker}, for ${requesterName === null ? facts.requestedBy : cleanLine(requesterName, 60)}`,
    ),
    plain(`\nMay decide: ${facts.role}${several}`),
    plain(`\nExpires: ${facts.expiresAt === null ? 'never' : momentOf(facts.expiresAt)}`),
    plain('\nCode: '),
    code(facts.code),
    plain(' · digest '),
    code(facts.digest.slice(0, DIGEST_CHARS)),
  ];
}

export function momentOf(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function payloadFile(facts: CardFacts, text: string): string {
  return [
    `# Approval ${facts.code}`,
    '',
    ...factLines(facts),
    '',
    'What is asked, whole. Characters that cannot be seen are shown by their numbers.',
    '',
    fenced(text),
    '',
  ].join('\n');
}

/** As code, so that nothing in a name or title is markup. */
function factLines(facts: CardFacts): readonly string[] {
  const rows = [
    ['Id', facts.id],
    ['Title', cleanLine(facts.title, 200)],
    ['Asked by', `${facts.askerId} ${cleanLine(facts.askerName ?? '', 60)}`],
    ['For', `${facts.requestedBy} ${cleanLine(facts.requesterName ?? '', 60)}`],
    ['Risk', facts.risk],
    ['SHA-256 of the payload', facts.digest],
  ];
  return rows.map(
    ([name = '', value = '']) => `- ${name}: \`${value.replaceAll('`', "'").trim()}\``,
  );
}

/** For the record only: the option that was pressed is what is chosen. */
const SAYS_NO = /^(?:no|deny|cancel|reject|refuse|abort|exit|quit)\b/i;
/** More options than any dialog that was seen has. */
const OPTIONS_MAX = 8;
const LABEL_CHARS_MAX = 40;

/** Where a dialog has no option that allows it once, one of its own words is chosen; what permits more is not offered. */
export function choicesOf(options: readonly Pick<PromptOption, 'label' | 'effect'>[]) {
  if (options.length === 0 || options.some(({ effect }) => effect === 'allow_once')) return [];
  return options
    .slice(0, OPTIONS_MAX)
    .map((option, index) => ({ ...option, index }))
    .filter(({ effect }) => effect === 'other');
}

/** Approval, verdict or the place of an option, and nonce: nothing about the payload, whose digest covers the options. */
export function cardButtons(
  { approval, prompt }: ApprovalView,
  nonce: string,
): readonly (readonly ChatButton[])[] {
  const choices = choicesOf(prompt?.options ?? []);
  const data = (what: string): string => `a:${approval.id}:${what}:${nonce}`;
  const deny = { label: 'Deny', data: data('r'), tone: 'negative', asksReason: true } as const;
  if (choices.length === 0) {
    return [[{ label: 'Approve', data: data('g'), tone: 'positive' }, deny]];
  }
  const canDeny = prompt?.options.some(({ effect }) => effect === 'deny') === true;
  return [
    ...choices.map(({ label, index }): readonly ChatButton[] => {
      const button = { label: cleanLine(label, LABEL_CHARS_MAX) || '…', data: data(String(index)) };
      return [
        SAYS_NO.test(label)
          ? { ...button, tone: 'negative', asksReason: true }
          : { ...button, tone: 'neutral' },
      ];
    }),
    ...(canDeny ? [[deny]] : []),
  ];
}

/** Sixteen random bytes. */
const PRESS = /^a:(apr_[0-7][0-9a-hjkmnp-tv-z]{25}):([gr0-7]):([A-Za-z0-9_-]{22})$/;
export interface PressData {
  readonly approvalId: string;
  /** Null where an option was pressed. */
  readonly verdict: 'grant' | 'refuse' | null;
  readonly option: number | null;
  readonly nonce: string;
}

export function parsePress(data: string): PressData | null {
  const [, approvalId, what = '', nonce] = PRESS.exec(data) ?? [];
  if (approvalId === undefined || nonce === undefined) return null;
  const isVerdict = what === 'g' || what === 'r';
  return {
    approvalId,
    verdict: isVerdict ? (what === 'g' ? 'grant' : 'refuse') : null,
    option: isVerdict ? null : Number(what),
    nonce,
  };
}

export interface Choice {
  readonly verdict: 'grant' | 'refuse';
  readonly optionLabel: string | null;
}

/** What a button says about this dialog; null where it has no such option. */
export function chosen({ prompt }: ApprovalView, { verdict, option }: PressData): Choice | null {
  if (verdict !== null) return { verdict, optionLabel: null };
  const choice = choicesOf(prompt?.options ?? []).find(({ index }) => index === option);
  if (choice === undefined) return null;
  return { verdict: SAYS_NO.test(choice.label) ? 'refuse' : 'grant', optionLabel: choice.label };
}
