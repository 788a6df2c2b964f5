import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '../domain/json.ts';
import type { ApprovalState, Risk } from '../domain/approval.ts';
import { canonicalJson } from '../domain/canonical.ts';
import { PROMPT_KINDS } from '../domain/prompt.ts';
import type { ApprovalSummarySchema } from '../domain/schema/approval.ts';
import type { Context } from './context.ts';
import type { Approval } from './resolve.ts';
import { facts, table, type Column } from './table.ts';
import { plain, plainLine, type Paint, type Style } from './text.ts';

export type ApprovalSummary = z.output<typeof ApprovalSummarySchema>;

const RISK_STYLES = { low: 'green', medium: 'yellow', high: 'red' } as const satisfies Record<
  Risk,
  Style
>;
const STATE_STYLES: Readonly<Record<ApprovalState, Style>> = {
  open: 'yellow',
  granted: 'green',
  refused: 'red',
  expired: 'dim',
  voided: 'dim',
};

export function approvalTable(context: Context, approvals: readonly ApprovalSummary[]): string {
  const { width, paint, ago } = context;
  const columns: readonly Column<ApprovalSummary>[] = [
    { title: 'CODE', value: ({ code, state }) => (state === 'open' ? code : '–') },
    { title: 'RISK', value: ({ risk }) => risk, style: ({ risk }) => RISK_STYLES[risk] },
    {
      title: 'STATE',
      value: ({ state }) => state,
      style: ({ state }) => STATE_STYLES[state],
      drop: 3,
    },
    { title: 'ASKED', value: ({ requestedAt }) => ago(requestedAt), drop: 2 },
    {
      title: 'EXPIRES',
      value: ({ expiresAt }) => (expiresAt === null ? 'never' : ago(expiresAt)),
      drop: 1,
    },
    { title: 'WHAT', value: ({ title }) => title, cut: true },
    { title: 'ID', value: ({ id }) => id, style: () => 'dim', drop: 0 },
  ];
  return table(columns, approvals, { width, paint });
}

/** The payload of a CLI's prompt, as its host wrote it. What else is asked for is shown as it is. */
const PromptPayload = z.object({
  kind: z.enum(PROMPT_KINDS),
  text: z.string().optional(),
  subject: z.string().optional(),
  hookPayload: z.string().optional(),
});

/** Everything a decision is about, nothing cut. */
export function approvalWords(context: Context, approval: Approval): string {
  const { paint, ago } = context;
  const expiry =
    approval.expiresAt === null ? 'never' : `${ago(approval.expiresAt)} (${approval.expiresAt})`;
  const head = facts(
    [
      [
        'Approval',
        `${approval.state === 'open' ? paint('bold', approval.code) : ''}  ${approval.id}`.trim(),
      ],
      ['What', paint('bold', plainLine(approval.title))],
      ['State', paint(STATE_STYLES[approval.state], approval.state)],
      [
        'Risk',
        `${paint(RISK_STYLES[approval.risk], approval.risk)} (the role ${approval.roleNeeded} decides)`,
      ],
      [
        'Asked by',
        `${approval.askerKind} ${plainLine(approval.askerId)} for ${plainLine(approval.requestedBy)}`,
      ],
      ['Asked', `${ago(approval.requestedAt)} (${approval.requestedAt})`],
      ['Expires', approval.state === 'open' ? expiry : null],
      ['Quorum', approval.quorum === 1 ? null : `${approval.quorum} votes`],
      ['Policy', gateOf(approval)],
      [
        'Sent to',
        approval.recipients.length === 0 ? null : approval.recipients.map(plainLine).join('\n'),
      ],
      ['Votes', votesOf(context, approval)],
      ['Options', optionsOf(approval)],
      ['Digest', paint('dim', approval.digest)],
    ],
    paint,
  );
  return `${head}\n\n${payloadWords(approval.payload, paint)}`;
}

function votesOf({ ago }: Context, { votes }: Approval): string | null {
  if (votes.length === 0) return null;
  return votes
    .map(({ principalId, verdict, note, at }) => {
      const said = note === '' ? '' : `: ${plainLine(note)}`;
      return `${verdict} by ${plainLine(principalId)} ${ago(at)}${said}`;
    })
    .join('\n');
}

/** What decided when it was asked, and by which rule. */
export function gateOf({ gate }: Approval): string | null {
  if (gate === null) return null;
  if (gate.by === 'standing') return `approved for ever (${gate.standingId ?? ''})`;
  const which = `${gate.verdict} by the rule ${plainLine(gate.rule)} (${gate.engine})`;
  return gate.reason === '' ? which : `${which}: ${plainLine(gate.reason)}`;
}

function optionsOf({ options }: Approval): string | null {
  if (options.length === 0) return null;
  return options.map(({ label, effect }) => `${plainLine(label)}  (${effect})`).join('\n');
}

/** A prompt is shown as it was seen; anything else as indented JSON. */
function payloadWords(payload: unknown, paint: Paint): string {
  return boxed(payloadText(payload), paint);
}

export function payloadText(payload: unknown): string {
  const prompt = PromptPayload.safeParse(payload);
  if (!prompt.success) return prettyJson(payload);
  const { text, subject, hookPayload } = prompt.data;
  const parts = [
    hookPayload === undefined ? null : toolWords(hookPayload),
    text ?? null,
    subject === undefined || subject === '' || text?.includes(subject) === true ? null : subject,
  ].filter((part): part is string => part !== null && part !== '');
  return parts.join('\n\n') || prettyJson(payload);
}

const ToolCall = z.record(z.string(), z.unknown());

/** A hook's payload: plain values as they are (a script keeps its lines), the rest as JSON. */
function toolWords(hookPayload: string): string {
  const call = ToolCall.safeParse(parseJson(hookPayload));
  if (!call.success) return hookPayload;
  return wordsOf(call.data, '').join('\n');
}

function wordsOf(fields: Readonly<Record<string, unknown>>, indent: string): readonly string[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    const inner = ToolCall.safeParse(value);
    if (inner.success && !Array.isArray(value)) {
      return [`${indent}${name}:`, ...wordsOf(inner.data, `${indent}  `)];
    }
    const text = typeof value === 'string' ? value : prettyJson(value);
    if (!text.includes('\n')) return [`${indent}${name}: ${text}`];
    return [`${indent}${name}:`, ...text.split('\n').map((line) => `${indent}  ${line}`)];
  });
}

export function prettyJson(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? 'nothing';
}

/** Set off by a bar, so that no payload can look like words of ours. */
function boxed(text: string, paint: Paint): string {
  const lines = plain(text).split('\n');
  const isDiff = looksLikeDiff(lines);
  const bar = paint('dim', '│');
  return lines.map((line) => `${bar} ${isDiff ? diffColored(line, paint) : line}`).join('\n');
}

/** A unified diff has hunks, or old and new file names one after the other. */
function looksLikeDiff(lines: readonly string[]): boolean {
  return lines.some((line, index) => {
    const next = lines[index + 1]?.trimStart() ?? '';
    const text = line.trimStart();
    return (
      /^@@ -\d+(,\d+)? \+\d+(,\d+)? @@/.test(text) ||
      (text.startsWith('--- ') && next.startsWith('+++ '))
    );
  });
}

function diffColored(line: string, paint: Paint): string {
  const text = line.trimStart();
  if (text.startsWith('+++ ') || text.startsWith('--- ')) return paint('bold', line);
  if (text.startsWith('@@')) return paint('cyan', line);
  if (text.startsWith('+')) return paint('green', line);
  return text.startsWith('-') ? paint('red', line) : line;
}

/**
 * Whether the digest really is of the payload that is shown. A server that shows one thing and has another decided
 * is found out here.
 */
export function isDigestOfPayload({ payload, digest }: Approval): boolean {
  return canonicalTexts(payload).some(
    (text) => createHash('sha256').update(text).digest('hex') === digest,
  );
}

/** A payload that is no JSON arrives as its text. */
function canonicalTexts(payload: unknown): readonly string[] {
  const texts = typeof payload === 'string' ? [payload] : [];
  try {
    return [...texts, canonicalJson(payload)];
  } catch {
    return texts;
  }
}
