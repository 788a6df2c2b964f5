import { z } from 'zod';
import { AGENT_STATES, AGENT_TYPES, BODY_KINDS, LIFECYCLES } from '../agent.ts';
import { LOGIN_METHODS } from '../prompt.ts';
import {
  AgentIdSchema,
  ContextIdSchema,
  DefinitionIdSchema,
  InputIdSchema,
  SpawnIdSchema,
  WorkspaceIdSchema,
} from './id.ts';
import { LabelsSchema } from './label.ts';
import { Timestamp, plainText } from './text.ts';

/** The longest text one input may hold: what the terminal host takes in one delivery. */
const INPUT_LENGTH_MAX = 1_048_576;
const LOGIN_CODE_LENGTH_MAX = 4_096;

export const AgentSchema = z
  .object({
    id: AgentIdSchema,
    workspaceId: WorkspaceIdSchema,
    spawnId: SpawnIdSchema,
    ordinal: z.int(),
    name: z.string(),
    type: z.enum(AGENT_TYPES),
    body: z.enum(BODY_KINDS),
    state: z.enum(AGENT_STATES),
    stateDetail: z.string(),
    lifecycle: z.enum(LIFECYCLES),
    hostId: z.string().nullable(),
    epoch: z.int(),
    turn: z.int(),
    /** Place in the queue for a slot, from 1; null when it waits for none. */
    queuePosition: z.int().nullable(),
    /** Where it was spawned; null where that is the whole workspace. */
    contextId: ContextIdSchema.nullable(),
    ownerId: z.string(),
    /** The definition, and its version, that it was born with and keeps. */
    definitionId: DefinitionIdSchema.nullable(),
    definitionVersion: z.int().nullable(),
    labels: LabelsSchema,
    /** The limit that ended it. */
    limitReached: z.string().nullable(),
    createdAt: Timestamp,
    endedAt: Timestamp.nullable(),
    exitCode: z.int().nullable(),
    error: z.string().nullable(),
  })
  .meta({ id: 'Agent' });

export const SendInputSchema = z
  .strictObject({ text: plainText(INPUT_LENGTH_MAX, 1) })
  .meta({ id: 'SendInput' });

export const AnswerLoginSchema = z
  .strictObject({ code: plainText(LOGIN_CODE_LENGTH_MAX, 1) })
  .meta({ id: 'AnswerLogin' });

/** The text is on its way; `agent.input_delivered` tells what became of it. */
export const QueuedInputSchema = z
  .object({ inputId: InputIdSchema, state: z.literal('queued') })
  .meta({ id: 'QueuedInput' });

export const CommandedSchema = z
  .object({ status: z.enum(['accepted', 'pending']), state: z.enum(AGENT_STATES).nullable() })
  .meta({ id: 'Commanded' });

export const LoginSchema = z
  .object({
    method: z.enum(LOGIN_METHODS),
    url: z.string().nullable(),
    code: z.string().nullable(),
    needsPaste: z.boolean(),
    openedAt: Timestamp,
    expiresAt: Timestamp.nullable(),
  })
  .meta({ id: 'Login' });

export const ScreenSchema = z
  .object({
    agentId: AgentIdSchema,
    epoch: z.int(),
    lines: z.array(z.string()),
    cursor: z.object({ x: z.int(), y: z.int() }),
    title: z.string(),
    cols: z.int(),
    rows: z.int(),
    state: z.enum(AGENT_STATES),
    rule: z.string().nullable(),
    /** Byte of the output up to which this screen was made. */
    offset: z.int(),
  })
  .meta({ id: 'Screen' });
