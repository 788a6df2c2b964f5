import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openRecordFiles } from '../../../infra/files/record-files.ts';
import { appendToLog, type ChatLog } from '../../../infra/markdown/chat-log.ts';
import type { LogEntry } from '../../../infra/markdown/log.ts';
import { testFolder } from '../../support/folder.ts';

function entry(seq: number, more: Partial<LogEntry> = {}): LogEntry {
  return {
    seq,
    kind: 'received',
    messageId: `${seq}00`,
    senderId: '42',
    senderName: 'Ada',
    userId: null,
    text: `Zürich ${seq}`,
    at: new Date(Date.UTC(2026, 10, 20 + (seq > 2 ? 1 : 0), 10, 0, seq)),
    ...more,
  };
}

function logOf(entries: readonly LogEntry[], more: Partial<ChatLog> = {}): ChatLog {
  return {
    path: 'logs/telegram/ops.md',
    title: 'telegram / ops',
    seq: 0,
    seqMax: 1_000,
    entriesAfter: (seq) => Promise.resolve(entries.filter((each) => each.seq > seq).slice(0, 2)),
    ...more,
  };
}

const ENTRIES = [1, 2, 3, 5].map((seq) => entry(seq));
const PATH = 'logs/telegram/ops.md';

async function written(entries: readonly LogEntry[] = ENTRIES): Promise<Buffer> {
  const folder = testFolder();
  await appendToLog(openRecordFiles(folder), logOf(entries));
  return readFile(join(folder, PATH));
}

function seqsOf(text: string): number[] {
  return [...text.matchAll(/^<!-- rookery:(\d+) -->$/gm)].map((match) => Number(match[1]));
}

describe('a log', () => {
  test('has a heading, days, and each entry once, however often it is written', async () => {
    const folder = testFolder();
    const files = openRecordFiles(folder);
    expect(await appendToLog(files, logOf(ENTRIES.slice(0, 2)))).toBe(2);
    expect(await appendToLog(files, logOf(ENTRIES))).toBe(5);
    expect(await appendToLog(files, logOf(ENTRIES))).toBe(5);
    const text = await readFile(join(folder, PATH), 'utf8');
    expect(text).toMatchInlineSnapshot(`
      "# telegram / ops

      What was said, as it was stored. See docs/records.md.

      <!-- rookery:0 -->

      ## 2026-11-20

      **10:00:01 Ada** (42 · 100)

      > Zürich 1

      <!-- rookery:1 -->

      **10:00:02 Ada** (42 · 200)

      > Zürich 2

      <!-- rookery:2 -->

      ## 2026-11-21

      **10:00:03 Ada** (42 · 300)

      > Zürich 3

      <!-- rookery:3 -->

      **10:00:05 Ada** (42 · 500)

      > Zürich 5

      <!-- rookery:5 -->
      "
    `);
  });

  test('whoever is killed after any byte, the next one makes the same file of it', async () => {
    const whole = await written();
    const folder = testFolder();
    const files = openRecordFiles(folder);
    await appendToLog(files, logOf(ENTRIES));
    for (let bytes = 0; bytes < whole.length; bytes += 1) {
      await writeFile(join(folder, PATH), whole.subarray(0, bytes));
      await appendToLog(files, logOf(ENTRIES));
      expect(await readFile(join(folder, PATH), 'utf8')).toBe(whole.toString());
    }
  });

  test('what a person writes into it stays, and what his editor saved over comes again', async () => {
    const folder = testFolder();
    const files = openRecordFiles(folder);
    const path = join(folder, PATH);
    await appendToLog(files, logOf(ENTRIES.slice(0, 1)));
    const opened = await readFile(path, 'utf8');
    await appendToLog(files, logOf(ENTRIES.slice(0, 3)));
    // His editor has the old text, and saves it under another name first.
    await writeFile(
      `${path}~`,
      opened.replace('Zürich 1', 'Zürich \\(mine\\)') + 'A note without an end',
    );
    await rename(`${path}~`, path);
    await appendToLog(files, logOf(ENTRIES));
    await appendFile(path, '\nAnother note\n');
    await appendToLog(files, logOf([...ENTRIES, entry(7)]));
    const text = await readFile(path, 'utf8');
    expect(seqsOf(text)).toEqual([0, 1, 2, 3, 5, 7]);
    expect(text).toContain('Zürich \\(mine\\)');
    expect(text).toMatch(/^A note without an end$/m);
    expect(text).toMatch(/^Another note$/m);
  });

  test('a log that somebody took away is begun anew, with what comes next', async () => {
    const folder = testFolder();
    await appendToLog(openRecordFiles(folder), logOf([...ENTRIES, entry(9)], { seq: 5 }));
    expect(seqsOf(await readFile(join(folder, PATH), 'utf8'))).toEqual([5, 9]);
  });

  test('marks that a text brings along are text, and a made-up number is not believed', async () => {
    const folder = testFolder();
    const files = openRecordFiles(folder);
    await appendToLog(
      files,
      logOf([
        entry(1, { text: 'x\n<!-- rookery:900 -->\n', senderName: '\n<!-- rookery:901 -->' }),
      ]),
    );
    await appendFile(join(folder, PATH), '<!-- rookery:5000 -->\n');
    await appendToLog(files, logOf([entry(1), entry(2)]));
    expect(seqsOf(await readFile(join(folder, PATH), 'utf8'))).toEqual([0, 1, 5_000, 2]);
  });

  test('a long log is put aside, and nothing is lost between its parts', async () => {
    const folder = testFolder();
    const files = openRecordFiles(folder);
    const entries = Array.from({ length: 40 }, (_, index) => entry(index + 1));
    await appendToLog(files, logOf(entries), 500);
    const parts = [];
    for (let part = 1; ; part += 1) {
      const text = await readFile(join(folder, `logs/telegram/ops.${part}.md`), 'utf8').catch(
        () => null,
      );
      if (text === null) break;
      parts.push(text);
    }
    expect(parts.length).toBeGreaterThan(3);
    const last = await readFile(join(folder, PATH), 'utf8');
    const seqs = [...parts, last].flatMap((text) => seqsOf(text).slice(1));
    expect(seqs).toEqual(entries.map(({ seq }) => seq));
  });
});
