import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { advanceCursor } from '../../../infra/db/queries/cursor.ts';
import { appendEvents, eventRange } from '../../../infra/db/queries/event.ts';
import { insertFacts, readFacts } from '../../../infra/db/queries/fact.ts';
import { insertMemoryNote, recallMemory } from '../../../infra/db/queries/memory.ts';
import { insertMessage, listMessages } from '../../../infra/db/queries/message.ts';
import { purgeAll, purgeBatch } from '../../../infra/db/queries/purge.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { makeAgent, newId } from '../../support/records.ts';

checkLeaks();
const { db } = await createTestDatabase();

const retention = {
  eventDays: 1,
  factDays: 1,
  inputDays: 1,
  loginDays: 1,
  promptDays: 1,
  slotDays: 1,
  usageDays: 1,
  chatDays: 1,
};

function events(count: number, purgeAfter: Date) {
  return Array.from({ length: count }, (_, index) => ({
    key: `${purgeAfter.getTime()}-${index}`,
    type: 'agent.warning' as const,
    subjectId: 'x',
    data: {},
    purgeAfter,
  }));
}

test('events go after their time, in batches, but not before their readers have read them', async () => {
  const workspaceId = await makeWorkspace(db);
  await appendEvents(db, workspaceId, events(5, new Date(0)));
  await appendEvents(db, workspaceId, events(2, new Date(Date.now() + 60_000)));
  await advanceCursor(db, { name: `reader:${workspaceId}`, seq: 3, workspaceId });
  expect(await purgeBatch(db, { kind: 'event', retention, limit: 2 })).toBe(2);
  expect(await purgeAll(db, retention)).toMatchObject({ event: 1 });
  expect(await eventRange(db, workspaceId)).toEqual({ firstSeq: 4, lastSeq: 7 });
  await advanceCursor(db, { name: `reader:${workspaceId}`, seq: 7 });
  expect(await purgeAll(db, retention)).toMatchObject({ event: 2 });
  expect(await eventRange(db, workspaceId)).toEqual({ firstSeq: 6, lastSeq: 7 });
  expect(await purgeAll(db, retention)).toMatchObject({ event: 0 });
});

test('events without a time of their own go by age', async () => {
  const workspaceId = await makeWorkspace(db);
  const [event] = events(1, new Date(0));
  if (event === undefined) throw new Error('There is one.');
  const { purgeAfter: _none, ...plain } = event;
  await appendEvents(db, workspaceId, [
    { ...plain, key: 'old' },
    { ...plain, key: 'young' },
  ]);
  await sql`update event set at = now() - interval '2 days'
    where workspace_id = ${workspaceId} and key = 'old'`.execute(db);
  expect(await purgeAll(db, retention)).toMatchObject({ event: 1 });
  expect(await eventRange(db, workspaceId)).toEqual({ firstSeq: 2, lastSeq: 2 });
});

test('a workspace whose events are all gone still continues its numbers', async () => {
  const workspaceId = await makeWorkspace(db);
  await appendEvents(db, workspaceId, events(3, new Date(0)));
  await purgeAll(db, retention);
  expect(await eventRange(db, workspaceId)).toEqual({ firstSeq: 4, lastSeq: 3 });
  const [next] = events(1, new Date(Date.now() + 60_000));
  expect(await appendEvents(db, workspaceId, next === undefined ? [] : [next])).toMatchObject({
    firstSeq: 4,
  });
});

test('facts of a living agent’s epoch stay, those of ended agents and left epochs go', async () => {
  const workspaceId = await makeWorkspace(db);
  const living = await makeAgent(db, workspaceId);
  const ended = await makeAgent(db, workspaceId);
  await sql`update agent set epoch = 1 where id = ${living}`.execute(db);
  await sql`update agent set ended_at = now() - interval '2 days' where id = ${ended}`.execute(db);
  const told = [
    { agentId: living, epoch: 0 },
    { agentId: living, epoch: 1 },
    { agentId: ended, epoch: 0 },
  ].map((of, index) => ({
    ...of,
    seq: 1,
    hostSeq: index + 1,
    at: '2020-01-01T00:00:00.000Z',
    fact: { kind: 'ready' } as const,
  }));
  await insertFacts(db, { cursorName: 'h', facts: told });
  expect(await purgeAll(db, retention)).toMatchObject({ fact: 2 });
  const kept = await readFacts(db, { agentId: living, epoch: 1, after: 0, limit: 10 });
  expect(kept).toHaveLength(1);
});

test('old messages go, open questions stay; own notes go with their agent, shared ones stay', async () => {
  const workspaceId = await makeWorkspace(db);
  const agentId = await makeAgent(db, workspaceId);
  for (const kind of ['message', 'question'] as const) {
    const id = newId('message');
    await insertMessage(db, { id, workspaceId, agentId, kind, text: kind, record: {} });
  }
  for (const scope of ['agent', 'workspace'] as const) {
    const id = newId('memory');
    await insertMemoryNote(db, { id, workspaceId, agentId, scope, text: scope, record: {} });
  }
  expect(await purgeAll(db, retention)).toMatchObject({ message: 0, memory_note: 0 });
  await sql`update message set created_at = now() - interval '2 days'`.execute(db);
  await sql`update agent set ended_at = now() - interval '2 days' where id = ${agentId}`.execute(
    db,
  );
  expect(await purgeAll(db, retention)).toMatchObject({ message: 1, memory_note: 1 });
  const kept = await listMessages(db, { workspaceId, after: 0, limit: 10 });
  expect(kept.map(({ text }) => text)).toEqual(['question']);
  const found = await recallMemory(db, { workspaceId, agentId, words: [], limit: 10 });
  expect(found.map(({ text }) => text)).toEqual(['workspace']);
});
