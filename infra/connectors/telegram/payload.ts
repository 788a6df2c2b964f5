import { z } from 'zod';

/** The parts of the Bot API's objects that are read; whatever else is there is left alone. */

/** Telegram promises at most 52 significant bits. */
const Id = z.int();

const Chat = z.object({
  id: Id,
  type: z.enum(['private', 'group', 'supergroup', 'channel']),
  title: z.string().optional(),
  first_name: z.string().optional(),
  last_name: z.string().optional(),
});
export type Chat = z.output<typeof Chat>;

const User = z.object({
  id: Id,
  is_bot: z.boolean(),
  first_name: z.string().optional(),
  last_name: z.string().optional(),
  username: z.string().optional(),
});
export type User = z.output<typeof User>;

const Entity = z.object({ type: z.string(), offset: z.int(), length: z.int() });
const Something = z.unknown().optional();

const Message = z.object({
  message_id: Id,
  message_thread_id: Id.optional(),
  is_topic_message: z.boolean().optional(),
  from: User.optional(),
  sender_chat: Chat.optional(),
  chat: Chat,
  date: z.int().min(0).max(99_999_999_999),
  text: z.string().optional(),
  caption: z.string().optional(),
  entities: z.array(Entity).optional(),
  reply_to_message: z.object({ message_id: Id }).optional(),
  forward_origin: Something,
  migrate_to_chat_id: Id.optional(),
  animation: Something,
  audio: Something,
  document: Something,
  photo: Something,
  sticker: Something,
  story: Something,
  video: Something,
  video_note: Something,
  voice: Something,
  contact: Something,
  dice: Something,
  game: Something,
  poll: Something,
  venue: Something,
  location: Something,
  paid_media: Something,
  checklist: Something,
});
export type Message = z.output<typeof Message>;

/** Of a message that is too old to be shown, Telegram tells only where it is. */
const PressedMessage = Message.pick({
  message_id: true,
  message_thread_id: true,
  is_topic_message: true,
  chat: true,
});

export const Update = z.object({
  update_id: Id,
  message: Message.optional(),
  edited_message: Message.optional(),
  channel_post: Message.optional(),
  edited_channel_post: Message.optional(),
  callback_query: z
    .object({
      id: z.string().max(256),
      from: User,
      message: PressedMessage.optional(),
      data: z.string().max(256).optional(),
    })
    .optional(),
  my_chat_member: z
    .object({
      chat: Chat,
      date: z.int().min(0).max(99_999_999_999),
      old_chat_member: z.object({ status: z.string() }),
      new_chat_member: z.object({ status: z.string() }),
    })
    .optional(),
});
export type Update = z.output<typeof Update>;

/** What is asked for; the rest Telegram keeps to itself. */
export const UPDATE_KINDS = [
  'message',
  'edited_message',
  'channel_post',
  'edited_channel_post',
  'callback_query',
  'my_chat_member',
] as const;
