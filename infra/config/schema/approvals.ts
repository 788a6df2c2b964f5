import * as z from 'zod';
import { integer, oneOf } from '../setting.ts';
import { DAY_MS, HOUR_MS, WAIT } from './limits.ts';
import { riskSettings } from './risks.ts';

export const approvals = z.strictObject({
  expiryMs: integer(
    { ...WAIT, fallback: DAY_MS },
    { env: 'ROOKERY_APPROVALS_EXPIRY_MS', about: 'An approval nobody decides expires after this.' },
  ),
  remindAfterMs: integer(
    { ...WAIT, fallback: HOUR_MS },
    { env: 'ROOKERY_APPROVALS_REMIND_AFTER_MS', about: 'When to remind of an open approval.' },
  ),
  escalateAfterMs: integer(
    { ...WAIT, fallback: 4 * HOUR_MS },
    { env: 'ROOKERY_APPROVALS_ESCALATE_AFTER_MS', about: 'When to escalate an open approval.' },
  ),
  quorum: integer(
    { min: 1, max: 20, fallback: 1 },
    { env: 'ROOKERY_APPROVALS_QUORUM', about: 'How many people must grant; one refusal refuses.' },
  ),
  temporalUi: oneOf(['refused', 'trusted'], 'refused', {
    env: 'ROOKERY_APPROVALS_TEMPORAL_UI',
    about:
      'Whether whoever reaches the Temporal Web UI may decide what is not of high risk: refused or trusted.',
  }),
  ...riskSettings,
});
