import { z } from 'zod';
import { AGENT_TYPES } from '../agent.ts';
import { DEFINITION_REFERENCE } from '../definition.ts';
import { HOST_ID, HOSTING_MODES } from '../hosting.ts';
import { IDLE_ACTIONS } from '../limit.ts';
import { AgentSchema } from './agent.ts';
import { AgentGrantsSchema } from './grant.ts';
import { ApprovalIdSchema, SpawnIdSchema, WorkspaceIdSchema } from './id.ts';
import { LabelsSchema } from './label.ts';
import { AGENT_LIMIT_SHAPES } from './limit.ts';
import { Timestamp, lineOfText, plainText } from './text.ts';

const EnvName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'Must be a name of letters, digits and _.');

/** `*.example.com` covers sub-domains. 253 is the longest name DNS knows (RFC 1035). */
const HostPattern = z
  .string()
  .max(253)
  .regex(
    /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i,
    'Must be a host name, or *. and a host name.',
  );

const MEBIBYTE = 1_048_576;

const SpawnLimitsSchema = z
  .strictObject({
    ...z.strictObject(AGENT_LIMIT_SHAPES).partial().shape,
    /** What becomes of an agent that was idle for too long; it is stopped unless this says otherwise. */
    idleAction: z.enum(IDLE_ACTIONS).optional(),
    outputBytesMax: z
      .int()
      .min(MEBIBYTE)
      .max(1_024 * 1_024 * MEBIBYTE)
      .optional(),
    readyTimeoutMs: z.int().min(1_000).max(3_600_000).optional(),
  })
  .meta({ id: 'SpawnLimits' });

/** Of the hosts that the workspace may use, those on which the agent may run. */
const AgentHostingSchema = z
  .strictObject({
    mode: z.enum(HOSTING_MODES).optional(),
    hostId: z.string().regex(HOST_ID, 'Must be the name of a host.').optional(),
    labels: LabelsSchema.optional(),
  })
  .meta({ id: 'AgentHosting' });

const TerminalCols = z.int().min(20).max(500);
const TerminalRows = z.int().min(5).max(200);
/** A tool's name in MCP; `*` at the end covers all that begin so. */
const ToolName = z
  .string()
  .regex(/^[A-Za-z0-9_.:/-]{1,128}\*?$/, 'Must be the name of a tool, or its beginning and *.');
const TOOLS_MAX = 200;
const ModelName = z
  .string()
  .regex(/^[A-Za-z0-9_.:@/-]{1,128}\*?$/, 'Must be the name of a model, or its beginning and *.');

/** What one agent is made from; kept as `spec` in its row and parsed again by whoever starts its session. */
export const AgentSpecSchema = z
  .object({
    type: z.enum(AGENT_TYPES),
    /** Typed as the first message once the CLI is ready. */
    task: plainText(1_000_000, 1).optional(),
    /** An absolute path of the host, or nothing for a folder of its own. */
    workDir: plainText(4_096, 1)
      .refine((path) => path.startsWith('/'), 'Must be an absolute path.')
      .refine((path) => !path.split('/').includes('..'), 'Must not climb with "..".')
      .optional(),
    env: z.record(EnvName, plainText(65_536)).optional(),
    /** Name in the environment → reference of a secret, such as `env:GEMINI_API_KEY`. */
    secretRefs: z.record(EnvName, plainText(512, 1)).optional(),
    /** For `custom`: program and arguments. For the others: further arguments. */
    command: z.array(plainText(65_536)).max(200).optional(),
    model: lineOfText(120).optional(),
    cols: TerminalCols.default(120),
    rows: TerminalRows.default(40),
    limits: SpawnLimitsSchema.optional(),
    egressAllow: z.array(HostPattern).max(200).optional(),
    /** Tools of the workspace's MCP server that it sees; all that its grants open where this is left out. */
    tools: z.array(ToolName).max(TOOLS_MAX).optional(),
    /** Models that it may call through the gateway; every one where this is left out. */
    models: z.array(ModelName).max(TOOLS_MAX).optional(),
    /** Whether it keeps and reads notes; yes where this is left out. */
    memory: z.boolean().optional(),
    /** What it may do in the workspace, never more than whoever spawned it; the default where this is left out. */
    grants: AgentGrantsSchema.optional(),
    hosting: AgentHostingSchema.optional(),
    labels: LabelsSchema.optional(),
  })
  .meta({ id: 'AgentSpec' });

export type AgentSpec = z.output<typeof AgentSpecSchema>;

export const SpawnRequestSchema = z
  .strictObject({
    ...AgentSpecSchema.partial().shape,
    cols: TerminalCols.optional(),
    rows: TerminalRows.optional(),
    /** A definition's name, or `name@3` for one version: what it says is not repeated here. */
    definition: z
      .string()
      .regex(DEFINITION_REFERENCE, "Must be a definition's name, or its name, @ and a version.")
      .optional(),
    count: z.int().min(1).max(50).default(1),
    /** Of one agent; several are numbered. */
    name: lineOfText(80).optional(),
  })
  .refine(({ type, definition }) => type !== undefined || definition !== undefined, {
    path: ['type'],
    message: 'Say the type of the agents, or the definition they are made from.',
  })
  .refine(
    ({ type, command, definition }) =>
      type !== 'custom' || definition !== undefined || (command?.length ?? 0) > 0,
    { path: ['command'], message: 'An agent of type custom needs the program to run.' },
  )
  .meta({ id: 'SpawnRequest' });

export type SpawnRequest = z.infer<typeof SpawnRequestSchema>;

export const SpawnSchema = z
  .object({
    id: SpawnIdSchema,
    workspaceId: WorkspaceIdSchema,
    /** `asked`: it starts when people grant its approval; `refused`: they did not. */
    state: z.enum(['asked', 'refused', 'requested', 'running', 'finished', 'cancelled', 'failed']),
    count: z.int(),
    createdBy: z.string(),
    createdAt: Timestamp,
    /** Where people decide, or decided, whether it may start; null where nobody was asked. */
    approvalId: ApprovalIdSchema.nullable(),
  })
  .meta({ id: 'Spawn' });

export const SpawnedSchema = z
  .object({ spawn: SpawnSchema, agents: z.array(AgentSchema) })
  .meta({ id: 'Spawned' });
