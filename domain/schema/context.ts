import { z } from 'zod';
import { CONTEXT_KINDS } from '../context.ts';
import { ConnectorIdSchema, ContextIdSchema, WorkspaceIdSchema } from './id.ts';
import { Timestamp, lineOfText } from './text.ts';
import { Slug } from './workspace.ts';

/** As the network names it: a number, or a number with a sign. */
const NetworkId = z.string().regex(/^-?\d{1,32}$/, 'Must be the number that the network gives it.');

const ChatSpotSchema = z
  .strictObject({
    connectorId: ConnectorIdSchema,
    chatId: NetworkId,
    threadId: NetworkId.nullable().default(null),
  })
  .meta({ id: 'ChatSpot' });

export const ContextSchema = z
  .object({
    id: ContextIdSchema,
    workspaceId: WorkspaceIdSchema,
    slug: Slug,
    name: z.string(),
    kind: z.enum(CONTEXT_KINDS),
    /** The chat that it is bound to. */
    chat: z
      .object({
        connectorId: ConnectorIdSchema,
        chatId: z.string(),
        threadId: z.string().nullable(),
      })
      .nullable(),
    createdBy: z.string(),
    createdAt: Timestamp,
    archivedAt: Timestamp.nullable(),
  })
  .meta({ id: 'Context' });

/** An admin hub is made by switching a context, so that nobody makes two. */
const FIRST_KINDS = CONTEXT_KINDS.filter((kind) => kind !== 'admin_hub');

export const CreateContextSchema = z
  .strictObject({
    slug: Slug,
    name: lineOfText(120),
    kind: z.enum(FIRST_KINDS).default('plain'),
    chat: ChatSpotSchema.optional(),
  })
  .refine(({ kind, chat }) => (kind === 'plain') === (chat === undefined), {
    path: ['chat'],
    message: 'A plain context has no chat; every other one names its own.',
  })
  .refine(({ kind, chat }) => kind !== 'thread' || chat?.threadId != null, {
    path: ['chat', 'threadId'],
    message: 'A thread names its thread.',
  })
  .meta({ id: 'CreateContext' });

export const ChangeContextSchema = z
  .strictObject({ name: lineOfText(120) })
  .meta({ id: 'ChangeContext' });
