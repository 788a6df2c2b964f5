import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { ConnectorSchema } from '../../domain/schema/connector.ts';
import { ApprovedPairingSchema, PairingSchema } from '../../domain/schema/pairing.ts';
import { startDiscordServer, type DiscordServer } from '../support/chat/discord-server.ts';
import type { WorldChannel, WorldMessage, WorldUser } from '../support/chat/discord-world.ts';
import {
  ADA,
  GROUP,
  TelegramServer,
  TOKEN,
  type TelegramMessage,
} from '../support/chat/telegram-server.ts';
import { startRookery, type TestRookery } from '../support/rookery.ts';
import { untilState } from './agent.ts';
import { eventually, readyAsker, send, stopAgent } from './asker.ts';
import { checkRecords, query } from './checks.ts';
import { checkNoProcesses } from './processes.ts';

const PAIRING_TOKEN = /[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}/;

let rookery: TestRookery;
let telegram: TelegramServer;
let discord: DiscordServer;
let bob: WorldUser;
let bobsChat: WorldChannel;
let general: WorldChannel;

beforeAll(async () => {
  telegram = await TelegramServer.start();
  discord = await startDiscordServer();
  bob = discord.world.addUser('bob');
  general = discord.world.addChannel({ guild: discord.world.addGuild('Rooks') });
  bobsChat = discord.world.addChannel({});
  rookery = await startRookery({ script: [], set: ['connectors.pollTimeoutMs=2000'] });
  await connect('telegram', { secret: TOKEN, apiRoot: telegram.apiRoot });
  await connect('discord', { secret: discord.token, apiRoot: discord.apiRoot });
}, 120_000);
afterAll(async () => {
  await rookery.dispose();
  await telegram.close();
  await discord.close();
  await checkNoProcesses(rookery.dataDir);
}, 60_000);

async function connect(
  network: 'telegram' | 'discord',
  { secret, apiRoot }: { readonly secret: string; readonly apiRoot: string },
): Promise<void> {
  const made = await rookery.callAdmin('POST', '/v1/connectors', {
    network,
    name: network,
    secret: { typed: secret },
    settings: { apiRoot },
  });
  const { id } = ConnectorSchema.parse(made.body);
  await eventually(`${network} is connected`, async () => {
    const { body } = await rookery.callAdmin('GET', `/v1/connectors/${id}`);
    return ConnectorSchema.parse(body).state === 'connected';
  });
}

/** What the bot said in a chat of Telegram. */
function heard(chatId: number, text: RegExp): Promise<TelegramMessage> {
  return eventually(`${String(text)} on Telegram`, async () => {
    const found = telegram.messages.all.find(
      (message) => message.chatId === chatId && text.test(message.text),
    );
    return found ?? null;
  });
}

function textsOf(message: WorldMessage): string {
  return [message.content, ...message.embeds.map(({ description = '' }) => description)].join('\n');
}

function read(channel: WorldChannel, text: RegExp): Promise<WorldMessage> {
  return eventually(`${String(text)} on Discord`, async () => {
    const mine = channel.messages.filter(({ author }) => author === discord.world.bot);
    return mine.find((message) => text.test(textsOf(message))) ?? null;
  });
}

/** Ada, in the group: numbers of messages are each chat's own. */
function press(messageId: number, data: string): void {
  const message = { message_id: messageId, date: Math.floor(Date.now() / 1_000), chat: GROUP };
  telegram.push({ callback_query: { id: data, from: ADA, chat_instance: '1', data, message } });
}

async function link(text: string, body: Readonly<Record<string, unknown>>): Promise<void> {
  const token = PAIRING_TOKEN.exec(text)?.[0] ?? '';
  const shown = await rookery.callAdmin('POST', '/v1/pairings/lookup', { token });
  const { id } = PairingSchema.parse(shown.body);
  const linked = await rookery.callAdmin('POST', `/v1/pairings/${id}/approve`, body);
  expect(ApprovedPairingSchema.parse(linked.body).pairing.state).toBe('linked');
}

async function countUpdates(): Promise<number> {
  const [row] = await query(rookery, 'select count(*)::int as n from chat_update');
  return z.object({ n: z.int() }).parse(row).n;
}

test(
  'people of both networks are paired by token, and admins make hubs of their chats',
  { timeout: 90_000 },
  async () => {
    const direct = { id: ADA.id, type: 'private', first_name: 'Ada' };
    telegram.say({ chat: direct, text: 'pair' });
    const { text } = await heard(ADA.id, /pairing token/);
    await link(text, { newUser: { name: 'Ada' }, role: 'admin' });
    await heard(ADA.id, /You are linked to Ada/);

    discord.say(bobsChat, bob, 'pair');
    const said = await read(bobsChat, /pairing token/);
    await link(textsOf(said), { newUser: { name: 'Bob' }, role: 'admin' });

    telegram.say({ text: '/admin_channel enable default' });
    await heard(GROUP.id, /admin hub/);
    discord.say(general, bob, '/admin_channel enable default');
    await read(general, /admin hub/);
    // What staff say alone is shown in the hub.
    telegram.say({ chat: direct, text: '/status' });
    expect(await heard(GROUP.id, /^Ada \(direct\): \/status$/)).toMatchObject({ buttons: [] });
  },
);

test(
  'a prompt of an agent is approved by a button on Telegram, and both cards say so',
  { timeout: 90_000 },
  async () => {
    const the = await readyAsker(rookery);
    await send(rookery, the.id, 'ask make build');
    const card = await heard(GROUP.id, /Approval needed[^]*make build/);
    const other = await read(general, /Approval needed[^]*make build/);
    const yes = card.buttons.flat().find(({ text }) => text.includes('Yes'));
    press(card.messageId, yes?.data ?? '');
    await eventually('the answer', async () => (await the.answers()).length === 1);
    expect(await the.answers()).toMatchObject([{ choice: 'Yes', what: 'make build' }]);
    await eventually(
      'the edit',
      async () => card.text.startsWith('Approved by Ada') && card.buttons.length === 0,
    );
    await eventually('the other edit', async () => textsOf(other).includes('Approved by Ada'));
    await stopAgent(rookery, the.id);
    await checkRecords(rookery, [the.id]);
  },
);

test('and refused on Discord with a reason', { timeout: 90_000 }, async () => {
  const the = await readyAsker(rookery);
  await send(rookery, the.id, 'ask rm -rf everything');
  const card = await read(general, /Approval needed[^]*rm -rf everything/);
  const ids = card.components.flatMap(({ components }) => components.map((each) => each.custom_id));
  const asked = discord.press(card, bob, ids.at(-1) ?? '');
  await eventually('the form', async () => asked.callback?.type === 9);
  const form = z.object({ custom_id: z.string() }).parse(asked.callback?.data);
  discord.submitForm(card, bob, { customId: form.custom_id, reason: 'far too much' });
  await eventually('the answer', async () => (await the.answers()).length === 1);
  expect(await the.answers()).toMatchObject([{ choice: 'No' }]);
  await eventually('the edit', async () => /Denied by Bob[^]*far too much/.test(textsOf(card)));
  await stopAgent(rookery, the.id);
});

test(
  'a press that was stored when the runtime was killed has its effect once, after the restart',
  { timeout: 120_000 },
  async () => {
    const the = await readyAsker(rookery);
    await send(rookery, the.id, 'ask make once');
    const card = await heard(GROUP.id, /Approval needed[^]*make once/);
    const yes = card.buttons.flat().find(({ text }) => text.includes('Yes'));
    const before = await countUpdates();
    press(card.messageId, yes?.data ?? '');
    await eventually('the stored press', async () => (await countUpdates()) > before);
    await rookery.kill('up');
    await rookery.restart();
    await eventually('the answer', async () => (await the.answers()).length > 0, 60_000);
    await untilState(rookery, the.id, ({ state }) => state === 'ready');
    expect(await the.answers()).toMatchObject([{ choice: 'Yes', what: 'make once' }]);
    await eventually('the edit', async () => card.text.startsWith('Approved by Ada'));
    const said = telegram.messages.all.filter(({ text }) => /^Approved: [^]*make once/.test(text));
    expect(said.length).toBeLessThanOrEqual(1);
    await stopAgent(rookery, the.id);
    await checkRecords(rookery, [the.id]);
  },
);
