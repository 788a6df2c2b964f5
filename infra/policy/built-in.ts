import type {
  PolicyAction,
  PolicyDecision,
  PolicyEngine,
  PolicyRequest,
  PolicyVerdict,
} from '../../domain/policy.ts';
import { covers, ROLES, type Role } from '../../domain/principal.ts';
import { isInOwnContext } from './cedar-request.ts';

/** A line of the default policy. */
export interface BuiltInRule {
  readonly id: string;
  readonly actions: readonly PolicyAction[];
  readonly when: (request: PolicyRequest) => boolean;
  readonly verdict: PolicyVerdict;
  readonly reason: string;
}

/**
 * What holds where a workspace has no policy of its own. Read from the top: the first line that fits decides, and what
 * fits none is asked of people. Only two things happen unasked: what a person with the right starts, and what is said
 * where the asker was spoken to; neither of them after text that strangers wrote. `DEFAULT_CEDAR` says the same in the
 * language of policies, and a test holds both together.
 */
export const BUILT_IN_RULES: readonly BuiltInRule[] = [
  {
    id: 'untrusted-asks',
    actions: ['agent.spawn', 'chat.post'],
    when: ({ dataClass }) => dataClass === 'untrusted',
    verdict: 'ask',
    reason: 'It goes back to text that a stranger wrote, so a person looks first.',
  },
  {
    id: 'person-spawns',
    actions: ['agent.spawn'],
    when: ({ principal }) =>
      principal.kind === 'user' && isRole(principal.role) && covers(principal.role, 'operator'),
    verdict: 'allow',
    reason: 'An operator may start agents.',
  },
  {
    id: 'private-post-asks',
    actions: ['chat.post'],
    when: ({ dataClass }) => dataClass === 'private',
    verdict: 'ask',
    reason: 'It holds what is private, and others may read along in a chat.',
  },
  {
    id: 'doubtful-post-asks',
    actions: ['chat.post'],
    when: ({ risk, payloadComplete }) => risk === 'high' || !payloadComplete,
    verdict: 'ask',
    reason: 'Its risk is high, or not all of it could be read.',
  },
  {
    id: 'own-context-post',
    actions: ['chat.post'],
    when: isInOwnContext,
    verdict: 'allow',
    reason: 'An answer where the question was asked.',
  },
];

const NOTHING_FITS = { id: 'default', verdict: 'ask', reason: 'People decide.' } as const;

/** The safe default: no database, no configuration, the same answer everywhere. */
export function createBuiltInPolicy(): PolicyEngine {
  return { decide: (request) => Promise.resolve(decideBuiltIn(request)) };
}

export function decideBuiltIn(request: PolicyRequest): PolicyDecision {
  const rule =
    BUILT_IN_RULES.find(({ actions, when }) => actions.includes(request.action) && when(request)) ??
    NOTHING_FITS;
  const { id, verdict, reason } = rule;
  return { verdict, rule: id, engine: 'built-in', version: 0, reason };
}

function isRole(role: string | null): role is Role {
  return ROLES.some((each) => each === role);
}
