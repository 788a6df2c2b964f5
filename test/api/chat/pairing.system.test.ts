import { afterAll, describe, expect, test } from 'vitest';
import { startChatNotices } from '../../../api/chat/notices.ts';
import { createApp } from '../../../api/app.ts';
import { principalOfUser } from '../../../api/middleware/auth.ts';
import { askInside } from '../../../api/inside.ts';
import { CHAT_SCOPES } from '../../../domain/principal.ts';
import { findUserByIdentity } from '../../../infra/db/queries/identity.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { callAs, makeKey, openTestApi } from '../harness.ts';
import {
  direct,
  inWorkspace,
  makeConnector,
  makeGroup,
  makePerson,
  newNumber,
  openChat,
  type Person,
} from './chat-harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
const chat = openChat(api);
const notices = startChatNotices(chat.deps);
afterAll(async () => {
  await notices.stop();
  await api.close();
});

const workspace = await makeWorkspace(db);
const connectorId = await makeConnector(db, 'telegram');
const hub = await makeGroup(db, { workspaceId: workspace, connectorId, isHub: true });
const admin = callAs(api.app, await makeKey(db, { role: 'admin' }));
const local = callAs(api.app, await makeKey(db, { role: 'admin', workspaceId: workspace }));
const operator = callAs(api.app, await makeKey(db, { role: 'operator' }));

function newcomer(displayName = 'Nina'): Person {
  return { subject: newNumber(), displayName, userId: null };
}

async function pair(who: Person): Promise<string> {
  // What the log tells meanwhile is said there, too.
  const texts = (await chat.say(direct(connectorId, who), who, 'pair')).map(({ text }) => text);
  return /(?:[2-9A-Z]{4}-){2}[2-9A-Z]{4}/.exec(texts.join('\n'))?.[0] ?? '';
}

async function lookUp(token: string, as = admin) {
  return as('/v1/pairings/lookup', { body: { token } });
}

async function said(to: string, text: RegExp): Promise<void> {
  await expect
    .poll(
      async () =>
        (await chat.posts()).filter((post) => post.to.chatId === to).map((post) => post.text),
      {
        timeout: 10_000,
        interval: 20,
      },
    )
    .toEqual(expect.arrayContaining([expect.stringMatching(text)]));
}

describe('pairing', () => {
  test('links a number by its token, at once, and both sides hear of it', async () => {
    const nina = newcomer('Nina \u202egro.evil e\u0301\u0301\u0301\u0301');
    const token = await pair(nina);
    expect(token).not.toBe('');
    const shown = await lookUp(token.toLowerCase().replaceAll('-', ' '));
    expect(shown.body).toMatchObject({
      subject: nina.subject,
      state: 'shown',
      network: 'telegram',
      connectorId,
    });
    expect(String(shown.body['displayName'])).not.toMatch(/[\u202e]/);
    const made = await admin(`/v1/pairings/${String(shown.body['id'])}/approve`, {
      body: { newUser: { name: 'Nina' }, role: 'operator', workspaceId: workspace },
    });
    expect(made.body).toMatchObject({
      pairing: { state: 'linked' },
      user: { name: 'Nina' },
      identity: { subject: nina.subject },
      role: { role: 'operator', place: { kind: 'workspace' } },
    });
    expect((await chat.told(direct(connectorId, nina), nina, '/whoami')).text).toMatch(
      /You are Nina[^]*operator in/,
    );
    await said(nina.subject, /You are linked to Nina now/);
    await said(hub.chatId, /is linked to Nina/);
    expect((await lookUp(token)).status).toBe(404);
    const again = await admin(`/v1/pairings/${String(shown.body['id'])}/approve`, {
      body: { newUser: { name: 'Eve' } },
    });
    expect(again.status).toBe(409);

    const identity = await findUserByIdentity(db, {
      kind: 'telegram',
      issuer: '',
      subject: nina.subject,
    });
    const [link] = await db
      .selectFrom('identity')
      .select('id')
      .where('user_id', '=', identity?.id ?? '')
      .execute();
    await admin(`/v1/identities/${link?.id ?? ''}`, { method: 'DELETE' });
    expect(
      (await chat.say(direct(connectorId, nina), nina, 'hi')).map(({ text }) => text).join(),
    ).toContain('I do not know you yet');
    await said(nina.subject, /You are not linked to Nina any more/);
    // And once more, to the same user.
    const second = await lookUp(await pair(nina));
    const relinked = await admin(`/v1/pairings/${String(second.body['id'])}/approve`, {
      body: { userId: identity?.id },
    });
    expect(relinked.status).toBe(200);
    expect((await chat.told(direct(connectorId, nina), nina, '/whoami')).text).toContain(
      'You are Nina',
    );
  });

  test('gives one token to an update however often it is handled, and three at once to one person', async () => {
    const pia = newcomer('Pia');
    const room = direct(connectorId, pia);
    // What the log tells meanwhile goes to others.
    const told = async (typed: string | { readonly text: string; readonly key: string }) =>
      (await chat.say(room, pia, typed)).filter(({ to }) => to.chatId === pia.subject);
    expect(await told({ text: 'pair', key: 'pia-1' })).toHaveLength(1);
    expect(await told({ text: 'pair', key: 'pia-1' })).toHaveLength(0);
    await pair(pia);
    await pair(pia);
    const [fourth] = await told('Pair');
    expect(fourth?.text).toContain('3 tokens that were not used');
    const rows = await db
      .selectFrom('pairing')
      .select(['token_hash as hash'])
      .where('subject', '=', pia.subject)
      .execute();
    expect(rows).toHaveLength(3);
    for (const { hash } of rows) expect(hash).toMatch(/^[0-9a-f]{64}$/);
    await db
      .updateTable('pairing')
      .set({ expires_at: new Date(0) })
      .where('subject', '=', pia.subject)
      .execute();
    expect(await pair(pia)).not.toBe('');
    const list = await admin('/v1/pairings');
    expect(list.text).not.toMatch(/hash|token/i);
    expect(JSON.stringify(list.body['items']).match(new RegExp(pia.subject, 'g'))).toHaveLength(1);
  });

  test('takes no token that is old, and no pairing whose token nobody entered', async () => {
    const otto = newcomer('Otto');
    const token = await pair(otto);
    const { id } = await db
      .selectFrom('pairing')
      .select('id')
      .where('subject', '=', otto.subject)
      .executeTakeFirstOrThrow();
    const early = await admin(`/v1/pairings/${id}/approve`, { body: { newUser: { name: 'x' } } });
    expect([early.status, early.text]).toEqual([
      409,
      expect.stringContaining('Enter its token first'),
    ]);
    expect(
      (await db.selectFrom('user_account').select('id').where('name', '=', 'x').execute()).length,
    ).toBe(0);
    await db
      .updateTable('pairing')
      .set({ expires_at: new Date(0) })
      .where('id', '=', id)
      .execute();
    expect((await lookUp(token)).status).toBe(404);
    const late = await admin(`/v1/pairings/${id}/approve`, { body: { newUser: { name: 'x' } } });
    expect(late.status).toBe(409);
  });

  test('is refused by an admin, and whoever asked is told', async () => {
    const rita = newcomer('Rita');
    const { body } = await lookUp(await pair(rita));
    const path = `/v1/pairings/${String(body['id'])}/refuse`;
    expect((await admin(path, { body: {} })).body).toMatchObject({ state: 'refused' });
    expect((await admin(path, { body: {} })).status).toBe(200);
    await said(rita.subject, /An admin refused/);
  });

  test('is for admins of the installation, on the admin listener, and never from a chat', async () => {
    const token = await pair(newcomer());
    expect((await lookUp(token, operator)).status).toBe(403);
    expect((await lookUp(token, local)).status).toBe(403);
    expect((await callAs(api.app, null)('/v1/pairings')).status).toBe(401);
    const publicApp = createApp(api.deps, 'public');
    expect((await callAs(publicApp, await makeKey(db))('/v1/pairings')).status).toBe(404);
    const boss = await makePerson({ db, network: 'telegram' }, [
      { role: 'overlord', place: { kind: 'installation' } },
    ]);
    const user = await findUserByIdentity(db, {
      kind: 'telegram',
      issuer: '',
      subject: boss.subject,
    });
    if (user === null) throw new Error('She is linked.');
    const principal = principalOfUser(user, 'chat', CHAT_SCOPES);
    const asked = await askInside(
      api.app,
      { principal, contextId: null },
      {
        method: 'GET',
        path: '/v1/pairings',
        idempotencyKey: 'k',
      },
    );
    expect(asked).toMatchObject({ ok: false, problem: { status: 403 } });
  });

  test('links nobody to somebody above whoever approves, and no number twice', async () => {
    const overlord = await makePerson({ db, network: 'discord' }, [
      { role: 'overlord', place: { kind: 'installation' } },
    ]);
    const eve = newcomer('Eve');
    const { body } = await lookUp(await pair(eve));
    const approve = `/v1/pairings/${String(body['id'])}/approve`;
    const above = await admin(approve, { body: { userId: overlord.userId } });
    expect([above.status, above.text]).toEqual([403, expect.stringContaining('above yours')]);
    const role = await admin(approve, { body: { newUser: { name: 'Eve' }, role: 'overlord' } });
    expect(role.status).toBe(403);
    const both = await admin(approve, {
      body: { userId: overlord.userId, newUser: { name: 'E' } },
    });
    expect(both.status).toBe(400);
    expect(
      await findUserByIdentity(db, { kind: 'telegram', issuer: '', subject: eve.subject }),
    ).toBeNull();

    const known = await makePerson({ db, network: 'telegram' }, [inWorkspace('member', workspace)]);
    const taken = await lookUp(await pair(known));
    const other = await admin(`/v1/pairings/${String(taken.body['id'])}/approve`, {
      body: { newUser: { name: 'Other' } },
    });
    expect([other.status, other.text]).toEqual([409, expect.stringContaining('Unlink it')]);
  });

  test('locks out whoever guesses, says so in the log, and lets the others work', async () => {
    const guesser = await makeKey(db, { role: 'admin' });
    const guess = callAs(api.app, guesser);
    const token = await pair(newcomer());
    const answers = [];
    for (let turn = 0; turn < 9; turn += 1)
      answers.push((await lookUp(`WRNG-AAAA-AAA${turn + 2}`, guess)).status);
    expect(answers.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 404));
    expect(answers[8]).toBe(429);
    expect((await lookUp(token, guess)).status).toBe(429);
    expect((await lookUp(token)).status).toBe(200);
    const events = await db
      .selectFrom('event')
      .select('subject_id')
      .where('type', '=', 'pairing.locked_out')
      .execute();
    expect(events.map((event) => event.subject_id)).toEqual([guesser.id]);
    const audits = await db
      .selectFrom('audit')
      .select('actor_id')
      .where('action', '=', 'pairing.lock_out')
      .execute();
    expect(audits.map((audit) => audit.actor_id)).toEqual([guesser.id]);
  });

  test('leaves no token anywhere but in the post to whoever asked', async () => {
    const zoe = newcomer('Zoe');
    const token = await pair(zoe);
    await lookUp(token);
    const bare = token.replaceAll('-', '');
    for (const name of [
      'event',
      'audit',
      'pairing',
      'chat_message',
      'idempotency',
      'chat_update',
    ] as const) {
      const rows = await db.selectFrom(name).selectAll().execute();
      expect(JSON.stringify(rows)).not.toContain(token);
      expect(JSON.stringify(rows)).not.toContain(bare);
    }
    expect(api.logLines.join('')).not.toContain(token);
    expect(
      (await chat.posts()).filter(({ text }) => text.includes(token)).map(({ to }) => to.chatId),
    ).toEqual([zoe.subject]);
  });
});
