import type { Approval } from '../db/queries/approval.ts';
import type { ApprovalView } from '../db/queries/approval-view.ts';
import type { Vote } from '../db/queries/vote.ts';
import { sha256Hex } from '../digest.ts';
import { fenced, frontMatterValue as value, literal } from './text.ts';

/** Payloads are small; one that is not is whole in the database. */
const PAYLOAD_CHARS_MAX = 256 * 1024;

/** The record of an approval: the same rows make the same text. Its code is left out: it is for those who may decide. */
export function renderApproval({ approval, votes }: ApprovalView): string {
  const { title, payload } = approval;
  const isCut = payload.length > PAYLOAD_CHARS_MAX;
  const body = [
    '---',
    ...frontMatter(approval),
    ...votesOf(votes),
    '---',
    '',
    `# ${literal(title)}`,
    '',
    'What was asked for, as it was digested:',
    '',
    fenced(payload.slice(0, PAYLOAD_CHARS_MAX), 'json'),
    '',
    ...(isCut ? ['The rest of it is in the database.', ''] : []),
    'This file is written from the database, which decides. Nothing that is changed here has an effect.',
    '',
    '',
  ].join('\n');
  return body + seal(body);
}

/** Whether nobody changed what we wrote. */
export function isUntouched(text: string): boolean {
  const start = text.lastIndexOf('<!-- rookery:');
  return start >= 0 && text.slice(start) === seal(text.slice(0, start));
}

function seal(body: string): string {
  return `<!-- rookery:${sha256Hex(body)} -->\n`;
}

function frontMatter(approval: Approval): string[] {
  const { id, state, risk, digest, quorum, role, askerKind, askerId, contextId } = approval;
  const rows = {
    id,
    state,
    risk,
    digest,
    decided_by_role: role,
    quorum,
    asker: `${askerKind} ${askerId}`,
    requested_by: approval.requestedBy,
    context: contextId,
    rule: approval.gate?.rule ?? null,
    requested_at: time(approval.requestedAt),
    expires_at: time(approval.expiresAt),
    decided_at: time(approval.decidedAt),
  };
  return Object.entries(rows).map(([name, row]) => `${name}: ${value(row)}`);
}

function votesOf(votes: readonly Vote[]): string[] {
  if (votes.length === 0) return ['votes: []'];
  const lines = votes.flatMap((vote) => [
    `  - verdict: ${value(vote.verdict)}`,
    `    by: ${value(`${vote.principalKind} ${vote.principalId}`)}`,
    `    at: ${value(time(new Date(vote.issuedAtMs)))}`,
    `    option: ${value(vote.optionLabel)}`,
    `    note: ${value(vote.note)}`,
  ]);
  return ['votes:', ...lines];
}

function time(at: Date | null): string | null {
  return at === null ? null : at.toISOString();
}
