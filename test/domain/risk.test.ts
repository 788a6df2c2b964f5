import { describe, expect, test } from 'vitest';
import { DEFAULT_RISKS, riskOf, riskOfAsked, type RiskRule } from '../../domain/risk.ts';

const PROMPT = {
  kind: 'permission',
  tool: 'Bash',
  subject: 'npm publish',
  payloadComplete: true,
  isolated: true,
  chosenEffect: 'allow_once',
} as const;

function riskBy(rules: readonly RiskRule[], more: Partial<typeof PROMPT> | object = {}) {
  return riskOfAsked({ rules }, { ...PROMPT, ...more });
}

describe('the table of risks', () => {
  test('says nothing of itself: a whole, isolated permission is of medium risk', () => {
    expect(riskBy(DEFAULT_RISKS.rules)).toBe('medium');
  });

  test('the first line without words decides, by kind and tool', () => {
    const rules: RiskRule[] = [
      { tool: 'Read*', risk: 'low' },
      { kind: 'permission', tool: 'Bash', risk: 'high' },
      { tool: 'Bash', risk: 'low' },
    ];
    expect(riskBy(rules)).toBe('high');
    expect(riskBy(rules, { tool: 'ReadFile' })).toBe('low');
    expect(riskBy(rules, { tool: 'Write' })).toBe('medium');
  });

  test('words raise a risk, and never lower one', () => {
    const rules: RiskRule[] = [{ contains: 'npm', risk: 'low' }];
    expect(riskBy(rules)).toBe('medium');
    expect(riskBy([{ contains: 'publish', risk: 'high' }])).toBe('high');
    expect(
      riskBy([
        { tool: 'Bash', risk: 'low' },
        { contains: 'publish', risk: 'high' },
      ]),
    ).toBe('high');
  });

  test.each([
    ['cut', { payloadComplete: false }],
    ['outside isolation', { isolated: false }],
    ['of an unknown kind', { kind: 'unknown' }],
    ['one that permits more', { chosenEffect: 'widen' }],
  ])('no line makes a dialog harmless that is %s', (_what, more) => {
    expect(riskBy([{ tool: 'Bash', risk: 'low' }], more)).toBe('high');
  });

  test('what is asked for otherwise has its own usual risk and floor', () => {
    const facts = { kind: 'grant', tool: '', subject: '', floor: 'high', usual: 'high' } as const;
    expect(riskOf({ rules: [{ kind: 'grant', risk: 'low' }] }, facts)).toBe('high');
    const post = { ...facts, kind: 'post', floor: 'low', usual: 'medium' } as const;
    expect(riskOf({ rules: [{ kind: 'post', risk: 'low' }] }, post)).toBe('low');
  });
});
