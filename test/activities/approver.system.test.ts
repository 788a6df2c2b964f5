import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import { sql } from 'kysely';
import { afterAll, expect, test } from 'vitest';
import { createApprovalActivities } from '../../activities/approval.ts';
import type { Decision, SignedDecision } from '../../domain/approval.ts';
import type { GateNote } from '../../domain/gate.ts';
import { parseId } from '../../domain/id.ts';
import { SCOPES, type Role } from '../../domain/principal.ts';
import { DEFAULT_RISKS } from '../../domain/risk.ts';
import { getApproval, type Approval, type NewApproval } from '../../infra/db/queries/approval.ts';
import { insertKey } from '../../infra/db/queries/key.ts';
import {
  activateStandingApproval,
  proposeStandingApproval,
  revokeStandingApproval,
} from '../../infra/db/queries/standing-approval.ts';
import { listVotes } from '../../infra/db/queries/vote.ts';
import { sha256Hex } from '../../infra/digest.ts';
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
const deps = {
  db,
  temporal: new Client({ connection }),
  proofKey,
  log: pino({ level: 'silent' }),
  seal: (plain: string) => Buffer.from(plain),
  policy: createBuiltInPolicy(),
  risks: DEFAULT_RISKS,
};
const activities = createApprovalActivities(deps);
const trusting = createApprovalActivities({ ...deps, trustsTemporalUi: true });

async function makeUser(createdBy = 'test'): Promise<string> {
  const id = newId('user');
  await db.insertInto('user_account').values({ id, name: id, created_by: createdBy }).execute();
  return id;
}

interface Binding {
  readonly userId: string;
  readonly role: Role;
  readonly workspaceId: string;
  readonly contextId?: string;
  readonly by?: string;
}

async function bind({ userId, role, workspaceId, contextId, by = 'test' }: Binding): Promise<void> {
  await db
    .insertInto('role_binding')
    .values({
      id: newId('roleBinding'),
      user_id: userId,
      role,
      place: contextId === undefined ? 'workspace' : 'context',
      workspace_id: workspaceId,
      context_id: contextId ?? null,
      created_by: by,
    })
    .execute();
}

async function makeAdmin(workspaceId: string): Promise<string> {
  const userId = await makeUser();
  await bind({ userId, role: 'admin', workspaceId });
  return userId;
}

async function keyOf(userId: string, createdBy: string): Promise<string> {
  const id = newId('apiKey');
  await insertKey(db, {
    id,
    userId,
    createdBy,
    prefix: randomUUID(),
    hash: randomUUID(),
    name: id,
    role: 'admin',
    scopes: [...SCOPES],
    workspaceId: null,
    expiresAt: null,
  });
  return id;
}

async function link(userId: string, linkedBy: string): Promise<void> {
  await db
    .insertInto('identity')
    .values({
      id: newId('identity'),
      user_id: userId,
      kind: 'telegram',
      subject: randomUUID(),
      linked_by: linkedBy,
    })
    .execute();
}

async function question(more: Partial<NewApproval> = {}) {
  const workspaceId = await makeWorkspace(db);
  const requester = await makeAdmin(workspaceId);
  const other = await makeAdmin(workspaceId);
  // Whoever is made in this test before the question is made before it by the clock, too.
  await sql`update role_binding set created_at = now() - interval '1 hour'`.execute(db);
  await sql`update user_account set created_at = now() - interval '1 hour'`.execute(db);
  const agentId = await makeAgent(db, workspaceId, 'blocked');
  const approval = await makeApproval(
    db,
    { workspaceId, agentId },
    { risk: 'high', role: 'admin', requestedBy: requester, ...more },
  );
  return { workspaceId, requester, other, approval };
}

function vote(approval: Approval, principalId: string, more: Partial<Decision> = {}) {
  return activities.recordVote(signedVote(proofKey, approval, { principalId, ...more }));
}

const DENIED: GateNote = {
  verdict: 'deny',
  by: 'policy',
  rule: 'never',
  engine: 'cedar',
  version: 1,
  reason: '',
  standingId: null,
};
const GRANTED = { kind: 'decided', state: 'granted' };
const REJECTED = { kind: 'rejected' };

test('whoever asks by a key of his is the person who decides by a chat: he cannot approve himself', async () => {
  const { requester, other, workspaceId } = await question();
  const key = await keyOf(requester, requester);
  const agentId = await makeAgent(db, workspaceId, 'blocked');
  const asked = { risk: 'high', role: 'admin', requestedBy: key } as const;
  const approval = await makeApproval(db, { workspaceId, agentId }, asked);
  expect(await vote(approval, requester)).toMatchObject(REJECTED);
  expect(await vote(approval, other)).toMatchObject(GRANTED);
});

test('one person by two keys is no quorum', async () => {
  const { requester, other, workspaceId, approval } = await question({ quorum: 2 });
  expect(await vote(approval, other)).toEqual({ kind: 'counted', votes: 1, quorum: 2 });
  const key = await keyOf(other, other);
  expect(await vote(approval, key)).toMatchObject(REJECTED);
  expect(await vote(approval, requester)).toMatchObject(REJECTED);
  const third = await makeAdmin(workspaceId);
  await sql`update role_binding set created_at = now() - interval '1 hour'`.execute(db);
  await sql`update user_account set created_at = now() - interval '1 hour'`.execute(db);
  expect(await vote(approval, third)).toMatchObject(GRANTED);
});

test.each<[string, (is: { requester: string; workspaceId: string }) => Promise<string>]>([
  [
    'a user he makes',
    async ({ requester, workspaceId }) => {
      const userId = await makeUser(requester);
      await bind({ userId, role: 'admin', workspaceId });
      return userId;
    },
  ],
  [
    'a role he gives',
    async ({ requester, workspaceId }) => {
      const userId = await makeUser();
      await bind({ userId, role: 'admin', workspaceId, by: requester });
      return userId;
    },
  ],
  [
    'an identity he links',
    async ({ requester, workspaceId }) => {
      const userId = await makeAdmin(workspaceId);
      await link(userId, requester);
      return userId;
    },
  ],
  [
    'a key he makes for another user',
    async ({ requester, workspaceId }) => {
      const userId = await makeAdmin(workspaceId);
      await keyOf(userId, requester);
      return userId;
    },
  ],
  [
    'somebody whom somebody made for him',
    async ({ requester, workspaceId }) => {
      const friend = await makeUser(await keyOf(requester, requester));
      const userId = await makeUser(friend);
      await bind({ userId, role: 'admin', workspaceId });
      return userId;
    },
  ],
])('after the question nobody becomes a second person by %s', async (_what, make) => {
  const { requester, other, workspaceId, approval } = await question();
  const second = await make({ requester, workspaceId });
  expect(await vote(approval, second)).toMatchObject(REJECTED);
  expect(await vote(approval, other)).toMatchObject(GRANTED);
});

test('a role that holds in one context decides there and nowhere else', async () => {
  const { workspaceId, requester } = await question();
  const contexts = [newId('context'), newId('context')] as const;
  for (const id of contexts) {
    await db
      .insertInto('context')
      .values({
        id,
        slug: id,
        name: id,
        kind: 'plain',
        created_by: 'test',
        workspace_id: workspaceId,
      })
      .execute();
  }
  const userId = await makeUser();
  await bind({ userId, role: 'operator', workspaceId, contextId: contexts[0] });
  const agentId = await makeAgent(db, workspaceId, 'blocked');
  const ask = (contextId: string | null) =>
    makeApproval(db, { workspaceId, agentId }, { contextId, requestedBy: requester });
  expect(await vote(await ask(contexts[1]), userId)).toMatchObject(REJECTED);
  expect(await vote(await ask(null), userId)).toMatchObject(REJECTED);
  expect(await vote(await ask(contexts[0]), userId)).toMatchObject(GRANTED);
});

test('whoever was disabled since he voted counts no more', async () => {
  const { other, workspaceId, requester, approval } = await question({
    quorum: 2,
    risk: 'medium',
    role: 'operator',
  });
  const third = await makeAdmin(workspaceId);
  await sql`update role_binding set created_at = now() - interval '1 hour'`.execute(db);
  await sql`update user_account set created_at = now() - interval '1 hour'`.execute(db);
  await vote(approval, other);
  await sql`update user_account set disabled_at = now() where id = ${other}`.execute(db);
  expect(await vote(approval, third)).toEqual({ kind: 'counted', votes: 1, quorum: 2 });
  expect(await vote(approval, requester)).toMatchObject(GRANTED);
});

test('alone in a workspace one may approve oneself, and that is on record', async () => {
  const workspaceId = await makeWorkspace(db);
  const requester = await makeAdmin(workspaceId);
  const agentId = await makeAgent(db, workspaceId, 'blocked');
  const asked = { risk: 'high', role: 'admin', requestedBy: requester } as const;
  const approval = await makeApproval(db, { workspaceId, agentId }, asked);
  expect(await vote(approval, requester)).toMatchObject(GRANTED);
  const { rows } = await sql<{ self: boolean }>`
    select (canonical::jsonb->'detail'->>'selfApproved')::boolean as self from audit
    where subject_id = ${approval.id} and action = 'approval.vote'`.execute(db);
  expect(rows).toEqual([{ self: true }]);
});

test('the Temporal Web UI decides nothing, nor does a vote that only says it is the gate', async () => {
  const { approval } = await question();
  const kinds = ['temporal-ui', 'policy', 'standing'] as const;
  for (const principalKind of kinds)
    expect(await vote(approval, 'policy:any', { principalKind })).toMatchObject(REJECTED);
  expect((await getApproval(db, approval.id))?.state).toBe('open');
});

test('what the policy denies nobody grants, also where its own vote never came', async () => {
  const gate: GateNote = {
    verdict: 'deny',
    by: 'policy',
    rule: 'never',
    engine: 'cedar',
    version: 1,
    reason: '',
    standingId: null,
  };
  const { approval, other } = await question({ gate });
  expect(await vote(approval, other)).toMatchObject(REJECTED);
  expect(await vote(approval, 'policy:other', { principalKind: 'policy' })).toMatchObject(REJECTED);
  const refused = await vote(approval, 'policy:never', {
    principalKind: 'policy',
    verdict: 'refuse',
  });
  expect(refused).toMatchObject({ kind: 'decided', state: 'refused' });
});

/** An approval that a standing approval has answered, whose vote has not come yet. */
async function matched(more: Partial<NewApproval> = {}) {
  const { workspaceId, other, requester } = await question();
  const template = `{"is":"${randomUUID()}"}`;
  const standingId = newId('standingApproval');
  const agentId = await makeAgent(db, workspaceId, 'blocked');
  const source = await makeApproval(db, { workspaceId, agentId });
  await proposeStandingApproval(db, {
    id: standingId,
    workspaceId,
    approvalId: source.id,
    template,
    createdBy: other,
    title: 'title',
    templateHash: sha256Hex(template),
    risk: 'medium',
    days: 1,
    recipients: ['con/1'],
  });
  await activateStandingApproval(db, {
    id: standingId,
    approvalId: source.id,
    createdBy: other,
  });
  const gate: GateNote = {
    verdict: 'allow',
    by: 'standing',
    rule: 'default',
    engine: 'built-in',
    version: 0,
    reason: '',
    standingId,
  };
  const approval = await makeApproval(
    db,
    { workspaceId, agentId },
    { gate, template, requestedBy: requester, recipients: ['con/1'], quorum: 3, ...more },
  );
  const cast = () => vote(approval, standingId, { principalKind: 'standing' });
  return { approval, standingId, cast, other };
}

test('a standing approval decides alone, whatever quorum people would need', async () => {
  const { cast } = await matched();
  expect(await cast()).toMatchObject(GRANTED);
});

test.each<[string, Partial<NewApproval>]>([
  ['other recipients', { recipients: ['con/1', 'con/2'] }],
  ['another template', { template: '{"is":"another"}' }],
  ['a greater risk', { risk: 'high', role: 'admin' }],
])('between match and vote it is looked at again: %s', async (_what, more) => {
  const { cast, approval } = await matched(more);
  expect(await cast()).toMatchObject(REJECTED);
  expect((await getApproval(db, approval.id))?.state).toBe('open');
});

test('between match and vote it is revoked, expired, or its maker gone: people decide', async () => {
  const revoked = await matched();
  await revokeStandingApproval(db, { id: revoked.standingId, by: revoked.other });
  expect(await revoked.cast()).toMatchObject(REJECTED);
  const expired = await matched();
  await sql`update standing_approval set expires_at = now() where id = ${expired.standingId}`.execute(
    db,
  );
  expect(await expired.cast()).toMatchObject(REJECTED);
  const gone = await matched();
  await sql`update user_account set disabled_at = now() where id = ${gone.other}`.execute(db);
  expect(await gone.cast()).toMatchObject(REJECTED);
});

test('revoked and used at the same moment, it is one of both and never half', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { cast, approval, standingId, other } = await matched();
    const [cast1, revoked] = await Promise.all([
      cast(),
      revokeStandingApproval(db, { id: standingId, by: other }),
    ]);
    expect(revoked).not.toBeNull();
    const state = (await getApproval(db, approval.id))?.state;
    expect(cast1.kind === 'decided' ? 'granted' : 'open').toBe(state);
  }
});

/** As somebody types it into the Web UI, who has nothing to sign with. */
function typed(approval: Approval, more: Partial<SignedDecision> = {}) {
  const decision: SignedDecision = {
    approvalId: approval.id,
    digest: approval.digest,
    verdict: 'grant',
    optionLabel: null,
    note: null,
    principalKind: 'temporal-ui',
    principalId: 'temporal-ui',
    issuedAtMs: 0,
    nonce: 'none',
    mac: 'none',
    ...more,
  };
  return { decision, workspaceId: parseId('workspace', approval.workspaceId) };
}

test('the Temporal Web UI decides where it is trusted, once, and not what was signed by nobody else', async () => {
  const { approval } = await question({ risk: 'medium', role: 'operator' });
  const message = typed(approval);
  expect(await activities.recordVote(message)).toMatchObject(REJECTED);
  expect(await trusting.recordVote(typed(approval, { principalKind: 'user' }))).toMatchObject(
    REJECTED,
  );
  expect(await trusting.recordVote(typed(approval, { digest: 'another' }))).toMatchObject(REJECTED);
  expect(await trusting.recordVote(message)).toMatchObject(GRANTED);
  expect(await trusting.recordVote(message)).toMatchObject({ state: 'granted' });
  const votes = await listVotes(db, approval.id);
  expect(votes.map(({ principalId, nonce }) => [principalId, nonce])).toEqual([
    ['temporal-ui', `temporal-ui:${approval.id}`],
  ]);
});

test.each<[string, Partial<NewApproval>, Partial<SignedDecision>]>([
  ['a high risk', {}, {}],
  ['what an admin decides', { risk: 'medium', role: 'admin' }, {}],
  ['another option', { risk: 'medium', role: 'operator' }, { optionLabel: 'Always' }],
  ['what the policy denies', { risk: 'medium', role: 'operator', gate: DENIED }, {}],
])('the Temporal Web UI never decides %s', async (_what, asked, more) => {
  const { approval } = await question(asked);
  expect(await trusting.recordVote(typed(approval, more))).toMatchObject(REJECTED);
  expect((await getApproval(db, approval.id))?.state).toBe('open');
});

test('of a quorum the Temporal Web UI is one, and none once it is trusted no more', async () => {
  const { approval, other } = await question({ risk: 'medium', role: 'operator', quorum: 2 });
  expect(await trusting.recordVote(typed(approval))).toMatchObject({ kind: 'counted', votes: 1 });
  expect(await vote(approval, other)).toMatchObject({ kind: 'counted', votes: 1 });
});
