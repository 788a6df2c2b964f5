import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { startApi, type RunningApi } from '../../api/server.ts';
import { createTelegramConnector } from '../../infra/connectors/telegram/connector.ts';
import type { ConnectorId } from '../../domain/id.ts';
import { ADA, TelegramServer, TOKEN } from '../support/chat/telegram-server.ts';
import { echoHandler, startEngine } from '../support/chat/engine.ts';
import { createTestDatabase, makeWorkspace } from '../support/postgres.ts';
import { callAs, makeKey, openTestApi } from './harness.ts';

const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
const telegram = await TelegramServer.start();
const deps = {
  ...api.deps,
  connectors: {
    max: 12,
    factories: { telegram: createTelegramConnector },
    pollTimeoutMs: 2_000,
    mayName: (reference: string) => reference === 'env:TELEGRAM_BOT_TOKEN',
    resolve: (reference: string) =>
      reference === 'env:TELEGRAM_BOT_TOKEN'
        ? Promise.resolve(`${TOKEN}\n`)
        : Promise.reject(new Error('not this one')),
    log: api.deps.logger,
  },
};
const admin = createApp(deps, 'admin');
const publicApp = createApp(deps, 'public');
const workspaceId = await makeWorkspace(db);
const owner = await makeKey(db);
const asOwner = callAs(admin, owner);
let listening: RunningApi;
beforeAll(async () => {
  listening = await startApi(deps, { kind: 'public', hostname: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await listening.close();
  await telegram.close();
  await api.close();
});
const WAIT = { timeout: 15_000, interval: 20 };

async function add(body: Readonly<Record<string, unknown>> = {}) {
  return asOwner('/v1/connectors', {
    body: {
      network: 'telegram',
      name: `bot ${randomUUID().slice(0, 8)}`,
      secret: { typed: TOKEN },
      settings: { apiRoot: telegram.apiRoot },
      ...body,
    },
    idempotencyKey: randomUUID(),
  });
}
const post = (path: string, body: unknown = {}) =>
  asOwner(path, { body: Object(body), idempotencyKey: randomUUID() });
async function removeIt(id: unknown): Promise<void> {
  await asOwner(`/v1/connectors/${String(id)}`, { method: 'DELETE' });
}

test('a connector is made, shown, changed and removed, and its secret never comes out', async () => {
  const made = await add({ enabled: false });
  expect([made.status, made.body['state']]).toEqual([201, 'stopped']);
  const id = String(made.body['id']);
  const tested = await post(`/v1/connectors/${id}/test`);
  expect(tested.body).toEqual({
    ok: true,
    botId: '123456',
    botName: 'RookeryTestBot',
    error: null,
  });
  const wrong = '999:another-secret-token';
  const rotated = await post(`/v1/connectors/${id}/rotate-secret`, { secret: { typed: wrong } });
  expect(rotated.status).toBe(200);
  const refused = await post(`/v1/connectors/${id}/test`);
  expect(refused.body).toMatchObject({
    ok: false,
    error: expect.stringContaining('does not take'),
  });
  const changed = await post(`/v1/connectors/${id}`, { name: 'renamed', enabled: true });
  expect(changed.body).toMatchObject({
    name: 'renamed',
    enabled: true,
    detail: 'No process runs it.',
  });
  const list = await asOwner('/v1/connectors');
  const audit = await asOwner(`/v1/workspaces/${workspaceId}/audit?limit=200`);
  expect(audit.text).toContain('connector.rotate_secret');
  expect(audit.text).toContain(String.raw`\"enabled\":false`);
  const events = await asOwner(`/v1/workspaces/${workspaceId}/events?limit=200`);
  await removeIt(id);
  expect((await asOwner(`/v1/connectors/${id}`)).status).toBe(404);
  const everything = [made, tested, rotated, refused, changed, list, audit, events]
    .map(({ text }) => text)
    .join('')
    .concat(api.logLines.join(''));
  for (const secret of [TOKEN, wrong]) expect(everything).not.toContain(secret);
  const row = await db
    .selectFrom('connector')
    .select(['sealed_secret', 'secret_ref', 'webhook_secret'])
    .where('id', '=', id)
    .executeTakeFirst();
  expect(row).toEqual({ sealed_secret: null, secret_ref: null, webhook_secret: null });
});

test('a secret may be a reference that is allowed, and no other', async () => {
  const named = await add({ secret: { reference: 'env:TELEGRAM_BOT_TOKEN' } });
  expect(named.body).toMatchObject({ secretRef: 'env:TELEGRAM_BOT_TOKEN' });
  const tested = await post(`/v1/connectors/${String(named.body['id'])}/test`);
  expect(tested.body['ok']).toBe(true);
  await removeIt(named.body['id']);
  const other = await add({ secret: { reference: 'env:DATABASE_URL' } });
  expect([other.status, other.body['code']]).toEqual([403, 'policy_denied']);
});

test.each([
  ['a network that there is none of', { network: 'icq' }],
  ['no secret', { secret: {} }],
  ['two secrets', { secret: { typed: 'x', reference: 'env:X' } }],
  ['a secret of two words', { secret: { typed: 'two words' } }],
  ['the secret where a reference belongs', { secret: { reference: TOKEN } }],
  ['settings that its network does not know', { settings: { token: 'x' } }],
  ['plain http to far away', { settings: { apiRoot: 'http://api.example.com' } }],
  ['a password in the address', { settings: { apiRoot: 'https://u:p@example.com' } }],
  ['another protocol', { settings: { apiRoot: 'file:///etc/passwd' } }],
  ['a webhook on plain http', { settings: { webhookUrl: 'http://example.com' } }],
  ['a name of two lines', { name: 'a\nb' }],
  ['a field that there is none of', { token: TOKEN }],
])('%s is refused, and what was typed is not repeated', async (_what, body) => {
  const answer = await add(body);
  expect([answer.status, answer.body['code']]).toEqual([400, 'invalid_input']);
  expect(answer.text).not.toContain(TOKEN);
});

test('a name is given once', async () => {
  const first = await add({ name: 'the one', enabled: false });
  const second = await add({ name: 'the one' });
  expect([first.status, second.status]).toEqual([201, 409]);
  await removeIt(first.body['id']);
  const third = await add({ name: 'the one', enabled: false });
  expect(third.status).toBe(201);
  await removeIt(third.body['id']);
});

test('whoever is admin of one workspace only has nothing to do with connectors', async () => {
  const asAdmin = callAs(admin, await makeKey(db, { role: 'admin', workspaceId }));
  const made = await add({ enabled: false });
  const id = String(made.body['id']);
  expect((await asAdmin('/v1/connectors')).status).toBe(403);
  expect((await asAdmin(`/v1/connectors/${id}`)).status).toBe(404);
  const tried = await asAdmin('/v1/connectors', {
    body: { network: 'telegram', name: 'mine', secret: { typed: TOKEN } },
    idempotencyKey: randomUUID(),
  });
  expect(tried.status).toBe(403);
  await removeIt(id);
  const asPublic = callAs(publicApp, owner);
  expect((await asPublic('/v1/connectors')).status).toBe(404);
});

test('what may have been said is listed, and said again when a person says so', async () => {
  const made = await add();
  const id = String(made.body['id']);
  telegram.fail('sendMessage', { kind: 'break-after' });
  const engine = await startEngine(database, echoHandler(db, secretsOf().seal), {
    ...secretsOf(),
  });
  try {
    await expect
      .poll(async () => (await asOwner(`/v1/connectors/${id}`)).body['state'], WAIT)
      .toBe('connected');
    telegram.say({ text: 'doubt' });
    const uncertain = async () => {
      const { body } = await asOwner(`/v1/connectors/${id}/posts?state=uncertain`);
      return Array.isArray(body['items']) ? body['items'] : [];
    };
    await expect.poll(async () => (await uncertain()).length, WAIT).toBe(1);
    const [doubted] = await uncertain();
    expect(doubted).toMatchObject({ kind: 'send', state: 'uncertain', attempts: 1 });
    expect(JSON.stringify(doubted)).not.toContain('echo');
    const metrics = await asOwner('/metrics');
    expect(metrics.text).toMatch(/rookery_chat_posts\{state="uncertain"\} 1/);
    const again = await post(`/v1/posts/${String(doubted.id)}/send-again`);
    expect(again.body).toMatchObject({ state: 'queued' });
    await expect.poll(() => telegram.shown.length, WAIT).toBe(2);
    expect((await post(`/v1/posts/${String(doubted.id)}/send-again`)).status).toBe(409);
  } finally {
    await engine.stop();
    await removeIt(id);
  }
});

/** The engine must open what the API sealed. */
function secretsOf() {
  const { secrets } = deps;
  return {
    seal: (plain: string) => secrets.seal(plain),
    unseal: (sealed: Buffer) => secrets.unseal(sealed),
  };
}

async function pushed(id: string, body: string, secret: string): Promise<number> {
  const answer = await fetch(`${listening.url}/v1/connectors/${id}/telegram`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': secret },
    body,
  });
  await answer.text();
  return answer.status;
}

async function hookSecret(id: string): Promise<string> {
  const row = await db
    .selectFrom('connector')
    .select('webhook_secret as secret')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return row.secret === null ? '' : deps.secrets.unseal(row.secret);
}

test('what Telegram pushes with the right secret is stored and answered, and the old secret is worth nothing', async () => {
  const settings = { apiRoot: telegram.apiRoot, webhookUrl: listening.url };
  const made = await add({ settings });
  const id = String(made.body['id']);
  const shownBefore = telegram.shown.length;
  const engine = await startEngine(database, echoHandler(db, secretsOf().seal), secretsOf());
  try {
    await expect.poll(() => telegram.webhookUrl, WAIT).toContain(id);
    telegram.say({ text: 'pushed' });
    await expect
      .poll(() => telegram.shown.slice(shownBefore), WAIT)
      .toMatchObject([{ text: 'echo pushed' }]);
    const queryId = telegram.press(1, 'a:b:c');
    await expect.poll(() => telegram.answeredPresses, WAIT).toContain(queryId);
    const old = await hookSecret(id);
    const update = JSON.stringify({ update_id: 7, message: messageOf('late') });
    expect(await pushed(id, update, old)).toBe(200);
    await post(`/v1/connectors/${id}/rotate-secret`, { secret: { typed: TOKEN } });
    expect(await pushed(id, JSON.stringify({ update_id: 8, message: messageOf('x') }), old)).toBe(
      401,
    );
    // Telegram gets the new one without a restart, and pushes again what was refused.
    telegram.say({ text: 'after the change' });
    await expect.poll(() => telegram.shown.at(-1)?.text, WAIT).toBe('echo after the change');
    expect(telegram.pushes.at(-1)?.secret).toBe(await hookSecret(id));
  } finally {
    await engine.stop();
    await removeIt(id);
  }
});

function messageOf(text: string) {
  return { message_id: 1, date: 1_700_000_000, chat: { id: 5, type: 'private' }, from: ADA, text };
}

test('nothing of a push is read before its secret was found right', async () => {
  const made = await add({ settings: { apiRoot: telegram.apiRoot, webhookUrl: listening.url } });
  const id = String(made.body['id']);
  await db
    .updateTable('connector')
    .set({ bot_id: '123456', bot_name: 'x' })
    .where('id', '=', id)
    .execute();
  // It announces a body that it never sends: an answer shows that nobody waited for it.
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asking = httpRequest(`${listening.url}/v1/connectors/${id}/telegram`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': '1000000',
        'x-telegram-bot-api-secret-token': 'wrong',
      },
    });
    asking.once('response', (response) => {
      resolve(response.statusCode);
      asking.destroy();
    });
    asking.once('error', reject);
    asking.write('{');
  });
  expect(status).toBe(401);
  const good = await hookSecret(id);
  expect(await pushed(id, '{"update_id":', good)).toBe(400);
  expect(await pushed(id, `{"update_id":1,"x":"${'a'.repeat(5_000_000)}"}`, good)).toBe(413);
  expect(await pushed(id, '{"update_id":99999999999999999999}', good)).toBe(200);
  expect(await pushed(id, '{"update_id":1,"some_kind":{}}', good)).toBe(200);
  expect(await pushed('con_00000000000000000000000000', '{}', good)).toBe(401);
  expect(await pushed('nonsense', '{}', good)).toBe(401);
  const polled = await add({ enabled: false });
  expect(
    await pushed(String(polled.body['id']), '{}', await hookSecret(String(polled.body['id']))),
  ).toBe(401);
  await removeIt(polled.body['id']);
  await removeIt(id);
});

test('a row of a connector names no id of another', async () => {
  const id: ConnectorId = 'con_00000000000000000000000000';
  expect((await asOwner(`/v1/connectors/${id}`)).status).toBe(404);
  expect((await asOwner('/v1/connectors/con_wrong')).status).toBe(400);
});
