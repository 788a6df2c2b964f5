import { expect, test } from 'vitest';
import { AGENT_GRANTS, DEFAULT_GRANTS, decideGrants } from '../../domain/grant.ts';
import type { AgentGrant, GrantFacts } from '../../domain/grant.ts';

const facts: GrantFacts = {
  role: 'operator',
  asked: null,
  byDefault: DEFAULT_GRANTS,
  approved: [],
};

interface Case {
  readonly when: string;
  readonly given: Partial<GrantFacts>;
  readonly granted: readonly AgentGrant[];
  readonly toApprove: readonly AgentGrant[];
}

const cases: readonly Case[] = [
  {
    when: 'a spawn that says nothing has the default',
    given: {},
    granted: [
      'read:documents',
      'read:memory',
      'write:memory',
      'read:messages',
      'write:messages',
      'write:chat',
      'read:approvals',
      'write:approvals',
    ],
    toApprove: [],
  },
  {
    when: 'a spawn that asks for less has less',
    given: { asked: ['read:documents'] },
    granted: ['read:documents'],
    toApprove: [],
  },
  {
    when: 'what is beyond the default waits for an approval',
    given: { asked: ['read:documents', 'write:documents'] },
    granted: ['read:documents'],
    toApprove: ['write:documents'],
  },
  {
    when: 'what was approved is there, also where the spawn did not ask for it',
    given: { asked: ['read:documents'], approved: ['write:documents'] },
    granted: ['read:documents', 'write:documents'],
    toApprove: [],
  },
  {
    when: 'nobody hands on what their role does not have, approved or not',
    given: { asked: ['delete:documents'], approved: ['delete:tasks'] },
    granted: [],
    toApprove: [],
  },
  {
    when: 'an admin may ask for more',
    given: { role: 'admin', asked: ['delete:documents'] },
    granted: [],
    toApprove: ['delete:documents'],
  },
  {
    when: 'a viewer’s agent reads',
    given: { role: 'viewer' },
    granted: ['read:documents', 'read:memory', 'read:messages', 'read:approvals'],
    toApprove: [],
  },
  {
    when: 'the agent of a key that was revoked has nothing',
    given: { role: null, approved: ['write:documents'] },
    granted: [],
    toApprove: [],
  },
  {
    when: 'a grant that means nothing is left out',
    given: { role: 'overlord', asked: ['execute:approvals', 'read:documents'] },
    granted: ['read:documents'],
    toApprove: [],
  },
];

test.each(cases)('$when', ({ given, granted, toApprove }) => {
  expect(decideGrants({ ...facts, ...given })).toEqual({ granted, toApprove });
});

test('whatever is asked, what is granted is free or approved, and within the role', () => {
  for (const role of ['overlord', 'admin', 'operator', 'member', 'viewer', null] as const) {
    const { granted, toApprove } = decideGrants({ ...facts, role, asked: AGENT_GRANTS });
    const byDefault: readonly AgentGrant[] = DEFAULT_GRANTS;
    expect(granted.every((grant) => byDefault.includes(grant))).toBe(true);
    expect(granted.filter((grant) => toApprove.includes(grant))).toEqual([]);
  }
});
