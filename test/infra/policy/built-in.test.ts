import { expect, test } from 'vitest';
import { POLICY_ACTIONS, type PolicyRequest } from '../../../domain/policy.ts';
import { BUILT_IN_RULES, createBuiltInPolicy } from '../../../infra/policy/built-in.ts';
import { aRequest } from './requests.ts';

const policy = createBuiltInPolicy();

async function verdict(request: Partial<PolicyRequest>): Promise<string> {
  const decided = await policy.decide(aRequest(request));
  expect(decided).toMatchObject({ engine: 'built-in', version: 0 });
  expect(decided.reason).not.toBe('');
  return `${decided.verdict} by ${decided.rule}`;
}

const operator = { kind: 'user', id: 'usr_1', role: 'operator' } as const;
const here = { kind: 'context', id: 'ctx_1' };
const post = { action: 'chat.post', contextId: 'ctx_1', resource: here, risk: 'low' } as const;

test.each([
  ['a dialog of a CLI', { action: 'agent.prompt' }, 'ask by default'],
  ['more grants for an agent', { action: 'agent.grant' }, 'ask by default'],
  ['a question to people', { action: 'agent.question' }, 'ask by default'],
  [
    'an operator starts one',
    { action: 'agent.spawn', principal: operator },
    'allow by person-spawns',
  ],
  [
    'an operator starts one for what a stranger wrote',
    { action: 'agent.spawn', principal: operator, dataClass: 'untrusted' },
    'ask by untrusted-asks',
  ],
  [
    'a member starts one',
    { action: 'agent.spawn', principal: { ...operator, role: 'member' } },
    'ask by default',
  ],
  [
    'an agent starts one',
    { action: 'agent.spawn', principal: { kind: 'agent', id: 'agt_1', role: 'overlord' } },
    'ask by default',
  ],
  ['an answer where it was asked', post, 'allow by own-context-post'],
  ['a post elsewhere', { ...post, resource: { ...here, id: 'ctx_2' } }, 'ask by default'],
  [
    'a post to something else of that id',
    { ...post, resource: { kind: 'connector', id: 'ctx_1' } },
    'ask by default',
  ],
  ['a post by one without a context', { ...post, contextId: null }, 'ask by default'],
  ['an answer with private text', { ...post, dataClass: 'private' }, 'ask by private-post-asks'],
  ['an answer to a stranger', { ...post, dataClass: 'untrusted' }, 'ask by untrusted-asks'],
  ['a risky answer', { ...post, risk: 'high' }, 'ask by doubtful-post-asks'],
  ['an answer that was cut', { ...post, payloadComplete: false }, 'ask by doubtful-post-asks'],
] satisfies [string, Partial<PolicyRequest>, string][])('%s', async (_title, request, expected) => {
  expect(await verdict(request)).toBe(expected);
});

test('nothing that goes back to a stranger is ever allowed unasked', async () => {
  for (const action of POLICY_ACTIONS) {
    for (const kind of ['user', 'agent', 'system'] as const) {
      const principal = { kind, id: 'x', role: 'overlord' };
      const request = { ...post, action, principal, dataClass: 'untrusted' } as const;
      expect(await verdict(request)).toContain('ask by');
    }
  }
});

test('each rule has a name of its own', () => {
  const ids = BUILT_IN_RULES.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
