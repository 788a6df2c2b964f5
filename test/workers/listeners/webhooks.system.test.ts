import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readCursor } from '../../../infra/db/queries/cursor.ts';
import { appendEvents, readEvents } from '../../../infra/db/queries/event.ts';
import { purgeBatch, type Retention } from '../../../infra/db/queries/purge.ts';
import { listDeliveries } from '../../../infra/db/queries/webhook-delivery.ts';
import {
  changeWebhook,
  deleteWebhook,
  getWebhook,
  lockWebhook,
  replayWebhook,
  rotateSecret,
  webhookCursor,
  type WebhookChange,
} from '../../../infra/db/queries/webhook.ts';
import { makeWebhookSecret } from '../../../infra/webhook/signature.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { answerOk, checkReceived, startReceiver, type Receiver } from '../../support/receiver.ts';
import {
  happen,
  makeEndpoint,
  runWebhooks,
  type TestEndpoint,
  type TestWebhooks,
} from '../../support/webhooks.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
let receiver: Receiver;
let other: Receiver;
let webhooks: TestWebhooks;

beforeAll(async () => {
  webhooks = await runWebhooks(database, { timeoutMs: 1_000 });
});
afterAll(() => webhooks.stop());
beforeEach(async () => {
  receiver = await startReceiver();
  other = await startReceiver();
});
afterEach(async () => {
  await db.deleteFrom('webhook').execute();
  await db.deleteFrom('webhook_delivery').execute();
  await db.deleteFrom('cursor').execute();
  await Promise.all([receiver.close(), other.close()]);
});

const RETENTION: Retention = {
  eventDays: 1,
  factDays: 1,
  inputDays: 1,
  loginDays: 1,
  promptDays: 1,
  slotDays: 1,
  usageDays: 1,
  chatDays: 1,
};

async function endpoint(types?: readonly string[]): Promise<TestEndpoint> {
  const workspaceId = await makeWorkspace(db);
  return makeEndpoint(db, workspaceId, { url: receiver.url, ...(types ? { types } : {}) });
}

function seqOf(id: string): number {
  return Number(id.split(':')[1]);
}

/** Looks until the endpoint is as expected. */
async function look(id: string, expected: object): Promise<void> {
  await expect.poll(() => getWebhook(db, id), { timeout: 20_000 }).toMatchObject(expected);
}

async function change({ id }: TestEndpoint, what: WebhookChange): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const webhook = await lockWebhook(tx, id);
    if (webhook === null) throw new Error('It is there.');
    await changeWebhook(tx, webhook, what);
  });
}

function deliveries(webhookId: string) {
  return listDeliveries(db, { webhookId, before: null, limit: 100 });
}

test('an endpoint is told of what happens, signed, with the event as the API shows it', async () => {
  const hook = await endpoint();
  await happen(db, hook.workspaceId);
  const [told] = await receiver.until(1);
  const [event] = await readEvents(db, { workspaceId: hook.workspaceId, after: 0, limit: 1 });
  expect(told?.id).toBe(`${hook.id}:1`);
  expect(JSON.parse(told?.body ?? '')).toEqual({
    type: 'agent.warning',
    timestamp: event?.at,
    data: event,
  });
  expect(told && checkReceived(told, [hook.secret])).toMatchObject({ kind: 'valid' });
  expect(told && checkReceived(told, [makeWebhookSecret()])).toMatchObject({ reason: 'signature' });
  await look(hook.id, { position: 1, failures: 0 });
  expect(await deliveries(hook.id)).toMatchObject([
    { seq: 1, state: 'delivered', attempts: 1, status: 204, error: null },
  ]);
});

test('thousands of events come once each and in order', async () => {
  const hook = await endpoint();
  for (let batch = 0; batch < 20; batch += 1) await happen(db, hook.workspaceId, 100);
  const told = await receiver.until(2_000);
  expect(told.map(({ id }) => seqOf(id))).toEqual(
    Array.from({ length: 2_000 }, (_, index) => index + 1),
  );
});

test('a filter passes over the rest, and an endpoint is not told of itself', async () => {
  const hook = await endpoint(['approval.*']);
  const all = await makeEndpoint(db, hook.workspaceId, { url: other.url });
  await happen(db, hook.workspaceId, 3);
  await appendEvents(db, hook.workspaceId, [
    { key: 'a', type: 'webhook.changed', subjectId: all.id, data: {} },
    { key: 'b', type: 'approval.requested', subjectId: 'apr_1', data: {} },
  ]);
  expect((await receiver.until(1)).map(({ id }) => id)).toEqual([`${hook.id}:5`]);
  const seqs = (await other.until(4)).map(({ id }) => seqOf(id));
  expect(seqs).toEqual([1, 2, 3, 5]);
  await look(hook.id, { position: 5 });
});

test('what fails is tried again, and what came after it waits: the order is kept', async () => {
  const hook = await endpoint();
  let refusals = 3;
  receiver.behave((response) => {
    refusals -= 1;
    response.writeHead(refusals >= 0 ? 500 : 200).end();
  });
  await happen(db, hook.workspaceId, 3);
  const told = await receiver.until(6);
  expect(told.map(({ id }) => seqOf(id))).toEqual([1, 1, 1, 1, 2, 3]);
  await look(hook.id, { failures: 0, failingSince: null, position: 3 });
  expect((await deliveries(hook.id)).map(({ attempts }) => attempts)).toEqual([1, 1, 4]);
});

test('a receiver that hangs is given up in time and keeps nobody else waiting', async () => {
  const hook = await endpoint();
  const quick = await makeEndpoint(db, hook.workspaceId, { url: other.url });
  receiver.behave(() => undefined);
  await happen(db, hook.workspaceId, 2);
  await other.until(2);
  await look(quick.id, { position: 2 });
  await look(hook.id, { failures: 1, position: 0 });
  expect(await deliveries(hook.id)).toMatchObject([
    { seq: 1, status: null, error: 'The receiver did not answer in time.' },
  ]);
  receiver.behave(answerOk);
  await look(hook.id, { position: 2, failures: 0 });
});

test('an endless or a slow answer counts by its status and is not read to its end', async () => {
  const hook = await endpoint();
  receiver.behave((response) => {
    response.writeHead(200);
    const flood = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      if (!response.destroyed) response.once('drain', flood);
    };
    flood();
  });
  await happen(db, hook.workspaceId);
  await look(hook.id, { position: 1, failures: 0 });
  receiver.behave((response) => void response.writeHead(200).write('a moment …'));
  await happen(db, hook.workspaceId);
  await look(hook.id, { position: 2, failures: 0 });
  expect((await deliveries(hook.id)).map(({ state }) => state)).toEqual(['delivered', 'delivered']);
});

test('redirects are not followed, also not to where one would be let', async () => {
  const hook = await endpoint();
  receiver.behave((response) => void response.writeHead(307, { location: other.url }).end());
  await happen(db, hook.workspaceId);
  await look(hook.id, { failures: 1 });
  expect(await deliveries(hook.id)).toMatchObject([
    { status: 307, error: 'The receiver answered 307. Redirects are not followed.' },
  ]);
  expect(other.received).toEqual([]);
});

test('410 ends it: the endpoint is disabled, audited, and not asked again', async () => {
  const hook = await endpoint();
  receiver.behave((response) => void response.writeHead(410).end());
  await happen(db, hook.workspaceId, 2);
  await look(hook.id, { enabled: false, disabledReason: 'gone' });
  expect(await deliveries(hook.id)).toMatchObject([{ seq: 1, state: 'dead', status: 410 }]);
  const events = await readEvents(db, { workspaceId: hook.workspaceId, after: 2, limit: 10 });
  expect(events).toMatchObject([
    { type: 'webhook.disabled', subjectId: hook.id, data: { reason: 'gone' } },
  ]);
  const audit = await db
    .selectFrom('audit')
    .select(['action', 'actor_kind'])
    .where('subject_id', '=', hook.id)
    .execute();
  expect(audit).toEqual([{ action: 'webhook.disable', actor_kind: 'system' }]);
  expect(receiver.received).toHaveLength(1);
});

test('what is given up is on the list of the dead, told to others, and can be had again', async () => {
  await webhooks.stop();
  webhooks = await runWebhooks(database, { giveUpAfterMs: 300 });
  const hook = await endpoint();
  await makeEndpoint(db, hook.workspaceId, { url: other.url, types: ['webhook.*'] });
  receiver.behave((response) => void response.writeHead(503).end());
  await happen(db, hook.workspaceId, 3);
  const [told] = await other.until(1);
  expect(JSON.parse(told?.body ?? '')).toMatchObject({
    type: 'webhook.dead_lettered',
    data: { subjectId: hook.id, data: { firstSeq: 1, lastSeq: 3, count: 3 } },
  });
  const dead = await listDeliveries(db, {
    webhookId: hook.id,
    before: null,
    limit: 10,
    state: 'dead',
  });
  expect(dead.map(({ seq }) => seq)).toEqual([3, 2, 1]);
  expect(dead.at(0)).toMatchObject({ attempts: 0, status: null });
  await look(hook.id, { position: 4 });
  receiver.behave(answerOk);
  const before = receiver.received.length;
  await db.transaction().execute((tx) => replayWebhook(tx, hook.id, 2));
  const replayed = (await receiver.until(before + 2)).slice(before);
  expect(replayed.map(({ id }) => id)).toEqual([`${hook.id}:2`, `${hook.id}:3`]);
  await expect
    .poll(async () => (await deliveries(hook.id)).map(({ state }) => state), { timeout: 10_000 })
    .toEqual(['delivered', 'delivered', 'dead']);
  await webhooks.stop();
  webhooks = await runWebhooks(database, { timeoutMs: 1_000 });
});

test('while a secret is replaced both sign, afterwards the new one alone', async () => {
  const hook = await endpoint();
  const secret = makeWebhookSecret();
  const rotation = { id: hook.id, secret: Buffer.from(secret), secretRequest: 'r1' };
  expect(await rotateSecret(db, { ...rotation, overlapMs: 60_000 })).toBe(true);
  expect(await rotateSecret(db, { ...rotation, overlapMs: 60_000 })).toBe(false);
  await happen(db, hook.workspaceId);
  const [both] = await receiver.until(1);
  expect(String(both?.headers['webhook-signature']).split(' ')).toHaveLength(2);
  for (const known of [hook.secret, secret]) {
    expect(both && checkReceived(both, [known])).toMatchObject({ kind: 'valid' });
  }
  await db
    .updateTable('webhook')
    .set({ old_secret_until: new Date(Date.now() - 1_000) })
    .execute();
  await happen(db, hook.workspaceId);
  const [, alone] = await receiver.until(2);
  expect(alone && checkReceived(alone, [secret])).toMatchObject({ kind: 'valid' });
  expect(alone && checkReceived(alone, [hook.secret])).toMatchObject({ reason: 'signature' });
});

test('a disabled endpoint is told nothing, and goes on with what happens after it is enabled', async () => {
  const hook = await endpoint();
  await change(hook, { enabled: false });
  await happen(db, hook.workspaceId, 5);
  await change(hook, { enabled: true });
  await happen(db, hook.workspaceId);
  const told = await receiver.until(1);
  expect(told.map(({ id }) => seqOf(id))).toEqual([6]);
});

test('disabling in mid-way stops what waits, and what is under way does not move it on', async () => {
  const hook = await endpoint();
  const held = Promise.withResolvers<void>();
  receiver.behave((response) => void held.promise.then(() => response.writeHead(200).end()));
  await happen(db, hook.workspaceId, 3);
  await receiver.until(1);
  await change(hook, { enabled: false });
  held.resolve();
  await expect
    .poll(() => deliveries(hook.id), { timeout: 10_000 })
    .toMatchObject([{ seq: 1, state: 'delivered' }]);
  expect(await readCursor(db, webhookCursor(hook.id))).toBe(0);
  expect(receiver.received).toHaveLength(1);
});

test('what is changed in mid-way holds from the next event on', async () => {
  const hook = await endpoint();
  const held = Promise.withResolvers<void>();
  receiver.behave((response) => void held.promise.then(() => response.writeHead(200).end()));
  await happen(db, hook.workspaceId, 3);
  await receiver.until(1);
  const secret = makeWebhookSecret();
  const rotation = { id: hook.id, secret: Buffer.from(secret), secretRequest: 'r', overlapMs: 0 };
  await rotateSecret(db, rotation);
  await change(hook, { url: other.url });
  held.resolve();
  const told = await other.until(2);
  expect(told.map(({ id }) => seqOf(id))).toEqual([2, 3]);
  expect(told.map((one) => checkReceived(one, [secret]).kind)).toEqual(['valid', 'valid']);
  expect(receiver.received).toHaveLength(1);
});

test('a deleted endpoint takes what waits with it', async () => {
  const hook = await endpoint();
  receiver.behave((response) => void response.writeHead(500).end());
  await happen(db, hook.workspaceId, 3);
  await receiver.until(2);
  await db.transaction().execute((tx) => deleteWebhook(tx, hook.id));
  expect(await getWebhook(db, hook.id)).toBeNull();
  const next = await makeEndpoint(db, hook.workspaceId, { url: other.url });
  await happen(db, hook.workspaceId);
  await other.until(1);
  expect((await other.until(1)).map(({ id }) => id)).toEqual([`${next.id}:4`]);
  const told = receiver.received.length;
  // What it left behind goes with the next purge, however young.
  const purge = { kind: 'webhook_delivery', retention: RETENTION, limit: 100 } as const;
  expect(await purgeBatch(db, purge)).toBe(1);
  expect(await deliveries(hook.id)).toEqual([]);
  expect(await deliveries(next.id)).toHaveLength(1);
  expect(receiver.received).toHaveLength(told);
});

test('endpoints hear of their own workspace only', async () => {
  const mine = await endpoint();
  const workspaceId = await makeWorkspace(db);
  const theirs = await makeEndpoint(db, workspaceId, { url: other.url });
  await happen(db, mine.workspaceId, 2);
  await happen(db, workspaceId);
  await receiver.until(2);
  await other.until(1);
  expect(receiver.received.every(({ id }) => id.startsWith(mine.id))).toBe(true);
  expect(other.received.every(({ id }) => id.startsWith(theirs.id))).toBe(true);
});

test('of two processes one delivers, and the other goes on when the first has stopped', async () => {
  const second = await runWebhooks(database);
  const hook = await endpoint();
  await happen(db, hook.workspaceId, 20);
  await receiver.until(20);
  await webhooks.stop();
  webhooks = second;
  await happen(db, hook.workspaceId, 20);
  const told = await receiver.until(40);
  expect(told.map(({ id }) => seqOf(id))).toEqual(
    Array.from({ length: 40 }, (_, index) => index + 1),
  );
});
