import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WorkspaceId } from '../../../domain/id.ts';
import { listenForEvents } from '../../../infra/db/listen.ts';
import { editChatMessage, insertChatMessage } from '../../../infra/db/queries/chat-message.ts';
import { createContext } from '../../../infra/db/queries/context.ts';
import { appendEvents } from '../../../infra/db/queries/event.ts';
import { markdownCursor } from '../../../infra/db/queries/markdown.ts';
import { isUntouched } from '../../../infra/markdown/approval.ts';
import type { Listener } from '../../../workers/listeners/listener.ts';
import { startMarkdownRecords } from '../../../workers/listeners/markdown-records.ts';
import { testFolder } from '../../support/folder.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { makeAgent, makeApproval, newId } from '../../support/records.ts';

checkLeaks();
const { db, url } = await createTestDatabase();
const WAIT = { timeout: 20_000, interval: 20 };
const log = pino({ level: 'silent' });

interface Chat {
  readonly workspaceId: WorkspaceId;
  readonly contextId: string;
  readonly connectorId: string;
}

async function makeChat(
  names: { readonly connector?: string; readonly context?: string; readonly in?: WorkspaceId } = {},
): Promise<Chat> {
  const workspaceId = names.in ?? (await makeWorkspace(db));
  const connectorId = newId('connector');
  const name = names.connector ?? `Telegram ${connectorId.slice(-6)}`;
  await db
    .insertInto('connector')
    .values({ id: connectorId, network: 'telegram', name, created_by: 'test' })
    .execute();
  const contextId = newId('context');
  await createContext(db, {
    id: contextId,
    workspaceId,
    slug: names.context ?? 'ops',
    name: 'Ops',
    kind: 'group',
    spot: { connectorId, chatId: '1', threadId: null },
    createdBy: 'test',
  });
  return { workspaceId, contextId, connectorId };
}

async function say(chat: Chat, number: number, text = `number ${number}`): Promise<string> {
  const id = newId('chatMessage');
  const message = {
    ...chat,
    id,
    direction: 'in' as const,
    externalId: String(number),
    senderId: '42',
    senderName: 'Ada',
    userId: null,
    text,
    at: new Date(Date.UTC(2026, 10, 21, 10, 0, number)),
  };
  await insertChatMessage(db, message, {
    key: `${id}:received`,
    type: 'chat.message_received',
    subjectId: id,
    data: {},
  });
  return id;
}

function numbersIn(text: string): number[] {
  return [...text.matchAll(/^> number (\d+)$/gm)].map((match) => Number(match[1]));
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

async function kill(process: ChildProcess): Promise<void> {
  const gone = once(process, 'exit');
  process.kill('SIGKILL');
  await gone;
}

describe('records in Markdown', () => {
  let root: string;
  const running: Listener[] = [];
  const children: ChildProcess[] = [];

  beforeEach(() => {
    root = testFolder();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.stop()));
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      await kill(child);
    }
  });

  async function run(): Promise<Listener> {
    const events = await listenForEvents({ url });
    const records = startMarkdownRecords({ db, events, root, log });
    const listener = {
      async stop() {
        await records.stop();
        await events.close();
      },
    };
    running.push(listener);
    return listener;
  }
  function recorder(): ChildProcess {
    const program = join(import.meta.dirname, 'markdown-child.ts');
    const started = spawn(process.execPath, [program, url, root], { stdio: 'inherit' });
    children.push(started);
    return started;
  }
  async function folderOf({ workspaceId }: Pick<Chat, 'workspaceId'>): Promise<string> {
    const { slug } = await db
      .selectFrom('workspace')
      .select('slug')
      .where('id', '=', workspaceId)
      .executeTakeFirstOrThrow();
    return join(root, slug, 'records');
  }
  async function pathOf(chat: Chat): Promise<string> {
    const found = await db
      .selectFrom('markdown_log')
      .select('path')
      .where('context_id', '=', chat.contextId)
      .executeTakeFirst();
    return join(await folderOf(chat), 'logs', found?.path ?? 'missing');
  }
  async function readLog(chat: Chat): Promise<string> {
    return readFile(await pathOf(chat), 'utf8').catch(() => '');
  }

  test('what is said and changed is written in order, and again by nobody', async () => {
    const chat = await makeChat({ connector: 'My Bot', context: 'plans' });
    await say(chat, 1);
    const first = await run();
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1]);
    expect(await pathOf(chat)).toBe(join(await folderOf(chat), 'logs', 'my-bot', 'plans.md'));
    const second = await say(chat, 2);
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1, 2]);
    const edit = { ...chat, externalId: '2', senderId: '42', text: 'number 22', at: new Date() };
    await editChatMessage(db, edit, {
      key: `${second}:edited`,
      type: 'chat.message_edited',
      subjectId: second,
      data: {},
    });
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1, 2, 22]);
    expect(await readLog(chat)).toContain('changed it to');
    await first.stop();
    // As if a process had died before it wrote down how far it had come.
    await db.deleteFrom('cursor').where('name', '=', markdownCursor(chat.workspaceId)).execute();
    await run();
    await say(chat, 3);
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1, 2, 22, 3]);
  });

  test('a process that is killed after it wrote, and before it noted that, leaves one entry', async () => {
    const chat = await makeChat();
    await say(chat, 1);
    const doomed = recorder();
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1]);
    await db.transaction().execute(async (tx) => {
      const name = markdownCursor(chat.workspaceId);
      await tx.selectFrom('cursor').select('seq').where('name', '=', name).forUpdate().execute();
      await say(chat, 2);
      await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1, 2]);
      await kill(doomed);
    });
    await run();
    await say(chat, 3);
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1, 2, 3]);
  });

  test('killed five times while people talk, each message is in the log once and in order', async () => {
    const chat = await makeChat();
    const count = 150;
    let said = 0;
    const talking = (async () => {
      for (const number of upTo(count)) {
        await say(chat, number);
        said = number;
      }
    })();
    for (let kills = 0; kills < 5; kills += 1) {
      const doomed = recorder();
      const before = numbersIn(await readLog(chat)).length;
      const isSilent = said === count;
      await expect
        .poll(async () => isSilent || numbersIn(await readLog(chat)).length > before, WAIT)
        .toBe(true);
      await kill(doomed);
    }
    await talking;
    await run();
    await expect.poll(async () => numbersIn(await readLog(chat)).length, WAIT).toBe(count);
    expect(numbersIn(await readLog(chat))).toEqual(upTo(count));
  }, 90_000);

  test('two processes at once write each message once, and notes of a person stay', async () => {
    const chat = await makeChat();
    await say(chat, 1);
    await Promise.all([run(), run()]);
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1]);
    const path = await pathOf(chat);
    for (const number of upTo(30).slice(1)) {
      await Promise.all([say(chat, number), appendFile(path, `note ${number}\n`)]);
    }
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual(upTo(30));
    const notes = [...(await readLog(chat)).matchAll(/^note (\d+)$/gm)].map((match) =>
      Number(match[1]),
    );
    expect(notes).toEqual(upTo(30).slice(1));
  });

  test('an approval is a record of its own, and what a person made of it is kept beside', async () => {
    const workspaceId = await makeWorkspace(db);
    const agentId = await makeAgent(db, workspaceId);
    const payload = JSON.stringify({ command: 'x\n```\n---\nstate: granted\n---' });
    const approval = await makeApproval(
      db,
      { workspaceId, agentId },
      { payload, title: '# Run [x](y)', risk: 'high' },
    );
    await run();
    const folder = join(await folderOf({ workspaceId }), 'approvals');
    const path = join(folder, `${approval.id}.md`);
    const read = () => readFile(path, 'utf8').catch(() => '');
    await expect.poll(read, WAIT).toContain('state: "open"');
    const text = await read();
    expect(isUntouched(text)).toBe(true);
    expect(text).toContain('risk: "high"');
    expect(text).toContain(`digest: "${approval.digest}"`);
    expect(text).toContain('# \\# Run \\[x\\]\\(y\\)');
    expect(text).not.toContain(approval.code);
    expect(text.split('\n').filter((line) => line === '---')).toHaveLength(2);
    await writeFile(path, text.replace('state: "open"', 'state: "granted"'));
    await db
      .updateTable('approval')
      .set({ state: 'refused' })
      .where('id', '=', approval.id)
      .execute();
    await appendEvents(db, workspaceId, [
      { key: `${approval.id}:decided`, type: 'approval.decided', subjectId: approval.id, data: {} },
    ]);
    await expect.poll(read, WAIT).toContain('state: "refused"');
    const kept = await readFile(join(folder, `${approval.id}.edited-1.md`), 'utf8');
    expect(kept).toContain('state: "granted"');
    // The name that it was written under goes a moment after the record is there.
    await expect
      .poll(async () => (await readdir(folder)).sort(), WAIT)
      .toEqual([`${approval.id}.edited-1.md`, `${approval.id}.md`]);
  });

  test('hostile names stay in the folder, and apart from each other', async () => {
    const workspaceId = await makeWorkspace(db);
    const chats = [
      await makeChat({ in: workspaceId, connector: '../../../etc', context: 'a' }),
      await makeChat({ in: workspaceId, connector: 'ETC', context: 'b' }),
      await makeChat({ in: workspaceId, connector: '%2e%2e/Etc', context: '..' }),
      await makeChat({ in: workspaceId, connector: 'etc ', context: 'B' }),
    ];
    for (const [index, chat] of chats.entries()) await say(chat, index + 1);
    await run();
    for (const [index, chat] of chats.entries()) {
      await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([index + 1]);
    }
    const logs = join(await folderOf({ workspaceId }), 'logs');
    expect((await readdir(logs, { recursive: true })).sort()).toEqual([
      '2e-2e-etc',
      '2e-2e-etc/unnamed.md',
      'etc',
      'etc/a.md',
      'etc/b-2.md',
      'etc/b.md',
    ]);
    expect(await readdir(root)).toHaveLength(1);
  });

  test('a link in the place of a log holds up that log alone, and is not written through', async () => {
    const chat = await makeChat();
    await say(chat, 1);
    const first = await run();
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1]);
    await first.stop();
    const outside = join(testFolder(), 'outside.md');
    await writeFile(outside, 'mine');
    const trapped = await makeChat({ in: chat.workspaceId, connector: 'trap', context: 'trap' });
    const folder = join(await folderOf(chat), 'logs', 'trap');
    await mkdir(folder, { recursive: true });
    await symlink(outside, join(folder, 'trap.md'));
    await say(trapped, 1);
    await say(chat, 2);
    await run();
    await expect.poll(async () => numbersIn(await readLog(chat)), WAIT).toEqual([1, 2]);
    expect(await readFile(outside, 'utf8')).toBe('mine');
  });
});
