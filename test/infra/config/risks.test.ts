import { expect, test } from 'vitest';
import { DEFAULT_RISKS } from '../../../domain/risk.ts';
import { readConfig } from '../../../infra/config/read.ts';
import { riskTableOf } from '../../../infra/config/risk-table.ts';

function tableOf(env: Readonly<Record<string, string>>) {
  return riskTableOf(readConfig({ env: { HOME: '/home/a', ...env }, cwd: '/' }).approvals);
}

const read = (risks: unknown) => tableOf({ ROOKERY_APPROVALS_RISKS: JSON.stringify(risks) });

test('nothing configured is the table that the code has', () => {
  expect(tableOf({})).toEqual(DEFAULT_RISKS);
});

test('what is named is taken, and the rest stays as it is', () => {
  const table = read({
    rules: [{ tool: 'mcp__*', risk: 'high' }],
    high: { quorum: 2, role: 'overlord' },
  });
  expect(table.rules).toEqual([{ tool: 'mcp__*', risk: 'high' }]);
  expect(table.terms.high).toEqual({ ...DEFAULT_RISKS.terms.high, quorum: 2, role: 'overlord' });
  expect(table.terms.medium).toEqual(DEFAULT_RISKS.terms.medium);
});

test('more days than the most are never the default', () => {
  const days = { ROOKERY_APPROVALS_STANDING_DAYS_MAX: '30' };
  expect(tableOf(days).standing).toMatchObject({ days: 30, daysMax: 30, highRisk: false });
});

test.each([
  ['a rule about nothing', { rules: [{ risk: 'low' }] }, 'one of kind, tool and contains'],
  ['a risk that is none', { rules: [{ tool: 'x', risk: 'none' }] }, 'risk'],
  ['a star in the middle', { rules: [{ tool: 'a*b', risk: 'low' }] }, 'at the end'],
  ['operators for a high risk', { high: { role: 'operator' } }, 'admin or an overlord'],
  ['viewers for anything', { low: { role: 'viewer' } }, 'role'],
  ['nobody', { low: { quorum: 0 } }, 'quorum'],
  [
    'a reminder after the escalation',
    { low: { remindAfterMs: 5_000, escalateAfterMs: 2_000 } },
    'remindAfterMs',
  ],
  [
    'an expiry before the reminder',
    { low: { remindAfterMs: 5_000, expireAfterMs: 4_000 } },
    'expireAfterMs',
  ],
  ['a name that is none', { severe: {} }, 'severe'],
])('%s is refused in words', (_what, risks, words) => {
  expect(() => read(risks)).toThrow(words);
});
