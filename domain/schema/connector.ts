import { z } from 'zod';
import { CONNECTOR_STATES, NETWORKS } from '../chat.ts';
import { ConnectorIdSchema, PostIdSchema, WorkspaceIdSchema } from './id.ts';
import { lineOfText, plainText, Timestamp } from './text.ts';

export const ConnectorSchema = z
  .object({
    id: ConnectorIdSchema,
    network: z.enum(NETWORKS),
    name: z.string(),
    /** Where its secret is, such as `env:TELEGRAM_BOT_TOKEN`; null where it was typed and is kept sealed. */
    secretRef: z.string().nullable(),
    settings: z.record(z.string(), z.unknown()),
    enabled: z.boolean(),
    /** `refused`: its secret is not taken. `conflict`: somebody else speaks for the same bot. */
    state: z.enum(CONNECTOR_STATES),
    detail: z.string(),
    since: Timestamp,
    botId: z.string().nullable(),
    botName: z.string().nullable(),
    /** Changes that were made to it. */
    revision: z.int(),
    createdBy: z.string(),
    createdAt: Timestamp,
  })
  .meta({ id: 'Connector' });

/** Telegram's are 46 characters long, Discord's about 72. */
const SECRET_LENGTH_MAX = 512;
const Typed = z
  .string()
  .regex(/^[\u0021-\u007e]+$/, 'Must be one word without spaces.')
  .max(SECRET_LENGTH_MAX);
const Reference = z
  .string()
  .max(512)
  .regex(
    /^(?:env:[A-Za-z_][A-Za-z0-9_]*|[a-z][a-z0-9-]*:[^\s]+)$/,
    'Must be a reference such as env:NAME or file:/path#key, not the secret.',
  );

/** The secret itself, which is sealed and never shown again, or where it is. */
const Secret = z
  .union([z.strictObject({ typed: Typed }), z.strictObject({ reference: Reference })])
  .meta({ id: 'ConnectorSecret' });

const Settings = z.record(plainText(64, 1), z.unknown());
const Name = lineOfText(64);

export const CreateConnectorSchema = z
  .strictObject({
    network: z.enum(NETWORKS),
    name: Name,
    secret: Secret,
    /** What the network's connector takes, as `webhookUrl` and `apiRoot` of Telegram. */
    settings: Settings.default({}),
    enabled: z.boolean().default(true),
  })
  .meta({ id: 'CreateConnector' });

export const ChangeConnectorSchema = z
  .strictObject({
    name: Name.optional(),
    enabled: z.boolean().optional(),
    settings: Settings.optional(),
  })
  .meta({ id: 'ChangeConnector' });

export const RotateConnectorSecretSchema = z
  .strictObject({ secret: Secret })
  .meta({ id: 'RotateConnectorSecret' });

/** Whether the network takes the secret now. */
export const ConnectorTestSchema = z
  .object({
    ok: z.boolean(),
    botId: z.string().nullable(),
    botName: z.string().nullable(),
    error: z.string().nullable(),
  })
  .meta({ id: 'ConnectorTest' });

export const RetriedUpdatesSchema = z.object({ count: z.int() }).meta({ id: 'RetriedUpdates' });

export const POST_STATES = ['queued', 'sending', 'sent', 'uncertain', 'failed'] as const;

/** Something that is to be said, without what. */
export const PostSchema = z
  .object({
    id: PostIdSchema,
    connectorId: ConnectorIdSchema,
    workspaceId: WorkspaceIdSchema.nullable(),
    kind: z.enum(['send', 'edit']),
    /** Chat, and thread where there is one. */
    place: z.string(),
    /** `uncertain`: it may have been sent, and is not sent again by itself. */
    state: z.enum(POST_STATES),
    attempts: z.int(),
    error: z.string().nullable(),
    createdAt: Timestamp,
    sentAt: Timestamp.nullable(),
  })
  .meta({ id: 'Post' });
