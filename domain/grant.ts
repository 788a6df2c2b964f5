import { covers, type Role } from './principal.ts';

/** What agents may be allowed to do, and on what. A grant is one of each, `read:documents`. */
export const GRANT_VERBS = ['read', 'write', 'delete', 'assign', 'delegate', 'execute'] as const;
export const GRANT_THINGS = [
  'documents',
  'tasks',
  'memory',
  'messages',
  'chat',
  'approvals',
  'research',
] as const;

export type GrantVerb = (typeof GRANT_VERBS)[number];
export type GrantThing = (typeof GRANT_THINGS)[number];
export type AgentGrant = `${GrantVerb}:${GrantThing}`;

/** Every grant that means something. Nothing lets an agent decide an approval: `write:approvals` is to ask for one. */
export const AGENT_GRANTS = [
  'read:documents',
  'write:documents',
  'delete:documents',
  'read:tasks',
  'write:tasks',
  'delete:tasks',
  'assign:tasks',
  'delegate:tasks',
  'execute:tasks',
  'read:memory',
  'write:memory',
  'delete:memory',
  'read:messages',
  'write:messages',
  'write:chat',
  'read:approvals',
  'write:approvals',
  'read:research',
  'execute:research',
] as const satisfies readonly AgentGrant[];

/**
 * What an agent has without anybody being asked, unless the configuration says otherwise: to read what the workspace
 * shares, to speak with people, to ask them, and to keep notes. What it says in chats passes the gate each time. Its own folder of documents it may always write.
 */
export const DEFAULT_GRANTS = [
  'read:documents',
  'read:memory',
  'write:memory',
  'read:messages',
  'write:messages',
  'write:chat',
  'read:approvals',
  'write:approvals',
] as const satisfies readonly AgentGrant[];

/** The least role whose agents may have it: nobody hands on what is not theirs. */
const ROLE_FOR_VERB = {
  read: 'viewer',
  write: 'member',
  execute: 'operator',
  assign: 'operator',
  delegate: 'operator',
  delete: 'admin',
} as const satisfies Record<GrantVerb, Role>;

export interface GrantFacts {
  /** Of whoever the agent works for, now; null when that key is good no longer. */
  readonly role: Role | null;
  /** By the spawn or its definition; null where it says nothing, which means the default. */
  readonly asked: readonly AgentGrant[] | null;
  readonly byDefault: readonly AgentGrant[];
  /** What people have approved for this agent. */
  readonly approved: readonly AgentGrant[];
}

export interface GrantDecision {
  /** What the agent has now. */
  readonly granted: readonly AgentGrant[];
  /** What it asks for and its owner could give, once an admin approves. */
  readonly toApprove: readonly AgentGrant[];
}

/** RD-8: role of the owner ∩ what was asked for; beyond the default only what people approved. */
export function decideGrants({ role, asked, byDefault, approved }: GrantFacts): GrantDecision {
  const allowed = new Set(withinRole(role, AGENT_GRANTS));
  const wanted = AGENT_GRANTS.filter(
    (grant) =>
      allowed.has(grant) && (approved.includes(grant) || (asked ?? byDefault).includes(grant)),
  );
  const isFree = (grant: AgentGrant): boolean =>
    byDefault.includes(grant) || approved.includes(grant);
  return {
    granted: wanted.filter(isFree),
    toApprove: wanted.filter((grant) => !isFree(grant)),
  };
}

export function withinRole(role: Role | null, grants: readonly AgentGrant[]): AgentGrant[] {
  if (role === null) return [];
  return grants.filter((grant) => covers(role, ROLE_FOR_VERB[verbOf(grant)]));
}

function verbOf(grant: AgentGrant): GrantVerb {
  const verb = GRANT_VERBS.find((each) => grant.startsWith(`${each}:`));
  if (verb === undefined) throw new Error(`${grant} has no verb.`);
  return verb;
}
