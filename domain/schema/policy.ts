import { z } from 'zod';
import { RISKS } from '../approval.ts';
import {
  DATA_CLASSES,
  POLICY_ACTIONS,
  POLICY_ENGINES,
  POLICY_VERDICTS,
  type PolicyRequest,
} from '../policy.ts';
import { PolicyIdSchema, WorkspaceIdSchema } from './id.ts';
import { plainText, Timestamp, wholeNumber } from './text.ts';

export const PolicyRuleSchema = z
  .object({
    id: z.string(),
    verdict: z.enum(POLICY_VERDICTS),
    reason: z.string(),
    start: z.int(),
    end: z.int(),
    line: z.int(),
    actions: z.array(z.enum(POLICY_ACTIONS)).nullable(),
    principals: z.array(z.enum(['user', 'agent', 'system'])).nullable(),
    tool: z.string().nullable(),
  })
  .meta({ id: 'PolicyRule' });

export const PolicyProblemSchema = z
  .object({
    severity: z.enum(['error', 'warning']),
    message: z.string(),
    /** From 1; 0 where it is about the whole. */
    line: z.int(),
    column: z.int(),
  })
  .meta({ id: 'PolicyProblem' });

/** All that a decision may look at, as it is recorded and as people try policies with. */
export const PolicyRequestSchema: z.ZodType<PolicyRequest> = z
  .strictObject({
    workspaceId: z.string().max(100),
    contextId: z.string().max(100).nullable(),
    principal: z.strictObject({
      kind: z.enum(['user', 'agent', 'system']),
      id: z.string().max(200),
      role: z.string().max(40).nullable(),
    }),
    action: z.enum(POLICY_ACTIONS),
    resource: z.strictObject({ kind: z.string().max(100), id: z.string().max(200) }),
    risk: z.enum(RISKS),
    intent: z.string().max(100_000),
    dataClass: z.enum(DATA_CLASSES),
    tool: z.string().max(1_000),
    subject: z.string().max(1_000_000),
    recipients: z.array(z.string().max(1_000)).max(1_000),
    isolated: z.boolean(),
    payloadComplete: z.boolean(),
  })
  .meta({ id: 'PolicyRequest' });

const Version = z.object({
  /** Null for the built-in policy of a workspace that has none of its own. */
  id: PolicyIdSchema.nullable(),
  workspaceId: WorkspaceIdSchema,
  /** From 1; 0 for the built-in one. */
  version: z.int(),
  engine: z.enum(POLICY_ENGINES),
  digest: z.string(),
  note: z.string(),
  active: z.boolean(),
  createdBy: z.string().nullable(),
  createdAt: Timestamp.nullable(),
  activatedBy: z.string().nullable(),
  activatedAt: Timestamp.nullable(),
});

export const PolicyVersionSchema = Version.meta({ id: 'PolicyVersion' });
export const PolicySchema = Version.extend({
  text: z.string(),
  rules: z.array(PolicyRuleSchema),
}).meta({ id: 'Policy' });

/** A request's body is bounded as a whole; this is what an engine takes. */
const Text = plainText(512 * 1024);

export const CheckPolicySchema = z.strictObject({ text: Text }).meta({ id: 'CheckPolicy' });
export const CheckedPolicySchema = z
  .object({
    valid: z.boolean(),
    problems: z.array(PolicyProblemSchema),
    rules: z.array(PolicyRuleSchema),
  })
  .meta({ id: 'CheckedPolicy' });

export const ProposePolicySchema = z
  .strictObject({
    /** `cedar` where it is left out. */
    engine: z.enum(POLICY_ENGINES).default('cedar'),
    /** Of `opa` the path of the decision, of `built-in` nothing. */
    text: Text.default(''),
    note: plainText(500).default(''),
  })
  .meta({ id: 'ProposePolicy' });

export const ProposedPolicySchema = z
  .object({ policy: PolicySchema, warnings: z.array(PolicyProblemSchema) })
  .meta({ id: 'ProposedPolicy' });

export const PolicyDiffSchema = z
  .object({
    from: z.object({ version: z.int(), engine: z.enum(POLICY_ENGINES) }),
    to: z.object({ version: z.int(), engine: z.enum(POLICY_ENGINES) }),
    /** Unified, as `diff -u` prints it; empty where nothing differs. */
    diff: z.string(),
  })
  .meta({ id: 'PolicyDiff' });
/** A version's number, 0 for the built-in policy; the active one where it is left out. */
export const PolicyDiffQuery = z.strictObject({
  against: wholeNumber({ min: 0, max: 1_000_000 }).optional(),
});

export const DRY_RUN_MAX = 5_000;
export const DryRunPolicySchema = z
  .strictObject({
    /** How many of the latest requests. */
    last: z.int().min(1).max(DRY_RUN_MAX).default(500),
  })
  .meta({ id: 'DryRunPolicy' });

const Spoken = z.object({ verdict: z.enum(POLICY_VERDICTS), rule: z.string() });
export const PolicyDryRunSchema = z
  .object({
    from: z.int(),
    to: z.int(),
    requests: z.int(),
    unchanged: z.int(),
    /** What was recorded without its text, and is about policies that look at texts. */
    unknown: z.int(),
    /** `allow→deny` and so on, with how many. */
    counts: z.record(z.string(), z.int()),
    /** The first hundred that would be answered otherwise, newest first. */
    changes: z.array(
      z.object({
        action: z.enum(POLICY_ACTIONS),
        principal: z.string(),
        resource: z.string(),
        tool: z.string(),
        at: Timestamp,
        before: Spoken,
        after: Spoken,
      }),
    ),
  })
  .meta({ id: 'PolicyDryRun' });

export const ActivatePolicySchema = z.strictObject({}).meta({ id: 'ActivatePolicy' });

const Asked = z.object(
  // Everything but the workspace, which the path names, may be left out.
  {
    action: z.enum(POLICY_ACTIONS),
    contextId: z.string().max(100).nullable().default(null),
    principal: z
      .strictObject({
        kind: z.enum(['user', 'agent', 'system']).default('agent'),
        id: z.string().max(200).default('example'),
        role: z.string().max(40).nullable().default(null),
      })
      .prefault({}),
    resource: z
      .strictObject({
        kind: z.string().max(100).default('agent'),
        id: z.string().max(200).default('example'),
      })
      .prefault({}),
    risk: z.enum(RISKS).default('medium'),
    intent: z.string().max(100_000).default(''),
    dataClass: z.enum(DATA_CLASSES).default('internal'),
    tool: z.string().max(1_000).default(''),
    subject: z.string().max(100_000).default(''),
    recipients: z.array(z.string().max(1_000)).max(1_000).default([]),
    isolated: z.boolean().default(true),
    payloadComplete: z.boolean().default(true),
  },
);
export const TestPolicySchema = z
  .strictObject({
    request: Asked.strict(),
    /** A version's number, 0 for the built-in policy; the active one where it is left out. */
    version: z.int().min(0).optional(),
  })
  .meta({ id: 'TestPolicy' });
export const PolicyDecisionSchema = z
  .object({
    verdict: z.enum(POLICY_VERDICTS),
    rule: z.string(),
    engine: z.enum(POLICY_ENGINES),
    version: z.int(),
    reason: z.string(),
  })
  .meta({ id: 'PolicyDecision' });
