import type { FileTail, RecordFiles } from '../files/record-files.ts';
import { lastDay, logHeading, readPosition, renderEntries, type LogEntry } from './log.ts';

/** A log is begun anew when it is this long: people and editors open it whole. */
const LOG_BYTES_MAX = 1024 * 1024;
const PARTS_MAX = 10_000;
const NEW_LINE = Buffer.from('\n');

export interface ChatLog {
  /** Below the workspace's records. */
  readonly path: string;
  readonly title: string;
  /** How far it was written, as the database knows: for a log that is gone, or not there yet. */
  readonly seq: number;
  /** The last event that may be in it. */
  readonly seqMax: number;
  /** What belongs into it after an event, in order: some of it, and nothing only at the end. */
  readonly entriesAfter: (seq: number) => Promise<readonly LogEntry[]>;
}

/**
 * Writes into a log what is not in it yet, and answers the last event that is. The file is its own cursor: what belongs
 * behind the last event that it holds is appended. So an entry is in it once, whoever was killed when, and comes again
 * where an editor saved an older text over it. What people wrote in it stays where it is.
 */
export async function appendToLog(
  files: RecordFiles,
  log: ChatLog,
  bytesMax: number = LOG_BYTES_MAX,
): Promise<number> {
  let reached = log.seq;
  for (;;) {
    let isDone = true;
    const sizeBytes = await files.append(log.path, async (tail) => {
      const next = await nextOf({ ...log, seq: reached }, tail);
      reached = Math.max(reached, next.seq);
      isDone = next.more === null;
      return next.more;
    });
    if (sizeBytes > bytesMax) await beginAnew(files, log.path);
    if (isDone) return reached;
  }
}

interface Next {
  readonly more: Buffer | null;
  readonly seq: number;
}

async function nextOf(
  { title, seq, seqMax, entriesAfter }: ChatLog,
  tail: FileTail,
): Promise<Next> {
  const position = readPosition(tail.bytes, seqMax);
  const after = position?.seq ?? seq;
  const entries = await entriesAfter(after);
  const last = entries.at(-1);
  if (last === undefined) return { more: null, seq: after };
  const heading = position === null ? logHeading(title, after) : '';
  const day = position === null ? null : lastDay(tail.bytes.subarray(0, position.endBytes));
  const text = Buffer.from(heading + renderEntries(entries, day));
  const start = position?.endBytes ?? (tail.isWhole ? 0 : tail.bytes.length);
  return { more: continued(tail.bytes.subarray(start), text), seq: last.seq };
}

/** Whoever was killed while he wrote left the beginning of the same text; anything else is somebody's, and stays. */
function continued(behind: Buffer, text: Buffer): Buffer {
  if (text.subarray(0, behind.length).equals(behind)) return text.subarray(behind.length);
  return behind.at(-1) === NEW_LINE[0] ? text : Buffer.concat([NEW_LINE, text]);
}

async function beginAnew(files: RecordFiles, path: string): Promise<void> {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const stem = name.replace(/\.md$/, '');
  for (let part = 1; part <= PARTS_MAX; part += 1) {
    if (await files.move(path, { name: `${stem}.${part}.md` })) return;
  }
}
