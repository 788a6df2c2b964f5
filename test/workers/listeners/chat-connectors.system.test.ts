import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChatUpdate } from '../../../domain/chat.ts';
import type { ConnectorId } from '../../../domain/id.ts';
import type { ChatHandler } from '../../../infra/connectors/inbox.ts';
import { listAudit } from '../../../infra/db/queries/audit.ts';
import { retryUpdates } from '../../../infra/db/queries/chat-update.ts';
import {
  changeConnector,
  connectorLease,
  getConnector,
  removeConnector,
} from '../../../infra/db/queries/connector.ts';
import { readEvents } from '../../../infra/db/queries/event.ts';
import { resendPost } from '../../../infra/db/queries/post.ts';
import type { Listener } from '../../../workers/listeners/listener.ts';
import { addConnector, echoHandler, say, seal, startEngine } from '../../support/chat/engine.ts';
import { GROUP, TelegramServer, TOKEN } from '../../support/chat/telegram-server.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';

const database = await createTestDatabase();
const { db } = database;
const workspaceId = await makeWorkspace(db);
const WAIT = { timeout: 15_000, interval: 20 };
const NOBODY: ChatHandler = { handle: () => Promise.resolve() };

let server: TelegramServer;
let connectorId: ConnectorId;
const engines: Listener[] = [];
beforeEach(async () => {
  server = await TelegramServer.start();
  connectorId = await addConnector(db, { apiRoot: server.apiRoot });
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
  await db.transaction().execute((tx) => removeConnector(tx, connectorId));
  await server.close();
});

async function start(handler: ChatHandler, change = {}): Promise<Listener> {
  const engine = await startEngine(database, handler, change);
  engines.push(engine);
  return engine;
}
const stateOf = async (id = connectorId): Promise<string | undefined> => {
  const row = await getConnector(db, id);
  return row === null ? undefined : `${row.state}${row.isRun ? '' : ' (not run)'}`;
};
const connected = (id = connectorId) => expect.poll(() => stateOf(id), WAIT).toBe('connected');
const posts = () =>
  db
    .selectFrom('post')
    .select(['key', 'state', 'error', 'sealed', 'message_id as messageId'])
    .where('connector_id', '=', connectorId)
    .orderBy('seq')
    .execute();
const inTopic = (thread: number) => ({ is_topic_message: true, message_thread_id: thread });
const polls = () => server.calls.filter(({ method }) => method === 'getUpdates').length;
const steal = () => fetch(`${server.apiRoot}/bot${TOKEN}/getUpdates`, { method: 'POST' });
const postStates = async () => (await posts()).map(({ state }) => state);
const shownTexts = () => server.shown.map(({ text }) => text);

/** Remembers what it was handed, and fails as often as it is told to. */
function listeningHandler() {
  const heard: string[] = [];
  const failing = new Map<string, number>();
  const handler: ChatHandler = {
    async handle(_connectorId, _key, update: ChatUpdate) {
      const text = update.kind === 'message' ? update.text : update.kind;
      const left = failing.get(text) ?? 0;
      if (left > 0) {
        failing.set(text, left - 1);
        throw new Error(`I cannot take: ${text}`);
      }
      heard.push(text);
      await Promise.resolve();
    },
  };
  return { heard, failing, handler };
}

test('a message is stored, handled and forgotten, and the answer is said', async () => {
  await start(echoHandler(db));
  await connected();
  server.say({ text: 'hello' });
  await expect.poll(shownTexts, WAIT).toEqual(['echo hello']);
  expect(await getConnector(db, connectorId)).toMatchObject({
    botId: '123456',
    botName: 'RookeryTestBot',
  });
  const updates = () =>
    db.selectFrom('chat_update').selectAll().where('connector_id', '=', connectorId).execute();
  await expect
    .poll(updates, WAIT)
    .toMatchObject([{ state: 'handled', sealed: null, place: String(GROUP.id) }]);
  await expect.poll(posts, WAIT).toMatchObject([{ state: 'sent', sealed: null, messageId: '2' }]);
  await expect.poll(() => server.unconfirmed, WAIT).toBe(0);
});

test('nothing is acknowledged that could not be stored', async () => {
  await start(NOBODY);
  await connected();
  const unlock = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = db.transaction().execute(async (tx) => {
    await sql`lock table chat_update in exclusive mode`.execute(tx);
    locked.resolve();
    await unlock.promise;
  });
  await locked.promise;
  server.say({ text: 'waits' });
  // Whoever stores waits for the lock by now: it was told the update.
  const waiting = async () =>
    (
      await sql`select from pg_locks where relation = 'chat_update'::regclass and not granted`.execute(
        db,
      )
    ).rows.length;
  await expect.poll(waiting, WAIT).toBeGreaterThan(0);
  expect(server.unconfirmed).toBe(1);
  unlock.resolve();
  await holding;
  await expect.poll(() => server.unconfirmed, WAIT).toBe(0);
});

test('a place goes in order and waits for what fails, others do not wait for it', async () => {
  const { heard, failing, handler } = listeningHandler();
  failing.set('first', 2);
  await start(handler, { backOffMs: () => 300 });
  await connected();
  server.say({ text: 'first', extra: inTopic(7) });
  server.say({ text: 'second', extra: inTopic(7) });
  server.say({ text: 'elsewhere', extra: inTopic(8) });
  await expect.poll(() => heard, WAIT).toEqual(['elsewhere', 'first', 'second']);
});

test('what fails five times is given up, recorded and kept, and can be handled again', async () => {
  const { heard, failing, handler } = listeningHandler();
  failing.set('poison', 5);
  await start(handler);
  await connected();
  server.say({ text: 'poison' });
  server.say({ text: 'after it' });
  await expect.poll(() => heard, WAIT).toEqual(['after it']);
  const failed = await db
    .selectFrom('chat_update')
    .select(['state', 'attempts', 'error', 'sealed'])
    .where('connector_id', '=', connectorId)
    .where('state', '=', 'failed')
    .execute();
  expect(failed).toMatchObject([{ attempts: 5, error: 'internal' }]);
  expect(failed[0]?.sealed).not.toBeNull();
  const audits = await listAudit(db, { workspaceId, after: 0, limit: 200, subjectId: connectorId });
  expect(audits.map(({ action }) => action)).toContain('chat.give_up_update');
  expect(await db.transaction().execute((tx) => retryUpdates(tx, connectorId))).toBe(1);
  await expect.poll(() => heard, WAIT).toEqual(['after it', 'poison']);
});

test('posts of a place go out in order, an edit after what it changes, and their workspace hears of it', async () => {
  for (let index = 0; index < 5; index += 1) {
    await say(db, connectorId, {
      key: `${connectorId}:${index}`,
      text: `post ${index}`,
      workspaceId,
    });
  }
  await say(db, connectorId, {
    key: `${connectorId}:edit`,
    text: 'changed',
    editsKey: `${connectorId}:4`,
  });
  // The same key again says nothing.
  await say(db, connectorId, { key: `${connectorId}:0`, text: 'again' });
  await start(NOBODY);
  await expect.poll(postStates, WAIT).toEqual(Array.from({ length: 6 }, () => 'sent'));
  expect(shownTexts()).toEqual(['post 0', 'post 1', 'post 2', 'post 3', 'changed']);
  const events = await readEvents(db, {
    workspaceId,
    after: 0,
    limit: 200,
    types: ['chat.post_sent'],
  });
  expect(events.filter(({ data }) => data['connectorId'] === connectorId)).toHaveLength(5);
});

test('a limit of the network holds one chat, and the post goes out when it is over', async () => {
  server.fail('sendMessage', { kind: 'limit', retryAfterS: 1 });
  await start(NOBODY);
  await connected();
  const other = { chatId: '77', threadId: null };
  await say(db, connectorId, { key: `${connectorId}:a`, text: 'too fast' });
  await expect
    .poll(posts, WAIT)
    .toMatchObject([{ error: expect.stringContaining('Too Many Requests') }]);
  await say(db, connectorId, { key: `${connectorId}:b`, text: 'elsewhere', to: other });
  await expect.poll(shownTexts, WAIT).toEqual(['elsewhere']);
  await expect.poll(shownTexts, WAIT).toEqual(['elsewhere', 'too fast']);
  const sends = server.calls.filter(({ method }) => method === 'sendMessage');
  const [first, , last] = sends;
  expect((last?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
});

test('a post that may have been said is not said again by itself, and a person can have it said', async () => {
  server.fail('sendMessage', { kind: 'break-after' });
  await say(db, connectorId, { key: `${connectorId}:once`, text: 'once', workspaceId });
  await say(db, connectorId, {
    key: `${connectorId}:edit`,
    text: 'edited',
    editsKey: `${connectorId}:once`,
  });
  await say(db, connectorId, { key: `${connectorId}:next`, text: 'next' });
  await start(NOBODY);
  await expect.poll(postStates, WAIT).toEqual(['uncertain', 'failed', 'sent']);
  expect(shownTexts()).toEqual(['once', 'next']);
  const events = await readEvents(db, {
    workspaceId,
    after: 0,
    limit: 200,
    types: ['chat.post_uncertain'],
  });
  expect(events).toHaveLength(1);
  const { id } = await db
    .selectFrom('post')
    .select('id')
    .where('key', '=', `${connectorId}:once`)
    .executeTakeFirstOrThrow();
  expect(await db.transaction().execute((tx) => resendPost(tx, id))).toBe(true);
  await expect.poll(postStates, WAIT).toEqual(['sent', 'sent', 'sent']);
  expect(shownTexts()).toEqual(['once', 'next', 'edited']);
});

test('what a killed process was sending is uncertain, and an edit is made again', async () => {
  await say(db, connectorId, { key: `${connectorId}:1`, text: 'sent before' });
  const first = await start(NOBODY);
  await expect.poll(postStates, WAIT).toEqual(['sent']);
  await first.stop();
  await say(db, connectorId, { key: `${connectorId}:2`, text: 'was being sent' });
  await say(db, connectorId, {
    key: `${connectorId}:3`,
    text: 'was being edited',
    editsKey: `${connectorId}:1`,
  });
  await db
    .updateTable('post')
    .set({ state: 'sending' })
    .where('connector_id', '=', connectorId)
    .where('state', '=', 'queued')
    .execute();
  await start(NOBODY);
  await expect.poll(postStates, WAIT).toEqual(['sent', 'uncertain', 'sent']);
  expect(shownTexts()).toEqual(['was being edited']);
});

test('what may not be written is a failure with the network’s reason, and what is behind it goes on', async () => {
  server.messages.kicked.add(GROUP.id);
  server.messages.unknown.add(99);
  await say(db, connectorId, { key: `${connectorId}:1`, text: 'to nobody' });
  await say(db, connectorId, {
    key: `${connectorId}:2`,
    text: 'x',
    to: { chatId: '99', threadId: null },
  });
  await say(db, connectorId, {
    key: `${connectorId}:3`,
    text: 'x',
    to: { chatId: '@ada', threadId: null },
  });
  await start(NOBODY);
  await expect.poll(posts, WAIT).toMatchObject([
    { state: 'failed', error: expect.stringContaining('kicked') },
    { state: 'failed', error: expect.stringContaining('chat not found') },
    { state: 'failed', error: expect.stringContaining('numbers') },
  ]);
});

test('of two processes one speaks; when it is gone the other does', async () => {
  const first = await start(echoHandler(db), { leaseMs: 3_000 });
  await connected();
  await start(echoHandler(db), { leaseMs: 3_000 });
  for (let index = 0; index < 10; index += 1) server.say({ text: `${index}` });
  await expect.poll(() => server.shown.length, WAIT).toBe(10);
  await first.stop();
  server.say({ text: 'to the other' });
  await expect.poll(() => server.shown.length, WAIT).toBe(11);
  expect(new Set(shownTexts()).size).toBe(11);
  expect(await stateOf()).toBe('connected');
});

test('a process that lost its lease stops reading and says nothing more', async () => {
  await start(echoHandler(db), { leaseMs: 1_500 });
  await connected();
  await db
    .updateTable('listener_lease')
    .set({ holder: 'somebody else', fence: 1_000, lease_until: new Date(Date.now() + 60_000) })
    .where('name', '=', connectorLease(connectorId))
    .execute();
  await say(db, connectorId, { key: `${connectorId}:late`, text: 'too late' });
  // It renews within a third of the lease and finds out; a post is fenced at once.
  let last = -1;
  await expect
    .poll(
      () => {
        const now = polls();
        const isQuiet = now === last;
        last = now;
        return isQuiet;
      },
      { timeout: 15_000, interval: 2_500 },
    )
    .toBe(true);
  expect(shownTexts()).toEqual([]);
  expect(await postStates()).toEqual(['queued']);
});

test('a revoked secret is told, and another one is taken without a restart', async () => {
  await start(echoHandler(db));
  await connected();
  server.revoke('654321:another-token');
  await expect.poll(() => stateOf(), WAIT).toBe('refused');
  server.say({ text: 'meanwhile' });
  const secret = {
    secretRef: null,
    sealedSecret: seal('654321:another-token'),
    webhookSecret: seal('x'),
  };
  await db.transaction().execute((tx) => changeConnector(tx, connectorId, { secret }));
  await expect.poll(shownTexts, WAIT).toEqual(['echo meanwhile']);
  expect(await stateOf()).toBe('connected');
});

test('the secret of another bot is refused, since its messages would be taken for known ones', async () => {
  const engine = await start(NOBODY);
  await connected();
  await engine.stop();
  Object.assign(server.bot, { id: 999_999 });
  await start(NOBODY);
  await expect.poll(() => stateOf(), WAIT).toBe('refused');
  expect((await getConnector(db, connectorId))?.stateDetail).toContain('999999');
});

test('two connectors of one bot do not both speak', async () => {
  await start(echoHandler(db));
  await connected();
  const second = await addConnector(db, { apiRoot: server.apiRoot });
  await expect.poll(() => stateOf(second), WAIT).toBe('conflict');
  server.say({ text: 'once' });
  await expect.poll(shownTexts, WAIT).toEqual(['echo once']);
  await db.transaction().execute((tx) => removeConnector(tx, second));
});

test('a reader elsewhere for the same bot is told as a conflict', async () => {
  await start(NOBODY);
  await connected();
  const stealing = setInterval(() => void steal().then((answer) => answer.text()), 50);
  try {
    await expect.poll(() => stateOf(), WAIT).toBe('conflict');
  } finally {
    clearInterval(stealing);
  }
  await expect.poll(() => stateOf(), WAIT).toBe('connected');
});

test('a disabled connector stops, an enabled one goes on with what was said meanwhile', async () => {
  await start(echoHandler(db));
  await connected();
  await db.transaction().execute((tx) => changeConnector(tx, connectorId, { enabled: false }));
  await expect.poll(() => stateOf(), WAIT).toBe('stopped (not run)');
  server.say({ text: 'while off' });
  await db.transaction().execute((tx) => changeConnector(tx, connectorId, { enabled: true }));
  await expect.poll(shownTexts, WAIT).toEqual(['echo while off']);
});

test('a group that became a supergroup takes its context along, and posts follow it', async () => {
  const contextId = `ctx_${connectorId.slice(4)}`;
  await db
    .insertInto('context')
    .values({
      id: contextId,
      workspace_id: workspaceId,
      slug: connectorId.slice(4),
      name: 'Team',
      kind: 'channel',
      connector_id: connectorId,
      chat_id: '-500',
      created_by: 'test',
    })
    .execute();
  const old = { id: -500, type: 'group', title: 'Team' };
  await start(echoHandler(db));
  await connected();
  server.messages.moved.set(-500, -100_500);
  server.say({ chat: old, extra: { migrate_to_chat_id: -100_500 } });
  await say(db, connectorId, {
    key: `${connectorId}:1`,
    text: 'follows',
    to: { chatId: '-500', threadId: null },
  });
  await expect
    .poll(() => server.shown, WAIT)
    .toMatchObject([{ chatId: -100_500, text: 'follows' }]);
  const bound = () =>
    db
      .selectFrom('context')
      .select('chat_id as chatId')
      .where('id', '=', contextId)
      .executeTakeFirst();
  await expect.poll(bound, WAIT).toEqual({ chatId: '-100500' });
});

test('what Telegram never sends does not hold up what it sends', async () => {
  const { heard, handler } = listeningHandler();
  await start(handler);
  await connected();
  server.push({ message: { message_id: 'x', chat: null } });
  server.push({ poll_answer: { poll_id: '1' }, some_future_kind: {} });
  server.push({
    message: { message_id: 1, date: 1, chat: { ...GROUP, id: 2 ** 60 }, text: 'huge' },
  });
  server.push({ message: { message_id: 2, date: 1e300, chat: GROUP, text: 'late' } });
  server.say({ text: 'x'.repeat(1_048_576) });
  server.say({ text: 'still here' });
  await expect.poll(() => heard.at(-1), WAIT).toBe('still here');
  expect(heard.map((text) => text.length)).toEqual([16_384, 10]);
  await expect.poll(() => server.unconfirmed, WAIT).toBe(0);
});

test(
  'thousands of topics are served side by side, each in order',
  { timeout: 60_000 },
  async () => {
    const heard = new Map<string, string[]>();
    const handler: ChatHandler = {
      async handle(_id, _key, update) {
        if (update.kind !== 'message') return;
        const { threadId } = update.place;
        heard.set(threadId ?? '', [...(heard.get(threadId ?? '') ?? []), update.text]);
        await Promise.resolve();
      },
    };
    await start(handler);
    await connected();
    for (const text of ['one', 'two']) {
      for (let thread = 1; thread <= 1_000; thread += 1) {
        server.say({ text, extra: { is_topic_message: true, message_thread_id: thread } });
      }
    }
    await expect.poll(() => heard.size, { timeout: 45_000, interval: 200 }).toBe(1_000);
    await expect
      .poll(() => [...heard.values()].filter((texts) => texts.join() === 'one,two').length, {
        timeout: 45_000,
        interval: 200,
      })
      .toBe(1_000);
  },
);
