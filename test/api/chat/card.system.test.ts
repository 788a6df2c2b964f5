import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startChatNotices } from '../../../api/chat/notices.ts';
import { parseId, type AgentId } from '../../../domain/id.ts';
import { appendRecord } from '../../../infra/db/queries/event.ts';
import { getContext } from '../../../infra/db/queries/context.ts';
import { openLogin } from '../../../infra/db/queries/login.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { makeAgent, makeApproval, newId } from '../../support/records.ts';
import { openTestApi } from '../harness.ts';
import {
  direct,
  factTeller,
  inWorkspace,
  makeConnector,
  makeGroup,
  makePerson,
  newNumber,
  openChat,
  type Person,
  type Said,
} from './chat-harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
const chat = openChat(api);
const facts = factTeller(api);
const notices = startChatNotices(chat.deps);
beforeAll(() => api.work());
afterAll(async () => {
  await notices.stop();
  await api.close();
});

const workspace = await makeWorkspace(db);
const connectorId = await makeConnector(db, 'telegram');
const hub = await makeGroup(db, { workspaceId: workspace, connectorId, isHub: true });
const group = await makeGroup(db, { workspaceId: workspace, connectorId });
const asker = await makePerson(
  { db, network: 'telegram' },
  [inWorkspace('operator', workspace)],
  'Olga',
);
const other = await makePerson(
  { db, network: 'telegram' },
  [inWorkspace('operator', workspace)],
  'Otto',
);
const viewer = await makePerson(
  { db, network: 'telegram' },
  [inWorkspace('viewer', workspace)],
  'Vera',
);
const stranger: Person = { subject: newNumber(), displayName: 'Olga', userId: null };

async function findSaid(holds: (said: Said) => boolean): Promise<Said> {
  let found: Said | undefined;
  await expect
    .poll(
      async () => {
        found = (await chat.posts()).find(holds);
        return found !== undefined;
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe(true);
  if (found === undefined) throw new Error('It was found.');
  return found;
}

/** As the network does: the outbox learns the number of the message. */
async function deliver(said: Said, messageId = newNumber()): Promise<string> {
  await db
    .updateTable('post')
    .set({ message_id: messageId, state: 'sent' })
    .where('key', '=', said.key)
    .execute();
  return messageId;
}

async function inGroups(): Promise<readonly Said[]> {
  return (await chat.posts()).filter(({ to }) => to.chatId.startsWith('-'));
}

let agentCount = 0;

/** Asked for in the group, and ready. */
async function spawn(
  who: Person = asker,
): Promise<{ readonly agentId: AgentId; readonly name: string }> {
  const name = `worker${(agentCount += 1)}`;
  await chat.command(group, who, `/spawn claude ${name}`);
  const row = await db
    .selectFrom('agent')
    .select('id')
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  const agentId = parseId('agent', row.id);
  await expect
    .poll(() => api.host.started.some((session) => session.agentId === agentId), {
      timeout: 20_000,
    })
    .toBe(true);
  await facts.tell(agentId, { kind: 'started', pid: 1, isolation: { isolated: true } });
  await facts.tell(agentId, { kind: 'ready' });
  await findSaid(({ text, to }) => text === `${name} is ready.` && to.chatId === group.chatId);
  return { agentId, name };
}

async function ask(subject: string, who: Person = asker) {
  const agent = await spawn(who);
  await facts.ask(agent.agentId, subject);
  const card = await findSaid(
    ({ to, text, buttons }) =>
      to.chatId === hub.chatId && text.includes(agent.name) && buttons.length > 0,
  );
  const [row] = card.buttons;
  const approvalId = parseId('approval', row?.[0]?.data.split(':')[1]);
  return {
    ...agent,
    card,
    approvalId,
    approve: row?.[0]?.data ?? '',
    deny: row?.[1]?.data ?? '',
  };
}

async function stateOf(id: string): Promise<string> {
  const row = await db
    .selectFrom('approval')
    .select('state')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return row.state;
}

async function refusals(approvalId: string): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('audit')
    .select('canonical')
    .where('action', '=', 'chat.press_refused')
    .where('subject_id', '=', approvalId)
    .orderBy('seq')
    .execute();
  return rows.map(({ canonical }) => String(JSON.parse(canonical).detail.reason));
}

describe('a card', () => {
  test('shows who asks, for what, and who decides; its buttons carry no payload; it is changed when it is decided', async () => {
    const { card, approve, deny, approvalId, name, agentId } = await ask('make all');
    expect(card.text).toContain('Approval needed: medium risk');
    expect(card.text).toContain(`Asked by: ${name} (${agentId.slice(-6)}), for Olga`);
    expect(card.text).toContain('May decide: operator');
    expect(card.spans.at(-1)).toMatchObject({
      style: 'block',
      text: expect.stringContaining('"subject": "make all"'),
    });
    for (const data of [approve, deny]) {
      expect(Buffer.byteLength(data)).toBeLessThanOrEqual(64);
      expect(data).not.toContain('make');
    }
    // Where it was asked for, and once; the hub has the card.
    await findSaid(
      ({ to, text }) =>
        to.chatId === group.chatId && text.startsWith(`${name} waits for a decision`),
    );
    const waits = (await chat.posts()).filter(({ text }) => text.startsWith(`${name} waits`));
    expect(waits.map(({ to }) => to.chatId)).toEqual([group.chatId]);
    const messageId = await deliver(card);
    expect(await chat.pressed(hub, other, { data: approve, messageId })).toBe(
      `Approved: ${name}: make all`,
    );
    expect(await stateOf(approvalId)).toBe('granted');
    const edit = await findSaid(({ editsKey }) => editsKey === card.key);
    expect(edit.text).toMatch(/^Approved by Otto at \d{4}-/);
    expect(edit.buttons).toEqual([]);
    await expect
      .poll(() => api.host.delivered.filter((each) => each.agentId === agentId).length)
      .toBe(1);
    expect(await chat.pressed(hub, other, { data: approve, messageId })).toMatch(
      /^Too late. Approved by Otto/,
    );
    expect(await refusals(approvalId)).toEqual(['late']);
  });

  test('is refused with a reason, which the card then shows', async () => {
    const { card, deny, approvalId } = await ask('rm -rf /');
    expect(await chat.pressed(hub, other, { data: deny, reason: 'far too much' })).toContain(
      'Denied: ',
    );
    const edit = await findSaid(({ editsKey }) => editsKey === card.key);
    expect(edit.text).toMatch(/^Denied by Otto at [^:]*:\d\d UTC: far too much/);
    expect(await stateOf(approvalId)).toBe('refused');
  });

  test('does nothing for strangers, viewers, other chats and copies, and says so on record', async () => {
    const { card, approve, approvalId } = await ask('deploy');
    const messageId = await deliver(card);
    expect(await chat.pressed(hub, stranger, { data: approve, messageId })).toContain(
      'I do not know who you are',
    );
    expect(await chat.pressed(group, other, { data: approve, messageId })).toContain(
      'another chat',
    );
    expect(await chat.pressed(direct(connectorId, other), other, approve)).toContain(
      'another chat',
    );
    expect(await chat.pressed(hub, other, { data: approve, messageId: '999' })).toContain(
      'a copy of the card',
    );
    expect(await chat.pressed(hub, viewer, { data: approve, messageId })).toContain(
      'needs the role operator',
    );
    const forged = approve.replace(/[^:]+$/, 'A'.repeat(22));
    expect(await chat.pressed(hub, other, { data: forged, messageId })).toContain('used before');
    expect(await chat.pressed(hub, other, { data: 'a:nonsense', messageId })).toContain(
      'does nothing any more',
    );
    expect(await refusals(approvalId)).toEqual([
      'unpaired',
      'another chat',
      'another chat',
      'copied',
      'policy_denied',
      'reused',
    ]);
    expect(await stateOf(approvalId)).toBe('open');
    // Whoever was refused has not used the buttons up.
    expect(await chat.pressed(hub, other, { data: approve, messageId })).toContain('Approved');
  });

  test('counts one press of several at the same moment', async () => {
    const { approve, deny, approvalId } = await ask('both at once');
    const answers = await Promise.all([
      chat.pressed(hub, other, approve),
      chat.pressed(hub, asker, deny),
      chat.pressed(hub, other, deny),
    ]);
    expect(answers.filter((text) => /^(Approved|Denied)/.test(text)).length).toBeGreaterThanOrEqual(
      1,
    );
    const votes = await db
      .selectFrom('vote')
      .select('principal_id')
      .where('approval_id', '=', approvalId)
      .execute();
    expect(votes).toHaveLength(1);
  });

  test('works after a restart, and the same press handled again says and does it once', async () => {
    const { approve, approvalId, name } = await ask('again');
    const fresh = openChat(api);
    const key = `again-${approvalId}`;
    const first = await fresh.pressed(hub, other, { data: approve, key });
    expect(first).toContain(`Approved: ${name}`);
    const said = (await chat.posts()).length;
    expect(await fresh.pressed(hub, other, { data: approve, key })).toBe(first);
    expect((await chat.posts()).length - said).toBeLessThanOrEqual(1);
    // The process died after the vote and before its answer was stored.
    await db.deleteFrom('post').where('key', 'like', `%${key}:reply`).execute();
    await db.deleteFrom('idempotency').where('key', 'like', `%${key}`).execute();
    expect(await fresh.pressed(hub, other, { data: approve, key })).toBe(first);
    expect(await refusals(approvalId)).toEqual([]);
  });

  test('of a high risk is not decided by who asked for it, nor by an operator', async () => {
    const agentId = await makeAgent(db, workspace, 'blocked');
    const admin = await makePerson(
      { db, network: 'telegram' },
      [inWorkspace('admin', workspace)],
      'Adele',
    );
    await makePerson({ db, network: 'telegram' }, [inWorkspace('admin', workspace)], 'Anton');
    const title = `High ${newNumber()}`;
    const approval = await makeApproval(
      db,
      { workspaceId: workspace, agentId },
      { title, risk: 'high', role: 'admin', requestedBy: admin.userId },
    );
    const card = await findSaid(({ text, buttons }) => text.includes(title) && buttons.length > 0);
    expect(card.text).toContain('May decide: admin');
    const data = card.buttons[0]?.[0]?.data ?? '';
    expect(await chat.pressed(hub, asker, data)).toContain('needs the role admin');
    expect(await chat.pressed(hub, admin, data)).toContain('somebody else has to decide it');
    expect(await stateOf(approval.id)).toBe('open');
    // Nothing on a card permits more than this one request.
    expect(card.buttons.flat().map(({ label }) => label)).toEqual(['Approve', 'Deny']);
  });

  test('shows long payloads whole in a file, and hostile text as text', async () => {
    const agentId = await makeAgent(db, workspace, 'blocked');
    const evil = `${'x'.repeat(3_000)}\u202eevil\u200b \`\`\`\n# not a title\n@everyone`;
    const title = `=cmd()|' [a](http://x) \u202eabc e\u0301\u0301\u0301\u0301\u0301 ${newNumber()}`;
    const payload = JSON.stringify({ command: evil });
    await makeApproval(db, { workspaceId: workspace, agentId }, { title, payload });
    const number = title.slice(-9);
    const card = await findSaid(({ text, buttons }) => text.includes(number) && buttons.length > 0);
    expect(card.text).not.toMatch(/[\u202e\u200b]/);
    expect(card.text).toContain("=cmd()|' [a](http://x) abc");
    const file = card.file?.text ?? '';
    expect(card.file?.name).toMatch(/^approval-[0-9A-Z]{6}\.md$/);
    expect(file).toContain('\\u202eevil\\u200b');
    expect(file).toContain('x'.repeat(3_000));
    const fence = /^(`{4,})\n/m.exec(file)?.[1] ?? '';
    expect(fence.length).toBeGreaterThan(3);
    expect(file.trimEnd().endsWith(fence)).toBe(true);
  });

  test('says that it expired, and is shown in a hub that was made later', async () => {
    const agentId = await makeAgent(db, workspace, 'blocked');
    const title = `Waits ${newNumber()}`;
    const approval = await makeApproval(db, { workspaceId: workspace, agentId }, { title });
    const card = await findSaid(({ text, buttons }) => text.includes(title) && buttons.length > 0);
    const discord = await makeConnector(db, 'discord');
    const late = await makeGroup(db, { workspaceId: workspace, connectorId: discord });
    const boss = await makePerson(
      { db, network: 'discord' },
      [inWorkspace('admin', workspace)],
      'Boss',
    );
    const made = await chat.told(late, boss, '/admin-channel enable');
    expect(made.text).toContain('admin hub');
    const second = await findSaid(
      ({ text, connectorId: on }) => text.includes(title) && on === discord,
    );
    expect(second.buttons).toHaveLength(1);
    await appendRecord(db, {
      workspaceId: workspace,
      events: [
        { key: `r:${approval.id}`, type: 'approval.reminded', subjectId: approval.id, data: {} },
      ],
    });
    await findSaid(({ text }) => text.includes('still waits') && text.includes(title));
    await db
      .updateTable('approval')
      .set({ state: 'expired', decided_at: new Date() })
      .where('id', '=', approval.id)
      .execute();
    await appendRecord(db, {
      workspaceId: workspace,
      events: [
        { key: `x:${approval.id}`, type: 'approval.expired', subjectId: approval.id, data: {} },
      ],
    });
    for (const each of [card, second]) {
      const edit = await findSaid(({ editsKey }) => editsKey === each.key);
      expect(edit.text).toContain('Expired: nobody decided in time');
    }
    const off = await chat.told(late, boss, '/admin-channel disable');
    expect(off.text).toContain('no admin hub any more');
    expect(await getContext(db, late.contextId)).toMatchObject({ archivedAt: expect.any(Date) });
  });

  test('goes to the direct chats of those who asked for it and may decide, and counts there for them alone', async () => {
    const wants = await makePerson(
      { db, network: 'telegram' },
      [inWorkspace('operator', workspace)],
      'Wanda',
    );
    const room = direct(connectorId, wants);
    expect((await chat.told(room, wants, '/notify on')).text).toContain('From now on');
    await chat.command(direct(connectorId, viewer), viewer, '/notify on');
    const { name, approvalId } = await ask('for Wanda');
    const own = await findSaid(
      ({ to, text }) => to.chatId === wants.subject && text.includes(name),
    );
    const data = own.buttons[0]?.[0]?.data ?? '';
    expect(
      (await chat.posts()).filter(
        ({ to, text }) => to.chatId === viewer.subject && text.includes(name),
      ),
    ).toEqual([]);
    expect(await chat.pressed(room, other, data)).toContain('shown to somebody else');
    expect(await chat.pressed(room, wants, data)).toContain('Approved');
    expect(await stateOf(approvalId)).toBe('granted');
  });
});

describe('reports', () => {
  test('go where an agent was asked for, and a login goes to its owner alone, until it is done', async () => {
    const { agentId, name } = await spawn();
    await chat.command(direct(connectorId, asker), asker, '/whoami');
    await openLogin(db, {
      agentId,
      epoch: 1,
      method: 'device_code',
      needsPaste: true,
      sealed: api.deps.secrets.seal(
        JSON.stringify({ url: 'https://login.example/x', code: 'SECRET-1' }),
      ),
      expiresAt: null,
    });
    await appendRecord(db, {
      workspaceId: workspace,
      events: [
        {
          key: `login:${agentId}`,
          type: 'agent.login_required',
          subjectId: agentId,
          data: { epoch: 1, method: 'device_code', needsPaste: true },
        },
      ],
    });
    const card = await findSaid(
      ({ to, text }) => to.chatId === asker.subject && text.includes('SECRET-1'),
    );
    expect(card.text).toContain('https://login.example/x');
    await findSaid(
      ({ to, text }) =>
        to.chatId === group.chatId && text.includes(`${name} waits to be logged in`),
    );
    const leaked = (await chat.posts()).filter(
      ({ text, to }) => text.includes('SECRET-1') && to.chatId !== asker.subject,
    );
    expect(leaked).toEqual([]);
    const mirrored = await chat.say(direct(connectorId, asker), asker, 'SECRET-PASTE');
    expect(mirrored.map(({ text }) => text).join()).not.toContain('SECRET-PASTE');
    await facts.tell(agentId, { kind: 'busy' });
    const edit = await findSaid(({ editsKey }) => editsKey === card.key);
    expect(edit.text).toContain('Done: it is logged in.');
    const stored = await db.selectFrom('chat_message').select('text').execute();
    expect(JSON.stringify(stored)).not.toContain('SECRET');
    const events = await db.selectFrom('event').select('data').execute();
    expect(JSON.stringify(events)).not.toContain('SECRET');
  });

  test('tell what agents say, and questions are answered in the chat', async () => {
    const { agentId, name } = await spawn();
    const id = newId('message');
    await db
      .insertInto('message')
      .values({
        id,
        workspace_id: workspace,
        agent_id: agentId,
        kind: 'question',
        text: 'Left or right?',
        state: 'open',
      })
      .execute();
    await appendRecord(db, {
      workspaceId: workspace,
      events: [{ key: id, type: 'message.sent', subjectId: id, data: { agentId } }],
    });
    await findSaid(({ text }) => text.includes(`${name} asks: Left or right?`));
    const said = await chat.told(group, asker, `/answer ${name} left`);
    expect(said.text).toContain('has your answer');
    const none = await chat.told(group, asker, `/answer ${name} right`);
    expect(none.text).toContain('waits for no answer');
  });

  test('are said once, however often an event is looked at', async () => {
    // Those who asked for direct chats meanwhile are shown what is open still.
    const before = (await inGroups()).length;
    await db.deleteFrom('cursor').where('name', 'like', 'chat-notices:%').execute();
    const { name } = await spawn();
    const after = await inGroups();
    const mine = after.filter(({ text }) => text.includes(name)).length;
    expect(after.length - before).toBe(mine);
  });
});
