import { z } from 'zod';
import { APPROVAL_ROUTES } from '../setting.ts';
import { lineOfText, plainText } from './text.ts';

/** Long enough for house rules, short enough to be put before every task. */
const PROMPT_CHARS_MAX = 16_000;
const PATTERNS_MAX = 200;

/** A tool's or model's name; `*` at the end covers all that begin so. */
const Pattern = z
  .string()
  .regex(/^[A-Za-z0-9_.:@/-]{1,128}\*?$/, 'Must be a name, or its beginning and *.');

/** What is left out is inherited: by a context from its workspace, by a workspace from what is built in. */
export const SettingsSchema = z
  .strictObject({
    /** Put before the task of every agent that is spawned there. */
    systemPrompt: plainText(PROMPT_CHARS_MAX, 1).optional(),
    /** The MCP tools that its agents may have. */
    tools: z.array(Pattern).max(PATTERNS_MAX).optional(),
    /** The models that its agents may call through the gateway. */
    models: z.array(Pattern).max(PATTERNS_MAX).optional(),
    /** For agents that name none. */
    model: lineOfText(120).optional(),
    /** Whether its agents keep and read notes. */
    memory: z.boolean().optional(),
    /** Where its approvals are shown in chat. */
    approvals: z.enum(APPROVAL_ROUTES).optional(),
  })
  .meta({ id: 'Settings' });

function resolved<T extends z.ZodType>(value: T) {
  return z.object({ value, origin: z.enum(['default', 'workspace', 'context', 'both']) });
}

export const SettingsViewSchema = z
  .object({
    /** What was said here. */
    own: SettingsSchema,
    /** What holds here, and who said it. Null: nobody said anything, which for a list means all. */
    effective: z.object({
      systemPrompt: resolved(z.string().nullable()),
      tools: resolved(z.array(z.string()).nullable()),
      models: resolved(z.array(z.string()).nullable()),
      model: resolved(z.string().nullable()),
      memory: resolved(z.boolean()),
      approvals: resolved(z.enum(APPROVAL_ROUTES)),
    }),
  })
  .meta({ id: 'SettingsView' });
