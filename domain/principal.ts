import type { AgentId, ApiKeyId, ContextId, UserId, WorkspaceId } from './id.ts';

/** AR-3, from most to least powerful. */
export const ROLES = ['overlord', 'admin', 'operator', 'member', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

/** True when `role` may do whatever `needed` may. */
export function covers(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) <= ROLES.indexOf(needed);
}

/** The less powerful of two. */
export function lesserRole(one: Role, other: Role): Role {
  return covers(one, other) ? other : one;
}

/** What an API key was issued for. An action needs one of these beside the role. */
export const SCOPES = [
  'agents:read',
  'agents:write',
  'terminal:read',
  'terminal:write',
  'approvals:read',
  'approvals:decide',
  'events:read',
  'audit:read',
  'usage:read',
  'workspaces:read',
  'workspaces:write',
  'keys:write',
  'hosting:read',
  'hosting:write',
  'definitions:write',
  'documents:read',
  'documents:write',
  'messages:read',
  'messages:write',
  'limits:write',
  'webhooks:write',
  'codec:use',
  'users:read',
  'users:write',
  'contexts:read',
  'contexts:write',
  'policies:read',
  'policies:write',
  'connectors:read',
  'connectors:write',
  'pairings:write',
  'certificates:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** What nobody does from a chat, whatever his role: it belongs to the admin listener, or to a screen of one's own. */
const NOT_IN_CHAT: ReadonlySet<Scope> = new Set([
  'terminal:read',
  'terminal:write',
  'keys:write',
  'hosting:write',
  'codec:use',
  'users:write',
  'policies:write',
  'connectors:write',
  'pairings:write',
  'certificates:write',
]);
export const CHAT_SCOPES: readonly Scope[] = SCOPES.filter((scope) => !NOT_IN_CHAT.has(scope));

/** What a role can be bound to inside a workspace, besides the workspace itself and its contexts. */
export const THING_KINDS = ['skill', 'tool', 'command', 'model', 'mailbox'] as const;
export type ThingKind = (typeof THING_KINDS)[number];

/** Where a role holds: everywhere, in a workspace, in one of its contexts, or for one thing in it. */
export type RolePlace =
  | { readonly kind: 'installation' }
  | { readonly kind: 'workspace'; readonly workspaceId: WorkspaceId }
  | { readonly kind: 'context'; readonly workspaceId: WorkspaceId; readonly contextId: ContextId }
  | { readonly kind: ThingKind; readonly workspaceId: WorkspaceId; readonly name: string };

export interface RoleBinding {
  readonly role: Role;
  readonly place: RolePlace;
}

/** How a person was recognised. */
export const USER_VIAS = ['api_key', 'oidc', 'certificate', 'chat'] as const;
export type UserVia = (typeof USER_VIAS)[number];

export interface UserPrincipal {
  readonly kind: 'user';
  /** How this person is named in votes and audit: the user's id, or the key's where a key is nobody's in particular. */
  readonly id: string;
  readonly via: UserVia;
  readonly userId: UserId | null;
  /** Of the key that was shown; null where it was something else. */
  readonly keyId: ApiKeyId | null;
  readonly name: string;
  /** Already narrowed to what the key may do, where it was a key. */
  readonly bindings: readonly RoleBinding[];
  readonly scopes: readonly Scope[];
}

export type Principal =
  | UserPrincipal
  | { readonly kind: 'agent'; readonly id: AgentId; readonly workspaceId: WorkspaceId }
  | { readonly kind: 'system'; readonly id: string }
  | { readonly kind: 'temporal-ui'; readonly id: 'temporal-ui' };
