import { z } from 'zod';
import { APPROVAL_STATES, DECIDER_KINDS, RISKS } from '../approval.ts';
import { POLICY_ENGINES, POLICY_VERDICTS } from '../policy.ts';
import { ROLES } from '../principal.ts';
import { ApprovalIdSchema, WorkspaceIdSchema } from './id.ts';
import { Timestamp, plainText } from './text.ts';

export const ApprovalSummarySchema = z
  .object({
    id: ApprovalIdSchema,
    workspaceId: WorkspaceIdSchema,
    title: z.string(),
    askerKind: z.enum(['agent', 'system']),
    askerId: z.string(),
    risk: z.enum(RISKS),
    /** Who may decide it. */
    roleNeeded: z.enum(ROLES),
    state: z.enum(APPROVAL_STATES),
    /** Six characters a person types instead of the id, while it is open. */
    code: z.string(),
    digest: z.string(),
    quorum: z.int(),
    requestedBy: z.string(),
    requestedAt: Timestamp,
    expiresAt: Timestamp.nullable(),
    decidedAt: Timestamp.nullable(),
  })
  .meta({ id: 'ApprovalSummary' });

const VoteSchema = z
  .object({
    principalId: z.string(),
    /** `policy` and `standing`: the gate decided by itself. */
    principalKind: z.enum(DECIDER_KINDS),
    verdict: z.enum(['grant', 'refuse']),
    optionLabel: z.string().nullable(),
    note: z.string(),
    at: Timestamp,
  })
  .meta({ id: 'Vote' });

/** What the gate said when this was asked, and by which rule. */
const GateSchema = z
  .object({
    verdict: z.enum(POLICY_VERDICTS),
    by: z.enum(['policy', 'standing']),
    rule: z.string(),
    engine: z.enum(POLICY_ENGINES),
    version: z.int(),
    reason: z.string(),
    standingId: z.string().nullable(),
  })
  .meta({ id: 'Gate' });

/** `payload` is the whole of what would happen; `digest` is the SHA-256 of its canonical text. */
export const ApprovalSchema = ApprovalSummarySchema.extend({
  payload: z.unknown(),
  /** Of the prompt, where it is about one: what `optionLabel` may name. */
  options: z.array(
    z.object({ label: z.string(), effect: z.enum(['allow_once', 'widen', 'deny', 'other']) }),
  ),
  votes: z.array(VoteSchema),
  delivery: z.unknown(),
  contextId: z.string().nullable(),
  gate: GateSchema.nullable(),
  /** Whether an admin may approve it for ever. */
  mayStand: z.boolean(),
  /** Whom it is sent to, where it is sent. */
  recipients: z.array(z.string()),
}).meta({ id: 'Approval' });

export const DecideRequestSchema = z
  .strictObject({
    verdict: z.enum(['grant', 'refuse']),
    /** Of the payload as the person saw it. */
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'Must be 64 hex digits, as the approval shows them.'),
    note: plainText(4_000).optional(),
    /** Exactly as the prompt shows it; left out, the prompt's own allow-once or deny option is taken. */
    optionLabel: plainText(1_000, 1).optional(),
  })
  .meta({ id: 'DecideRequest' });

export const DecidedSchema = z
  .discriminatedUnion('status', [
    z.object({ status: z.literal('decided'), state: z.enum(['granted', 'refused']) }),
    z.object({ status: z.literal('counted'), votes: z.int(), quorum: z.int() }),
    z.object({ status: z.literal('pending') }),
  ])
  .meta({ id: 'Decided' });
