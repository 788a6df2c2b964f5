import { literal, quoted } from './text.ts';

/** Something that belongs into the log of a chat: an event, and what was said. */
export interface LogEntry {
  /** Of the event, in its workspace. */
  readonly seq: number;
  readonly kind: 'received' | 'sent' | 'edited';
  readonly messageId: string;
  readonly senderId: string;
  readonly senderName: string;
  readonly userId: string | null;
  readonly text: string;
  /** When it was said or changed. */
  readonly at: Date;
}

/** The last line of each entry. No text can hold it, since `<` is always behind a backslash there. */
const MARKER = /^<!-- rookery:(\d{1,15}) -->\r?\n/gm;

function marker(seq: number): string {
  return `<!-- rookery:${seq} -->\n`;
}

/** How a log begins. `after`: the event before its first one. */
export function logHeading(title: string, after: number): string {
  return `# ${literal(title)}\n\nWhat was said, as it was stored. See docs/records.md.\n\n${marker(after)}`;
}

/** Where a log stands: the last event of which all is in it, and how many bytes of the text lie before what is behind it. */
export interface LogPosition {
  readonly seq: number;
  readonly endBytes: number;
}

/** Null where nothing of ours is in it. A number above `max` was made up by somebody. `bytes` may end within a letter. */
export function readPosition(bytes: Buffer, max: number): LogPosition | null {
  let position: LogPosition | null = null;
  // A character for each byte, so that places in it are places in the file.
  for (const match of bytes.toString('latin1').matchAll(MARKER)) {
    const seq = Number(match[1]);
    if (seq > max || seq < (position?.seq ?? 0)) continue;
    position = { seq, endBytes: match.index + match[0].length };
  }
  return position;
}

/** The day of the last heading of a day, as in `2026-11-21`. */
export function lastDay(bytes: Buffer): string | null {
  return [...bytes.toString('latin1').matchAll(/^## (\d{4}-\d{2}-\d{2})$/gm)].at(-1)?.[1] ?? null;
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/** Entries as they are appended. `day`: of the last heading before them. */
export function renderEntries(entries: readonly LogEntry[], day: string | null): string {
  let last = day;
  let text = '';
  for (const entry of entries) {
    const today = dayOf(entry.at);
    // A message that arrives late stands under its own day again.
    if (today !== last) text += `\n## ${today}\n`;
    last = today;
    text += `\n${renderEntry(entry)}`;
  }
  return text;
}

const VERBS = { received: '', sent: '', edited: ' changed it to' } as const;

function renderEntry(entry: LogEntry): string {
  const { seq, kind, at, senderName, senderId, userId, messageId, text } = entry;
  const who = kind === 'sent' ? 'Rookery' : literal(senderName);
  const ids = kind === 'sent' ? [] : [senderId, userId, numberOf(messageId)];
  const known = ids.flatMap((id) => (id === null ? [] : literal(id))).join(' · ');
  const time = at.toISOString().slice(11, 19);
  const head = `**${time} ${who}**${VERBS[kind]}${known === '' ? '' : ` (${known})`}`;
  return `${head}\n\n${quoted(text)}\n\n${marker(seq)}`;
}

/** A command has no message on some networks: then the number is one of ours, which says nothing to people. */
function numberOf(messageId: string): string | null {
  return /^\d+$/.test(messageId) ? messageId : null;
}
