import { join } from 'node:path';
import { startDiscordServer } from '@openclaw/crabline';
import { expect, onTestFinished, test } from 'vitest';
import { testFolder } from '../../../support/folder.ts';
import { createMemorySink, plainPost, reading } from '../contract.ts';
import { connectTo } from './world.ts';

const WAIT = { timeout: 15_000, interval: 20 };

test("somebody else's Discord is spoken with just as well", async () => {
  const folder = testFolder();
  const crabline = await startDiscordServer({
    recorderPath: join(folder, 'events.jsonl'),
  });
  onTestFinished(() => crabline.close());
  const { fixture, endpoints, adminToken, botToken, botUserId } = crabline.manifest;
  const connector = connectTo({ apiRoot: endpoints.apiRoot, token: botToken });
  onTestFinished(() => connector.close());
  expect(await connector.identify()).toMatchObject({ botId: botUserId });
  const sink = createMemorySink();
  const reader = reading(connector, sink);
  onTestFinished(async () => void (await reader.stop()));
  await expect.poll(() => sink.states.at(-1), WAIT).toBe('connected');
  const inbound = await fetch(endpoints.adminInboundUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      channelId: fixture.channelId,
      guildId: fixture.guildId,
      content: 'hello there',
      senderId: '135000000000000042',
      senderName: 'ada',
    }),
  });
  expect({ status: inbound.status, body: await inbound.text() }).toMatchObject({ status: 200 });
  await expect
    .poll(() => [...sink.updates.values()], WAIT)
    .toMatchObject([
      { kind: 'message', text: 'hello there', place: { chatId: fixture.channelId } },
    ]);
  const { messageId } = await connector.send('one', plainPost(fixture.channelId, 'hello *you*'));
  expect(messageId).toMatch(/^\d+$/);
  await connector.edit(messageId, plainPost(fixture.channelId, 'hello'));
});
