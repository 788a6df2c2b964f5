import { afterEach, beforeEach, expect, test } from 'vitest';
import { pino } from 'pino';
import type { ChatPost } from '../../../../domain/chat.ts';
import { makeId } from '../../../../domain/id.ts';
import type { Connector } from '../../../../infra/connectors/contract.ts';
import { createTelegramConnector } from '../../../../infra/connectors/telegram/connector.ts';
import { GROUP, TelegramServer, TOKEN } from '../../../support/chat/telegram-server.ts';
import { plainPost } from '../contract.ts';

let server: TelegramServer;
let connector: Connector;
const post = (change: Partial<ChatPost> = {}): ChatPost => ({
  ...plainPost(String(GROUP.id), 'hi'),
  ...change,
});
beforeEach(async () => {
  server = await TelegramServer.start();
  connector = connect(server.apiRoot);
});
afterEach(async () => {
  await connector.close();
  await server.close();
});

function connect(apiRoot: string): Connector {
  return createTelegramConnector({
    connectorId: makeId('connector', crypto.randomUUID()),
    secret: TOKEN,
    settings: { apiRoot },
    commands: [],
    webhookSecret: null,
    pollTimeoutMs: 1_000,
    log: pino({ level: 'silent' }),
  });
}
const failureOf = (sending: Promise<unknown>) =>
  sending.then(
    () => null,
    (error: unknown) => error,
  );

test('a file carries the text as its caption, and is changed as one', async () => {
  const file = { name: 'payload.md', text: '# All of it' };
  const { messageId } = await connector.send('k', post({ file }));
  expect(server.shown).toMatchObject([{ text: 'hi', file }]);
  await connector.edit(messageId, post({ spans: [{ text: 'decided' }] }));
  expect(server.shown).toMatchObject([{ text: 'decided', edits: 1 }]);
});

test('text that is too long for a caption is whole in the file, before what the file says', async () => {
  const text = 'long '.repeat(400);
  await connector.send(
    'k',
    post({ spans: [{ text }], file: { name: 'payload.md', text: 'PAYLOAD' } }),
  );
  const [shown] = server.shown;
  expect(shown?.text.length).toBeLessThanOrEqual(1_024);
  expect(shown?.file?.text).toBe(`${text}\n\n---\n\nPAYLOAD`);
});

test('the longest text is said, and one character more is attached', async () => {
  await connector.send('k1', post({ spans: [{ text: '*'.repeat(4_096) }] }));
  await connector.send('k2', post({ spans: [{ text: '👍'.repeat(2_048) }] }));
  await connector.send('k3', post({ spans: [{ text: 'x'.repeat(4_097) }] }));
  expect(server.shown.map(({ text, file }) => [text.length, file?.text.length])).toEqual([
    [4_096, undefined],
    [4_096, undefined],
    [1_024, 4_097],
  ]);
});

test('topics and replies are named, the general topic is not', async () => {
  const to = { chatId: String(GROUP.id), threadId: '7' };
  const { messageId } = await connector.send('k', post({ to }));
  await connector.send('k', post({ to: { ...to, threadId: '1' }, replyTo: messageId }));
  await connector.send('k', post({ replyTo: '99999' }));
  expect(server.shown).toMatchObject([
    { threadId: 7, replyTo: null },
    { threadId: null, replyTo: 1 },
    { replyTo: null },
  ]);
});

test('white space alone, nothing, and buttons that carry too much', async () => {
  await connector.send('k', post({ spans: [{ text: ' \n ' }] }));
  await connector.send('k', post({ spans: [] }));
  expect(server.shown.map(({ text }) => text)).toEqual(['(empty)', '(empty)']);
  const button = (data: string) =>
    post({ buttons: [[{ label: '\u202Ex', data, tone: 'positive' }]] });
  await connector.send('k', button('x'.repeat(64)));
  expect(server.shown.at(-1)?.buttons).toEqual([[{ text: '✅ [U+202E]x', data: 'x'.repeat(64) }]]);
  expect(await failureOf(connector.send('k', button('é'.repeat(33))))).toMatchObject({
    kind: 'rejected',
  });
});

test('what was never sent may be sent again, what may be there may not, and no error tells the token', async () => {
  const nobody = connect('http://127.0.0.1:1');
  const unreachable = await failureOf(nobody.send('k', post()));
  expect(unreachable).toMatchObject({ kind: 'retry', scope: 'all' });
  server.fail('sendMessage', { kind: 'break-before' });
  const broken = await failureOf(connector.send('k', post()));
  expect(broken).toMatchObject({ kind: 'uncertain' });
  server.fail('sendMessage', { kind: 'garbage' });
  const garbage = await failureOf(connector.send('k', post()));
  expect(garbage).toMatchObject({ kind: 'uncertain' });
  server.fail('sendMessage', { kind: 'fail', code: 500, description: 'Internal Server Error' });
  const failed = await failureOf(connector.send('k', post()));
  expect(failed).toMatchObject({ kind: 'retry' });
  server.revoke();
  const revoked = await failureOf(connector.send('k', post()));
  expect(revoked).toMatchObject({ kind: 'retry', scope: 'all' });
  for (const error of [unreachable, broken, garbage, failed, revoked]) {
    expect(
      `${String(error)} ${error instanceof Error ? String(error.stack) + String(error.cause) : ''}`,
    ).not.toContain(TOKEN);
  }
  await nobody.close();
});

test('the commands that chats know are offered', async () => {
  const offering = createTelegramConnector({
    connectorId: makeId('connector', crypto.randomUUID()),
    secret: TOKEN,
    settings: { apiRoot: server.apiRoot },
    commands: [{ name: 'agents', description: 'what runs' }],
    webhookSecret: null,
    pollTimeoutMs: 1_000,
    log: pino({ level: 'silent' }),
  });
  const stopping = new AbortController();
  const listening = offering.listen(
    {
      take: () => Promise.resolve(),
      cursor: () => Promise.resolve(null),
      advance: () => Promise.resolve(),
      moved: () => Promise.resolve(),
      changed: () => undefined,
    },
    stopping.signal,
  );
  await expect
    .poll(() => server.commands)
    .toEqual([{ command: 'agents', description: 'what runs' }]);
  stopping.abort();
  await listening;
  await offering.close();
});
