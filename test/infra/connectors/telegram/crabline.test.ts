import { join } from 'node:path';
import { startCrablineServer } from '@openclaw/crabline';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { makeId } from '../../../../domain/id.ts';
import { createTelegramConnector } from '../../../../infra/connectors/telegram/connector.ts';
import { testFolder } from '../../../support/folder.ts';
import { createMemorySink, plainPost, reading } from '../contract.ts';

const WAIT = { timeout: 15_000, interval: 20 };

test("somebody else's Bot API is read and answered just as well, and repeats what was not stored", async () => {
  const server = await startCrablineServer({
    channel: 'telegram',
    recorderPath: join(testFolder(), 'events.jsonl'),
  });
  onTestFinished(() => server.close());
  const { manifest } = server;
  if (manifest.provider !== 'telegram') throw new Error('Another network.');
  const connect = () => {
    const connector = createTelegramConnector({
      connectorId: makeId('connector', crypto.randomUUID()),
      secret: manifest.botToken,
      settings: { apiRoot: manifest.endpoints.apiRoot },
      commands: [{ name: 'agents', description: 'what runs here' }],
      webhookSecret: null,
      pollTimeoutMs: 2_000,
      log: pino({ level: 'silent' }),
    });
    onTestFinished(() => connector.close());
    return connector;
  };
  const say = async (text: string) => {
    const answer = await fetch(manifest.endpoints.adminInboundUrl, {
      method: 'POST',
      headers: {
        'x-crabline-admin-token': manifest.adminToken,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ chatId: 4_242, text, fromId: 4_242, fromName: 'Ada' }),
    });
    expect([answer.status, await answer.text()]).toMatchObject([200, expect.any(String)]);
  };
  const connector = connect();
  expect((await connector.identify()).botId).toMatch(/^\d+$/);
  const sink = createMemorySink();
  const first = reading(connector, sink);
  await expect.poll(() => sink.states.at(-1), WAIT).toBe('connected');
  sink.broken = true;
  await say('/agents now');
  await first.ended;
  sink.broken = false;
  const second = reading(connect(), sink);
  onTestFinished(async () => void (await second.stop()));
  await expect.poll(() => sink.updates.size, WAIT).toBe(1);
  const [update] = sink.updates.values();
  expect(update).toMatchObject({
    place: { kind: 'dm', chatId: '4242' },
    sender: { subject: '4242' },
  });
  const { messageId } = await connector.send('k', plainPost('4242', 'It is *not* bold.'));
  await connector.edit(messageId, plainPost('4242', 'Done.'));
  // A second reader is told of by this server, too.
  const third = createMemorySink();
  const thirdReader = reading(connect(), third);
  onTestFinished(async () => void (await thirdReader.stop()));
  await expect.poll(() => [...sink.states, ...third.states], WAIT).toContain('conflict');
});
