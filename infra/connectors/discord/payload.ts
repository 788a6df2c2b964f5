import { z } from 'zod';

// What Discord says is read here and nowhere else, and only what is used. Numbers are text: they do not fit into a number.

const Snowflake = z.string().regex(/^\d{1,20}$/);

const Channel = z.object({
  id: Snowflake,
  type: z.number(),
  name: z.string().nullish(),
  guild_id: Snowflake.nullish(),
  parent_id: Snowflake.nullish(),
  last_message_id: Snowflake.nullish(),
});
export const ChannelPayload = Channel;
export type ChannelPayload = z.infer<typeof Channel>;

const User = z.object({
  id: Snowflake,
  username: z.string(),
  global_name: z.string().nullish(),
  bot: z.boolean().optional(),
});
const Member = z.object({ nick: z.string().nullish() });

export const Ready = z.object({
  user: z.object({ id: Snowflake }),
  application: z.object({ id: Snowflake }),
  guilds: z.array(z.object({ id: Snowflake })),
});

export const Guild = z.object({
  id: Snowflake,
  name: z.string().default(''),
  unavailable: z.boolean().optional(),
  joined_at: z.string().nullish(),
  channels: z.array(Channel).default([]),
  threads: z.array(Channel).default([]),
});
export type Guild = z.infer<typeof Guild>;

export const Message = z.object({
  id: Snowflake,
  channel_id: Snowflake,
  guild_id: Snowflake.nullish(),
  type: z.number(),
  author: User,
  member: Member.nullish(),
  webhook_id: Snowflake.nullish(),
  content: z.string(),
  timestamp: z.iso.datetime({ offset: true }),
  edited_timestamp: z.iso.datetime({ offset: true }).nullish(),
  attachments: z.array(z.unknown()).default([]),
  sticker_items: z.array(z.unknown()).default([]),
  message_reference: z
    .object({ message_id: Snowflake.nullish(), type: z.number().default(0) })
    .nullish(),
});
export type Message = z.infer<typeof Message>;

/** Of an edit Discord may send no more than what changed, as when it has looked at a link: that is none of ours. */
export const Edit = Message.extend({ edited_timestamp: z.iso.datetime({ offset: true }) });

const Asked = z.object({
  id: Snowflake,
  application_id: Snowflake,
  token: z.string(),
  guild_id: Snowflake.nullish(),
  channel: Channel,
  user: User.nullish(),
  member: Member.extend({ user: User }).nullish(),
});

interface OptionPayload {
  readonly name: string;
  readonly value?: string | number | boolean | undefined;
  readonly options?: readonly OptionPayload[] | undefined;
}
const Option: z.ZodType<OptionPayload> = z.object({
  name: z.string(),
  value: z.union([z.string(), z.number(), z.boolean()]).optional(),
  get options() {
    return z.array(Option).optional();
  },
});

const Typed = z.object({ custom_id: z.string(), value: z.string().default('') });
/** Of a form: text fields stand in rows, or below labels. */
const Field = z.object({
  component: Typed.partial().optional(),
  components: z.array(Typed.partial()).optional(),
});

/** A slash command, a button that was pressed, a form that was sent: 2, 3 and 5 of Discord's kinds. */
export const Interaction = z.discriminatedUnion('type', [
  Asked.extend({
    type: z.literal(2),
    data: z.object({ name: z.string(), options: z.array(Option).default([]) }),
  }),
  Asked.extend({
    type: z.literal(3),
    data: z.object({ custom_id: z.string() }),
    message: z.object({ id: Snowflake }),
  }),
  Asked.extend({
    type: z.literal(5),
    data: z.object({ custom_id: z.string(), components: z.array(Field).default([]) }),
    message: z.object({ id: Snowflake }).nullish(),
  }),
]);
export type Interaction = z.infer<typeof Interaction>;
export type InteractionOption = OptionPayload;

export const BotUser = z.object({ id: Snowflake, username: z.string() });
