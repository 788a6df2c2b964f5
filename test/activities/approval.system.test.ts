import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { createApprovalActivities } from '../../activities/approval.ts';
import { tallyVotes } from '../../activities/tally.ts';
import type { Decision } from '../../domain/approval.ts';
import { SCOPES, type Role } from '../../domain/principal.ts';
import { DEFAULT_RISKS } from '../../domain/risk.ts';
import { getApproval, type Approval } from '../../infra/db/queries/approval.ts';
import { insertKey, revokeKey } from '../../infra/db/queries/key.ts';
import { listVotes } from '../../infra/db/queries/vote.ts';
import { createBuiltInPolicy } from '../../infra/policy/built-in.ts';
import { checkLeaks } from '../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { signedVote } from '../support/votes.ts';
import { makeAgent, makeApproval, newId } from '../support/records.ts';

checkLeaks();
const { db } = await createTestDatabase();
const proofKey = Buffer.alloc(32, 7);
/** Nobody waits in these tests, and a vote counts whether or not its asker could be woken. */
const connection = Connection.lazy({ address: '127.0.0.1:1' });
afterAll(() => connection.close());
const temporal = new Client({ connection });
const activities = createApprovalActivities({
  db,
  temporal,
  proofKey,
  log: pino({ level: 'silent' }),
  seal: (plain) => Buffer.from(plain),
  policy: createBuiltInPolicy(),
  risks: DEFAULT_RISKS,
});

async function makeKey(workspaceId: string, createdBy: string, role: Role = 'admin') {
  const id = newId('apiKey');
  await insertKey(db, {
    id,
    prefix: randomUUID(),
    hash: randomUUID(),
    name: id,
    role,
    scopes: [...SCOPES],
    workspaceId,
    createdBy,
    expiresAt: null,
  });
  return id;
}

async function question(quorum: number, risk: 'medium' | 'high') {
  const workspaceId = await makeWorkspace(db);
  const requester = await makeKey(workspaceId, 'bootstrap');
  const other = await makeKey(workspaceId, requester);
  const agentId = await makeAgent(db, workspaceId, 'blocked');
  const asker = { workspaceId, agentId };
  const approval = await makeApproval(db, asker, { quorum, risk, requestedBy: requester });
  return { workspaceId, requester, other, approval };
}

function vote(approval: Approval, principalId: string, more: Partial<Decision> = {}) {
  return activities.recordVote(signedVote(proofKey, approval, { principalId, ...more }));
}

test('whoever asked does not become somebody else by making a key, nor by a key of that key', async () => {
  const { workspaceId, requester, other, approval } = await question(1, 'high');
  const second = await makeKey(workspaceId, requester);
  const third = await makeKey(workspaceId, second);
  for (const key of [requester, second, third])
    expect((await vote(approval, key)).kind).toBe('rejected');
  expect(await vote(approval, other)).toMatchObject({ kind: 'decided', state: 'granted' });
});

test('one person with a key made for the occasion is no quorum', async () => {
  const { workspaceId, other, approval } = await question(2, 'medium');
  expect(await vote(approval, other)).toEqual({ kind: 'counted', votes: 1, quorum: 2 });
  const second = await makeKey(workspaceId, other);
  expect((await vote(approval, second)).kind).toBe('rejected');
  expect((await getApproval(db, approval.id))?.state).toBe('open');
});

test('a key that was revoked after its vote counts no more', async () => {
  const { workspaceId, other, requester, approval } = await question(2, 'medium');
  const third = await makeKey(workspaceId, 'bootstrap');
  await vote(approval, other);
  await revokeKey(db, other);
  expect(await vote(approval, third)).toEqual({ kind: 'counted', votes: 1, quorum: 2 });
  expect(await vote(approval, requester)).toMatchObject({ kind: 'decided', state: 'granted' });
});

test('of two grants only what both named is granted', async () => {
  const { other, requester, approval } = await question(2, 'medium');
  await vote(approval, requester);
  const widened = await vote(approval, other, { optionLabel: 'Yes, and never ask again' });
  expect(widened).toMatchObject({ kind: 'decided', state: 'granted' });
  const tally = tallyVotes(approval, await listVotes(db, approval.id), proofKey);
  expect(tally.deciding?.optionLabel).toBeNull();
});
