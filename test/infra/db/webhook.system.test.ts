import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { WorkspaceId } from '../../../domain/id.ts';
import { eventRange } from '../../../infra/db/queries/event.ts';
import { holdLease } from '../../../infra/db/queries/lease.ts';
import { purgeAll, type Retention } from '../../../infra/db/queries/purge.ts';
import {
  beginAttempt,
  findDueWebhooks,
  readOutlook,
  recordDelivered,
  recordFailed,
  skipTo,
} from '../../../infra/db/queries/webhook-delivery.ts';
import { receive } from '../../../infra/db/queries/webhook-receipt.ts';
import {
  deleteWebhook,
  disableWebhook,
  getWebhook,
  insertWebhook,
  replayWebhook,
} from '../../../infra/db/queries/webhook.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { newId } from '../../support/records.ts';
import { happen, makeEndpoint } from '../../support/webhooks.ts';

checkLeaks();
const { db } = await createTestDatabase();

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

async function setting() {
  const workspaceId = await makeWorkspace(db);
  const { id } = await makeEndpoint(db, workspaceId, { url: 'http://127.0.0.1:9/' });
  const lease = await holdLease(db, { name: 'test', holder: 'test', leaseMs: 60_000 });
  if (lease === null) throw new Error('Nobody else holds it.');
  return { workspaceId, id, lease };
}

async function outlookOf(id: string) {
  const outlook = await readOutlook(db, id);
  if (outlook === null) throw new Error('It is to be told.');
  return outlook;
}

const EVENT = { seq: 1, type: 'agent.warning' } as const;
const DONE = { status: 200, error: null, durationMs: 1 };

test('an endpoint is due while events lie before it, and not while it is to be left alone', async () => {
  const { workspaceId, id } = await setting();
  expect(await findDueWebhooks(db, 100)).not.toContain(id);
  await happen(db, workspaceId, 2);
  expect(await findDueWebhooks(db, 100)).toContain(id);
  const { generation } = await outlookOf(id);
  const delivery = { webhookId: id, generation, eventSeq: 1 };
  await recordFailed(db, delivery, { ...DONE, error: 'no', retryInMs: 60_000 });
  expect(await findDueWebhooks(db, 100)).not.toContain(id);
  expect(await readOutlook(db, id)).toBeNull();
  await recordDelivered(db, { ...delivery, eventSeq: 2 }, DONE);
  expect(await getWebhook(db, id)).toMatchObject({ position: 2, failures: 0, nextAttemptAt: null });
});

test('nothing is begun by who has no lease any more, or for an endpoint that was changed since it was read', async () => {
  const { workspaceId, id, lease } = await setting();
  await happen(db, workspaceId);
  const outlook = await outlookOf(id);
  const attempt = { outlook, event: EVENT, lease };
  expect(await beginAttempt(db, attempt)).toBe(true);
  expect(await beginAttempt(db, attempt)).toBe(true);
  const fence = lease.fence - 1;
  expect(await beginAttempt(db, { ...attempt, lease: { ...lease, fence } })).toBe(false);
  await db.transaction().execute((tx) => replayWebhook(tx, id, 1));
  expect(await beginAttempt(db, attempt)).toBe(false);
  expect(await beginAttempt(db, { ...attempt, outlook: await outlookOf(id) })).toBe(true);
});

test('what was under way when the place was set anew moves it no more', async () => {
  const { workspaceId, id } = await setting();
  await happen(db, workspaceId, 5);
  const { generation } = await outlookOf(id);
  await recordDelivered(db, { webhookId: id, generation, eventSeq: 4 }, DONE);
  await db.transaction().execute((tx) => replayWebhook(tx, id, 2));
  const late = { webhookId: id, generation, eventSeq: 5 };
  await recordDelivered(db, late, DONE);
  await skipTo(db, late);
  await recordFailed(db, late, { ...DONE, retryInMs: 60_000 });
  expect(await getWebhook(db, id)).toMatchObject({ position: 1, failures: 0 });
});

test('the place never goes back by a delivery that is written down late', async () => {
  const { workspaceId, id } = await setting();
  await happen(db, workspaceId, 5);
  const { generation } = await outlookOf(id);
  for (const eventSeq of [4, 3]) {
    await recordDelivered(db, { webhookId: id, generation, eventSeq }, DONE);
    await skipTo(db, { webhookId: id, generation, eventSeq });
  }
  expect((await outlookOf(id)).position).toBe(4);
});

test('events wait for an endpoint that was not told yet, and not for one that is disabled or deleted', async () => {
  const { workspaceId, id } = await setting();
  const gone = await makeEndpoint(db, workspaceId, { url: 'http://127.0.0.1:9/' });
  await happen(db, workspaceId, 3);
  await sql`update event set at = now() - interval '2 days'`.execute(db);
  await purgeAll(db, RETENTION);
  expect(await eventRange(db, workspaceId)).toEqual({ firstSeq: 1, lastSeq: 3 });
  await db.transaction().execute((tx) => deleteWebhook(tx, gone.id));
  expect(await disable(id)).toBe(true);
  expect(await disable(id)).toBe(false);
  await purgeAll(db, RETENTION);
  expect(await eventRange(db, workspaceId)).toEqual({ firstSeq: 4, lastSeq: 3 });
});

function disable(id: string): Promise<boolean> {
  return db.transaction().execute((tx) => disableWebhook(tx, { id, reason: 'gone' }));
}

async function makeInbound(workspaceId: WorkspaceId): Promise<string> {
  const id = newId('webhook');
  const webhook = {
    id,
    workspaceId,
    direction: 'inbound' as const,
    url: null,
    format: 'event' as const,
    types: [],
    description: '',
    secret: Buffer.from('s'),
    secretRequest: id,
    createdBy: 'test',
  };
  await db.transaction().execute((tx) => insertWebhook(tx, webhook, 10));
  return id;
}

test('receipts are remembered as long as was said, and those of a deleted endpoint go', async () => {
  const workspaceId = await makeWorkspace(db);
  const [kept, deleted] = [await makeInbound(workspaceId), await makeInbound(workspaceId)];
  const take = (webhookId: string, messageId: string, keepMs: number) =>
    db
      .transaction()
      .execute((tx) =>
        receive(
          tx,
          { webhookId, messageId, digest: 'd', subject: 's', sentAt: new Date(), keepMs },
          60_000,
        ),
      );
  expect(await take(kept, 'short', -1_000)).toMatchObject({ kind: 'new' });
  expect(await take(kept, 'long', 60_000)).toMatchObject({ kind: 'new', isNews: false });
  expect(await take(deleted, 'long', 60_000)).toMatchObject({ kind: 'new' });
  await db.transaction().execute((tx) => deleteWebhook(tx, deleted));
  expect(await take(deleted, 'other', 60_000)).toEqual({ kind: 'gone' });
  expect(await purgeAll(db, RETENTION)).toMatchObject({ webhook_receipt: 2 });
  expect(await take(kept, 'long', 60_000)).toEqual({ kind: 'seen' });
});
