import * as z from 'zod';
import { RISKS } from '../../../domain/approval.ts';
import { DECIDING_ROLES, DEFAULT_RISKS } from '../../../domain/risk.ts';
import { oneOf, integer, settings } from '../setting.ts';
import { WAIT } from './limits.ts';

const RULES_MAX = 200;
const Words = z.string().min(1).max(400);
const Wait = z.int().min(WAIT.min).max(WAIT.max);

const Rule = z
  .strictObject({
    kind: Words.optional(),
    tool: Words.refine(
      (name) => !name.slice(0, -1).includes('*'),
      'a * stands at the end only',
    ).optional(),
    contains: Words.optional(),
    risk: z.enum(RISKS),
  })
  .refine(
    ({ kind, tool, contains }) =>
      kind !== undefined || tool !== undefined || contains !== undefined,
    'expected one of kind, tool and contains beside the risk',
  );

const Terms = z
  .strictObject({
    role: z.enum(DECIDING_ROLES).optional(),
    quorum: z.int().min(1).max(20).optional(),
    remindAfterMs: Wait.optional(),
    escalateAfterMs: Wait.optional(),
    expireAfterMs: Wait.optional(),
  })
  .refine(
    ({ remindAfterMs = 0, escalateAfterMs = Infinity }) => remindAfterMs <= escalateAfterMs,
    'remindAfterMs is after escalateAfterMs',
  )
  .refine(
    ({ remindAfterMs = 0, escalateAfterMs = 0, expireAfterMs = Infinity }) =>
      Math.max(remindAfterMs, escalateAfterMs) < expireAfterMs,
    'expireAfterMs is not after remindAfterMs and escalateAfterMs',
  );

const HighTerms = Terms.refine(
  ({ role }) => role !== 'operator',
  'a high risk is decided by an admin or an overlord',
);

/** What approvals and the gate go by beside the times of `approvals`. */
export const riskSettings = {
  risks: z
    .strictObject({
      rules: z.array(Rule).max(RULES_MAX).optional(),
      low: Terms.optional(),
      medium: Terms.optional(),
      high: HighTerms.optional(),
    })
    .default(() => ({}))
    .register(settings, {
      form: 'json',
      env: 'ROOKERY_APPROVALS_RISKS',
      about:
        'What is how risky (rules), and who decides it by which quorum and times (low, medium, high); see approvals.md.',
    }),
  standingHighRisk: oneOf(['never', 'allowed'], 'never', {
    env: 'ROOKERY_APPROVALS_STANDING_HIGH_RISK',
    about: 'Whether what has a high risk may be approved for ever: never or allowed.',
  }),
  standingDays: integer(
    { min: 1, max: 3_650, fallback: DEFAULT_RISKS.standing.days },
    {
      env: 'ROOKERY_APPROVALS_STANDING_DAYS',
      about: 'Days after which what was approved for ever is asked again, unless its maker said.',
    },
  ),
  standingDaysMax: integer(
    { min: 1, max: 3_650, fallback: DEFAULT_RISKS.standing.daysMax },
    {
      env: 'ROOKERY_APPROVALS_STANDING_DAYS_MAX',
      about: 'The most days that anything may be approved for ever.',
    },
  ),
};
