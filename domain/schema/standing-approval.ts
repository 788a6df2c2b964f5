import { z } from 'zod';
import { RISKS } from '../approval.ts';
import { DecidedSchema } from './approval.ts';
import {
  ApprovalIdSchema,
  ContextIdSchema,
  StandingApprovalIdSchema,
  WorkspaceIdSchema,
} from './id.ts';
import { Timestamp, plainText } from './text.ts';

export const STANDING_STATES = ['live', 'expired', 'revoked'] as const;

export const StandingApprovalSchema = z
  .object({
    id: StandingApprovalIdSchema,
    workspaceId: WorkspaceIdSchema,
    /** The approval that it was made from. */
    approvalId: ApprovalIdSchema,
    title: z.string(),
    /** Exactly what it holds for. */
    template: z.unknown(),
    templateHash: z.string(),
    /** Connector, chat and thread of those whom it may be sent to; empty for what is sent to nobody. */
    recipients: z.array(z.string()),
    /** It holds for nothing riskier. */
    risk: z.enum(RISKS),
    state: z.enum(STANDING_STATES),
    createdBy: z.string(),
    createdAt: Timestamp,
    expiresAt: Timestamp,
    revokedAt: Timestamp.nullable(),
    revokedBy: z.string().nullable(),
    uses: z.int(),
    lastUsedAt: Timestamp.nullable(),
  })
  .meta({ id: 'StandingApproval' });

const RECIPIENTS_MAX = 50;

export const ApproveForeverRequestSchema = z
  .strictObject({
    /** Of the payload as the person saw it. */
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'Must be 64 hex digits, as the approval shows them.'),
    /** Days until it is asked again; the configuration has a default and a maximum. */
    expiresInDays: z.int().min(1).max(3_650).optional(),
    /** Further contexts that it may be posted to, beside the one that was asked for. */
    recipients: z.array(ContextIdSchema).max(RECIPIENTS_MAX).optional(),
    note: plainText(4_000).optional(),
  })
  .meta({ id: 'ApproveForeverRequest' });

export const ApprovedForeverSchema = z
  .object({
    decision: DecidedSchema,
    /** It holds as soon as the decision is made. */
    standingApprovalId: StandingApprovalIdSchema,
  })
  .meta({ id: 'ApprovedForever' });
