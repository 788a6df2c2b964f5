import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readUpdate } from '../../../../infra/connectors/telegram/update.ts';

const SELF = { botId: '99', botName: 'RookeryBot' };
const GROUP = { id: -100_123, type: 'supergroup', title: 'Team' };
const ADA = { id: 42, is_bot: false, first_name: 'Ada', last_name: 'L', username: 'ada' };
const read = (update: object) => readUpdate({ update_id: 1, ...update }, SELF, 1_000).reading;
const said = (more: object) => ({
  message_id: 5,
  date: 7,
  chat: GROUP,
  from: ADA,
  text: 'hi',
  ...more,
});
const updateOf = (update: object) => {
  const reading = read(update);
  return reading.kind === 'update' ? reading.update : reading;
};
const command = (text: string, length: number, more = {}) =>
  updateOf({
    message: said({ text, entities: [{ type: 'bot_command', offset: 0, length }], ...more }),
  });

test('somebody is known by his number, and a name is for reading only', () => {
  expect(updateOf({ message: said({}) })).toEqual({
    kind: 'message',
    place: { kind: 'group', chatId: '-100123', threadId: null, guildId: null, title: 'Team' },
    sender: { subject: '42', displayName: 'Ada L', isBot: false },
    at: 7_000,
    messageId: '5',
    text: 'hi',
    replyTo: null,
    attachments: 0,
  });
});

test('topics are places of their own, threads of replies are not', () => {
  const thread = { message_thread_id: 3 };
  expect(updateOf({ message: said({ ...thread, is_topic_message: true }) })).toMatchObject({
    place: { kind: 'thread', threadId: '3' },
  });
  expect(updateOf({ message: said(thread) })).toMatchObject({
    place: { kind: 'group', threadId: null },
  });
});

test('a command is for us with our name or none, and is said by its sender himself', () => {
  expect(command('/Agents  all of them', 7)).toMatchObject({
    kind: 'command',
    name: 'agents',
    args: 'all of them',
  });
  expect(command('/approve@rookerybot X1', 19)).toMatchObject({
    kind: 'command',
    name: 'approve',
    args: 'X1',
  });
  expect(command('/approve@OtherBot X1', 17)).toMatchObject({ kind: 'message' });
  expect(command('/approve X1', 8, { forward_origin: { type: 'user' } })).toMatchObject({
    kind: 'message',
  });
  expect(updateOf({ message: said({ text: '/approve without an entity' }) })).toMatchObject({
    kind: 'message',
  });
});

test('a name with a dash is read whole, though the network marks only what is before it', () => {
  expect(command('/admin-channel enable', 6)).toMatchObject({
    kind: 'command',
    name: 'admin-channel',
    args: 'enable',
  });
  expect(command('/admin-channel@RookeryBot enable', 6)).toMatchObject({ name: 'admin-channel' });
  expect(command('/admin-channel@OtherBot enable', 6)).toMatchObject({ kind: 'message' });
  expect(command('/agents, please', 7)).toMatchObject({ kind: 'message' });
});

test('channels and anonymous admins are nobody who could be linked', () => {
  const channel = { id: -100_7, type: 'channel', title: 'News' };
  expect(
    updateOf({ channel_post: said({ from: undefined, chat: channel, sender_chat: channel }) }),
  ).toMatchObject({
    place: { kind: 'channel' },
    sender: { subject: '-1007', isBot: true },
  });
  const anonymous = {
    id: 1_087_968_824,
    is_bot: true,
    first_name: 'Group',
    username: 'GroupAnonymousBot',
  };
  expect(updateOf({ message: said({ from: anonymous, sender_chat: GROUP }) })).toMatchObject({
    sender: { subject: '-100123', isBot: true },
  });
  // Even where the number of a person is beside it.
  expect(updateOf({ message: said({ sender_chat: GROUP }) })).toMatchObject({
    sender: { isBot: true },
  });
});

test('edits, presses, files, and coming and going are told', () => {
  expect(updateOf({ edited_message: said({ text: '/approve X' }) })).toMatchObject({
    kind: 'edit',
  });
  expect(
    updateOf({ message: said({ text: undefined, caption: 'look', photo: [{}] }) }),
  ).toMatchObject({
    kind: 'message',
    text: 'look',
    attachments: 1,
  });
  const press = {
    id: '777',
    from: ADA,
    data: 'a:b:c',
    message: { message_id: 5, date: 0, chat: GROUP },
  };
  expect(updateOf({ callback_query: press })).toMatchObject({
    kind: 'press',
    data: 'a:b:c',
    messageId: '5',
    at: 1_000,
  });
  const member = (was: string, is: string) =>
    updateOf({
      my_chat_member: {
        chat: GROUP,
        date: 9,
        old_chat_member: { status: was },
        new_chat_member: { status: is },
      },
    });
  expect(member('left', 'member')).toMatchObject({ kind: 'joined' });
  expect(member('administrator', 'kicked')).toMatchObject({ kind: 'left' });
  expect(member('member', 'administrator')).toMatchObject({ kind: 'nothing' });
  expect(read({ message: said({ text: undefined, migrate_to_chat_id: -100_9 }) })).toEqual({
    kind: 'moved',
    from: '-100123',
    to: '-1009',
  });
});

test('what is malformed is nothing, and keeps its number where it has one', () => {
  for (const raw of [
    null,
    7,
    'x',
    [],
    {},
    { update_id: 'x' },
    { update_id: 2 ** 60 },
    { update_id: 1.5 },
  ]) {
    expect(readUpdate(raw, SELF, 0)).toMatchObject({ id: null, reading: { kind: 'nothing' } });
  }
  expect(readUpdate({ update_id: 7, message: { chat: 1 } }, SELF, 0)).toMatchObject({
    id: 7,
    reading: { kind: 'nothing' },
  });
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (message, press) => {
      readUpdate({ update_id: 1, message, callback_query: press }, SELF, 0);
    }),
  );
});
