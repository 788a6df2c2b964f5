import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChatPost, ChatUpdate } from '../../../../domain/chat.ts';
import type { Connector } from '../../../../infra/connectors/contract.ts';
import { createMemorySink, plainPost, reading, type MemorySink } from '../contract.ts';
import {
  COMMANDS,
  connectTo,
  customIdsOf,
  startDiscordWorld,
  textOf,
  type DiscordWorld,
} from './world.ts';

const WAIT = { timeout: 15_000, interval: 10 };
const EPOCH_MS = 1_420_070_400_000;

describe('Discord', () => {
  let world: DiscordWorld;
  let connector: Connector;
  let sink: MemorySink;
  const readers: ReturnType<typeof reading>[] = [];
  const opened: Connector[] = [];

  beforeEach(async () => {
    world = await startDiscordWorld();
    connector = world.connect();
    opened.push(connector);
    sink = createMemorySink();
  });
  afterEach(async () => {
    await Promise.all(readers.splice(0).map((reader) => reader.stop()));
    await Promise.all(opened.splice(0).map((each) => each.close()));
    await world.close();
  });

  async function read(from = connector, into = sink) {
    const reader = reading(from, into);
    readers.push(reader);
    await expect.poll(() => into.states.at(-1), WAIT).toBe('connected');
    return reader;
  }
  /** Reads again, as after a restart, with what was stored before. */
  async function readAnew() {
    const again = world.connect();
    opened.push(again);
    const kept: MemorySink = { ...sink, states: [] };
    const states: string[] = [];
    const reader = reading(again, {
      ...kept,
      take: (key, update) => sink.take(key, update),
      changed: (state) => void states.push(state),
    });
    readers.push(reader);
    await expect.poll(() => states.at(-1), WAIT).toBe('connected');
    return reader;
  }
  const all = (kind: ChatUpdate['kind']) =>
    [...sink.updates.values()].filter((update) => update.kind === kind);
  const texts = () => all('message').map((update) => ('text' in update ? update.text : ''));

  test('a thread is a place in its channel, and a direct chat is one without a guild', async () => {
    const { server, guild, channel, ada } = world;
    const thread = server.world.addChannel({
      guild,
      type: 11,
      name: 'plans',
      parentId: channel.id,
    });
    const direct = server.world.addChannel({});
    await read();
    server.say(thread, ada, 'in a thread');
    server.say(direct, ada, 'between us');
    await expect.poll(() => texts().length, WAIT).toBe(2);
    expect(all('message')).toMatchObject([
      { place: { kind: 'thread', chatId: channel.id, threadId: thread.id, guildId: guild.id } },
      { place: { kind: 'dm', chatId: direct.id, threadId: null, guildId: null } },
    ]);
    await connector.send('t', {
      ...plainPost(channel.id, 'hi'),
      to: { chatId: channel.id, threadId: thread.id },
    });
    expect(thread.messages.at(-1)?.content).toBe('hi');
  });

  test('what is typed as a command is one, and what bots and notices say is told apart', async () => {
    const { server, channel, ada } = world;
    await read();
    server.say(channel, ada, '/TASK water the plants');
    server.say(channel, ada, '/unknown thing');
    server.say(channel, server.world.addUser('other', true), '/task from a bot');
    server.say(channel, ada, { content: '', type: 7 });
    await expect.poll(() => sink.updates.size, WAIT).toBe(3);
    expect([...sink.updates.values()]).toMatchObject([
      { kind: 'command', name: 'task', args: 'water the plants', handle: null },
      { kind: 'message', text: '/unknown thing' },
      { kind: 'message', sender: { isBot: true } },
    ]);
  });

  test('commands are offered once in each guild, and in one that is joined', async () => {
    const { server, guild } = world;
    const puts = () => server.requests.filter((request) => request.startsWith('PUT')).length;
    const reader = await read();
    await expect
      .poll(() => guild.commands?.map(({ name }) => name), WAIT)
      .toEqual(['task', 'approve']);
    const joined = server.world.addGuild('Later');
    server.joinGuild(joined);
    await expect.poll(() => joined.commands?.length, WAIT).toBe(COMMANDS.length);
    await expect.poll(() => all('joined'), WAIT).toMatchObject([{ place: { chatId: joined.id } }]);
    expect(puts()).toBe(2);
    await reader.stop();
    // What stops does not say that it connects again, which would also start a clock.
    expect(sink.states).toEqual(['connecting', 'connected']);
    await readAnew();
    expect(puts()).toBe(2);
  });

  test('a guild that refuses commands is read all the same', async () => {
    const { server, guild, channel, ada } = world;
    guild.refusesCommands = true;
    await read();
    server.say(channel, ada, 'hello');
    await expect.poll(texts, WAIT).toEqual(['hello']);
  });

  test('a command is stored before Discord hears of it, and answered for the asker alone', async () => {
    const { server, channel, ada } = world;
    await read();
    const asked = server.runCommand(channel, ada, { name: 'approve', text: 'abc123 fine by me' });
    await expect.poll(() => asked.callback?.type, WAIT).toBe(5);
    const [command] = all('command');
    expect(command).toMatchObject({
      name: 'approve',
      args: 'abc123 fine by me',
      sender: { subject: ada.id },
    });
    const handle = command !== undefined && 'handle' in command ? command.handle : null;
    const post = { ...plainPost(channel.id, 'Approved.'), handle };
    const { messageId } = await connector.send('answer', post);
    await connector.send('answer', post);
    await connector.send('more', { ...plainPost(channel.id, 'And more.'), handle });
    expect(asked.original).toMatchObject({ content: 'Approved\\.' });
    expect(asked.followUps.map(textOf)).toEqual(['And more.']);
    expect((asked.followUps[0]?.flags ?? 0) & 64).toBe(64);
    expect(channel.messages).toEqual([]);
    await connector.edit(messageId, { ...plainPost(channel.id, 'Changed.'), handle });
    expect(asked.original === null ? '' : textOf(asked.original)).toBe('Changed.');
  });

  test('a command that cannot be stored is not acknowledged', async () => {
    const { server, channel, ada } = world;
    const reader = await read();
    sink.broken = true;
    const asked = server.runCommand(channel, ada, { name: 'task', text: 'x' });
    expect(await reader.ended).toBeInstanceOf(Error);
    expect(asked.callback).toBeNull();
  });

  test('an answer that comes too late is a message in the chat', async () => {
    const { channel } = world;
    const old = String(BigInt(Date.now() - 15 * 60_000 - EPOCH_MS) << 22n);
    const handle = `command:1:${old}:token`;
    await connector.send('late', { ...plainPost(channel.id, 'Sorry, it took long.'), handle });
    // Young enough, and Discord does not know it any more.
    const young = String(BigInt(Date.now() - EPOCH_MS) << 22n);
    await connector.send('gone', {
      ...plainPost(channel.id, 'Nobody asked.'),
      handle: `press:1:${young}:token`,
    });
    expect(channel.messages.map(textOf)).toEqual(['Sorry, it took long.', 'Nobody asked.']);
  });

  test('a button that asks for a reason shows a form, and the form is the press', async () => {
    const { server, channel, ada } = world;
    await read();
    const post: ChatPost = {
      ...plainPost(channel.id, 'Delete it?'),
      buttons: [[{ label: 'Refuse', data: 'a:apr_1:r:n', tone: 'negative', asksReason: true }]],
    };
    await connector.send('card', post);
    const [card] = channel.messages;
    if (card === undefined) throw new Error('There is no card.');
    const asked = server.press(card, ada, customIdsOf(card)[0]?.[0] ?? '');
    await expect.poll(() => asked.callback?.type, WAIT).toBe(9);
    expect(all('press')).toEqual([]);
    const customId = asked.callback?.data?.['custom_id'];
    const sent = server.submitForm(card, ada, {
      customId: typeof customId === 'string' ? customId : '',
      reason: 'Too risky.',
    });
    await expect.poll(() => sent.callback?.type, WAIT).toBe(6);
    expect(all('press')).toMatchObject([
      {
        data: 'a:apr_1:r:n',
        reason: 'Too risky.',
        messageId: card.id,
        sender: { subject: ada.id },
      },
    ]);
  });

  test('what is said while the connection is broken comes with the same session', async () => {
    const { server, channel, ada } = world;
    await read();
    server.gateway.cut();
    server.say(channel, ada, 'while broken');
    await expect.poll(texts, WAIT).toEqual(['while broken']);
    expect(server.gateway.arrivals).toEqual(['identify', 'resume']);
    server.gateway.askToReconnect();
    await expect.poll(() => server.gateway.arrivals.length, WAIT).toBe(3);
  });

  test('what is said while no session holds is read from the history, in order and once', async () => {
    const { server, channel, ada } = world;
    await read();
    server.say(channel, ada, 'before');
    await expect.poll(texts, WAIT).toEqual(['before']);
    server.gateway.forgetSessions();
    server.gateway.cut();
    const said = Array.from({ length: 250 }, (_, index) => `missed ${index}`);
    for (const text of said) server.say(channel, ada, text);
    await expect.poll(() => texts().length, WAIT).toBe(251);
    server.say(channel, ada, 'after');
    await expect.poll(texts, WAIT).toEqual(['before', ...said, 'after']);
    expect(server.gateway.arrivals.at(-1)).toBe('identify');
  });

  test('after a restart a guild of 5,000 channels is asked only for what was talked in and may be read', async () => {
    const { server, guild, channel, ada } = world;
    const channels = Array.from({ length: 5_000 }, () => server.world.addChannel({ guild }));
    const [unseen, hidden] = channels;
    if (unseen === undefined || hidden === undefined) throw new Error('There are no channels.');
    const direct = server.world.addChannel({});
    const orphan = server.world.addChannel({ guild, type: 11, parentId: server.world.nextId() });
    const reader = await read();
    server.say(channel, ada, 'one');
    server.say(direct, ada, 'two');
    await expect.poll(() => texts().length, WAIT).toBe(2);
    await reader.stop();
    server.say(unseen, ada, 'in a channel that we never heard of');
    server.say(direct, ada, 'between us');
    server.say(orphan, ada, 'in a thread of nothing');
    hidden.isHidden = true;
    server.say(hidden, ada, 'a secret');
    server.requests.splice(0);
    await readAnew();
    await expect
      .poll(() => texts().slice(2).sort(), WAIT)
      .toEqual(['between us', 'in a channel that we never heard of', 'in a thread of nothing']);
    const asked = server.requests.filter((request) => /^GET .*messages$/.test(request));
    expect(asked.length).toBeLessThanOrEqual(5);
    expect(asked.join()).not.toContain(hidden.id);
  });

  test('a guild that is left and a channel that is deleted are told', async () => {
    const { server, guild, channel } = world;
    const other = server.world.addChannel({ guild });
    await read();
    server.deleteChannel(other);
    await expect.poll(() => all('left'), WAIT).toMatchObject([{ place: { chatId: other.id } }]);
    server.leaveGuild(guild);
    await expect.poll(() => all('left').length, WAIT).toBe(2);
    await expect(connector.send('x', plainPost(other.id, 'hello'))).rejects.toMatchObject({
      kind: 'rejected',
    });
    expect(channel.messages).toEqual([]);
  });

  test('an intent that is not turned on is said in words', async () => {
    world.server.gateway.refuseWith(4014);
    const failure = await reading(connector, sink).ended;
    expect(failure).toMatchObject({ kind: 'rejected' });
    expect(String(failure)).toContain('Message Content Intent');
  });

  test('a limit that is long is told, with whom it is for', async () => {
    const { server, channel } = world;
    const path = /messages$/;
    server.fail({ method: 'POST', path, kind: 'limit', retryAfterSeconds: 30 });
    const post = plainPost(channel.id, 'hello');
    await expect(connector.send('a', post)).rejects.toMatchObject({
      kind: 'retry',
      scope: 'chat',
      retryAfterMs: expect.closeTo(30_000, -3),
    });
    const other = connectTo(server);
    opened.push(other);
    server.fail({ method: 'POST', path, kind: 'limit', retryAfterSeconds: 20, isGlobal: true });
    await expect(other.send('b', post)).rejects.toMatchObject({ kind: 'retry', scope: 'all' });
  });

  test('a burst keeps to the limit that Discord tells, and nothing is refused', async () => {
    const { server, channel } = world;
    server.limitMessages({ count: 5, seconds: 0.5 });
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        connector.send(`b${index}`, plainPost(channel.id, `${index}`)),
      ),
    );
    expect(channel.messages).toHaveLength(12);
  });

  test('a failure is uncertain where the message may be there, and else not', async () => {
    const { server, channel } = world;
    const post = plainPost(channel.id, 'hello');
    const path = /messages(\/\d+)?$/;
    server.fail({ method: 'POST', path, kind: 'cut' });
    await expect(connector.send('a', post)).rejects.toMatchObject({ kind: 'uncertain' });
    server.fail({ method: 'POST', path, kind: 'status', status: 500 });
    await expect(connector.send('a', post)).rejects.toMatchObject({ kind: 'uncertain' });
    const { messageId } = await connector.send('a', post);
    server.fail({ method: 'PATCH', path, kind: 'status', status: 502 });
    await expect(connector.edit(messageId, post)).rejects.toMatchObject({ kind: 'retry' });
    const nobody = connectTo({ ...server, apiRoot: 'http://127.0.0.1:1/api' });
    opened.push(nobody);
    await expect(nobody.send('b', post)).rejects.toMatchObject({ kind: 'retry', scope: 'all' });
  });

  test('a post that was lost from sight is found again, also when Discord has forgotten its nonce', async () => {
    const { server, channel } = world;
    const path = /messages$/;
    for (const buttons of [[], [[{ label: 'Yes', data: 'a:1', tone: 'positive' as const }]]]) {
      const post = { ...plainPost(channel.id, '*lost* from sight '), buttons };
      const key = `lost-${buttons.length}`;
      server.fail({ method: 'POST', path, kind: 'drop' });
      await expect(connector.send(key, post)).rejects.toMatchObject({ kind: 'uncertain' });
      server.forgetNonces();
      const { messageId } = await connector.send(key, post);
      expect(messageId).toBe(channel.messages.at(-1)?.id);
    }
    expect(channel.messages).toHaveLength(2);
    // The same words once more are another post.
    await connector.send('other', plainPost(channel.id, '*lost* from sight '));
    expect(channel.messages).toHaveLength(3);
    server.fail({ method: 'POST', path, kind: 'cut' });
    await expect(connector.send('cut', plainPost(channel.id, 'new'))).rejects.toMatchObject({
      kind: 'uncertain',
    });
    await connector.send('cut', plainPost(channel.id, 'new'));
    expect(channel.messages).toHaveLength(4);
  });

  test('a token that is refused makes posts wait, and is in no error', async () => {
    const { server, channel } = world;
    const secret = 'a-very-secret-token';
    const revoked = connectTo(server, secret);
    opened.push(revoked);
    const post = plainPost(channel.id, 'hello');
    for (let tries = 0; tries < 2; tries += 1) {
      const failure: unknown = await revoked.send('a', post).catch((error: unknown) => error);
      expect(failure).toMatchObject({ kind: 'retry', scope: 'all' });
      expect(
        JSON.stringify(failure) +
          String(failure) +
          String(failure instanceof Error ? failure.stack : ''),
      ).not.toContain(secret);
    }
    await expect(revoked.identify()).rejects.toMatchObject({ kind: 'rejected' });
    server.token = secret;
    await revoked.send('a', post);
    expect(channel.messages).toHaveLength(1);
  });

  test("a person's number is their direct chat", async () => {
    const { server, ada } = world;
    const direct = server.world.addChannel({});
    server.say(direct, ada, 'hi');
    const { messageId } = await connector.send('d', plainPost(ada.id, 'hello Ada'));
    await connector.edit(messageId, plainPost(ada.id, 'hello, Ada'));
    expect(direct.messages.map(textOf)).toEqual(['hi', 'hello, Ada']);
  });

  test('nobody is pinged, and a reply is one', async () => {
    const { channel, server, ada } = world;
    const said = server.say(channel, ada, 'hi');
    await connector.send('r', { ...plainPost(channel.id, '@everyone'), replyTo: said.id });
    expect(channel.messages.at(-1)).toMatchObject({
      replyTo: said.id,
      allowedMentions: { parse: [], replied_user: false },
    });
  });

  test('who stops while nothing can be reached leaves no connection behind', async () => {
    const { server } = world;
    await read();
    server.gateway.refuseWith(4000);
    server.gateway.forgetSessions();
    server.gateway.cut();
    await expect.poll(() => server.gateway.arrivals.length, WAIT).toBeGreaterThan(2);
    await Promise.all(readers.splice(0).map((reader) => reader.stop()));
    const arrivals = server.gateway.arrivals.length;
    server.gateway.refuseWith(null);
    // The library waits half a second before it connects again.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(server.gateway.arrivals.length).toBe(arrivals);
    expect(server.gateway.connections()).toBe(0);
  });
});
