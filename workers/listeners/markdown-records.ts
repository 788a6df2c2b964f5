import { join } from 'node:path';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { EVENT_TYPES, type Event } from '../../domain/event.ts';
import { AppError } from '../../domain/error.ts';
import { isId } from '../../domain/id.ts';
import type { EventListener } from '../../infra/db/listen.ts';
import { viewApproval } from '../../infra/db/queries/approval-view.ts';
import { advanceCursor, readCursor } from '../../infra/db/queries/cursor.ts';
import { eventRange, readEvents } from '../../infra/db/queries/event.ts';
import {
  findLogsOf,
  findToRecord,
  lockRecords,
  LOGGED,
  markdownCursor,
  readLogEntries,
  setLogSeq,
  takeLogPath,
  type LogToWrite,
  type WorkspaceToRecord,
} from '../../infra/db/queries/markdown.ts';
import type { Database, Executor } from '../../infra/db/schema.ts';
import { openRecordFiles, type RecordFiles } from '../../infra/files/record-files.ts';
import { isUntouched, renderApproval } from '../../infra/markdown/approval.ts';
import { appendToLog } from '../../infra/markdown/chat-log.ts';
import { plainName } from '../../infra/markdown/name.ts';
import { pause, startListener, type Listener } from './listener.ts';

export interface MarkdownOptions {
  readonly db: Kysely<Database>;
  readonly events: EventListener;
  /** The folder of all workspaces. */
  readonly root: string;
  readonly log: Logger;
}

const APPROVALS = EVENT_TYPES.filter((type) => type.startsWith('approval.'));
const TYPES = [...LOGGED, ...APPROVALS];
/** Events of one transaction: its lock is held while their files are written. */
const PAGE = 500;
const WORKSPACES_MAX = 100;
/** What a lost notification would have told is found by this. */
const LOOK_EVERY_MS = 5_000;
/** Records are for reading later: what is said together is written together. */
const LOOK_INTERVAL_MS = 200;
const PATHS_MAX = 1_000;

/**
 * Writes chats and approvals as Markdown from the event log. A cursor for each workspace says which events were looked
 * at; a lock in the database has one process do it.
 */
export function startMarkdownRecords(options: MarkdownOptions): Listener {
  const { db, events, log } = options;
  let news = new AbortController();
  const leave = events.subscribeAll(() => news.abort());
  const listener = startListener({ name: 'markdown-records', log }, async (signal) => {
    news = new AbortController();
    for (const workspace of await findToRecord(db, WORKSPACES_MAX)) {
      while (!signal.aborted && (await recordPage(options, workspace)));
    }
    await pause(LOOK_INTERVAL_MS, signal);
    await pause(LOOK_EVERY_MS, AbortSignal.any([signal, news.signal]));
  });
  return {
    async stop() {
      leave();
      await listener.stop();
    },
  };
}

/** False where there is nothing more to write for now. */
function recordPage(options: MarkdownOptions, { id, slug }: WorkspaceToRecord): Promise<boolean> {
  const files = openRecordFiles(join(options.root, slug, 'records'));
  return options.db.transaction().execute(async (tx) => {
    if (!(await lockRecords(tx, id))) return false;
    const name = markdownCursor(id);
    const after = await readCursor(tx, name);
    // First how far it goes: numbers become visible in order, so nothing up to there can still appear.
    const { lastSeq } = await eventRange(tx, id);
    const events = await readEvents(tx, { workspaceId: id, after, limit: PAGE, types: TYPES });
    const isFull = events.length === PAGE;
    const reached = isFull ? (events.at(-1)?.seq ?? lastSeq) : lastSeq;
    if (reached <= after) return false;
    const page: Page = { ...options, tx, files, workspaceId: id, after, reached };
    await writeApprovals(page, events);
    await writeLogs(page, events);
    await advanceCursor(tx, { name, seq: reached, workspaceId: id });
    return isFull;
  });
}

interface Page extends MarkdownOptions {
  readonly tx: Executor;
  readonly files: RecordFiles;
  readonly workspaceId: string;
  readonly after: number;
  readonly reached: number;
}

async function writeApprovals(page: Page, events: readonly Event[]): Promise<void> {
  const ids = new Set(
    events.filter(({ subjectId }) => isId('approval', subjectId)).map(({ subjectId }) => subjectId),
  );
  for (const id of ids) {
    const view = await viewApproval(page.tx, id);
    if (view === null) continue;
    await tryWrite(page, id, async () => {
      const path = `approvals/${id}.md`;
      const { kept } = await page.files.replace(path, renderApproval(view), isUntouched);
      if (kept !== null) page.log.warn({ path, kept }, 'a record that somebody changed was kept');
    });
  }
}

async function writeLogs(page: Page, events: readonly Event[]): Promise<void> {
  const messages = events.filter(({ type }) => LOGGED.some((logged) => logged === type));
  const logs = await findLogsOf(
    page.tx,
    messages.map(({ subjectId }) => subjectId),
  );
  for (const log of logs) {
    const path = log.path ?? (await newPath(page, log));
    await tryWrite(page, path, () => writeLog(page, log, path));
  }
}

async function writeLog(page: Page, log: LogToWrite, path: string): Promise<void> {
  const { tx, files, workspaceId, reached } = page;
  const { contextId, connectorId } = log;
  const seq = await appendToLog(files, {
    path: `logs/${path}`,
    title: `${log.connectorName} / ${log.contextSlug}`,
    seq: log.path === null ? page.after : log.seq,
    seqMax: reached,
    entriesAfter: (after) =>
      readLogEntries(tx, {
        workspaceId,
        contextId,
        connectorId,
        after,
        upTo: reached,
        limit: PAGE,
      }),
  });
  await setLogSeq(tx, { contextId, connectorId, seq });
}

/** As its connector and its context are called now, with a number where that is taken. */
async function newPath(page: Page, log: LogToWrite): Promise<string> {
  const { tx, workspaceId, after: seq } = page;
  const { contextId, connectorId } = log;
  const stem = `${plainName(log.connectorName)}/${plainName(log.contextSlug)}`;
  for (let number = 1; number <= PATHS_MAX; number += 1) {
    const path = number === 1 ? `${stem}.md` : `${stem}-${number}.md`;
    if (await takeLogPath(tx, { workspaceId, contextId, connectorId, path, seq })) return path;
  }
  throw new Error('There are too many logs of one name.');
}

/** What somebody put in the place of a record holds up that record, and no other. A full disk holds up all. */
async function tryWrite(page: Page, what: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    page.log.error({ err: error, record: what }, 'a record cannot be written');
  }
}
