/** Of a guild or group, or of one person. */
export const WORKSPACE_KINDS = ['community', 'private'] as const;
export type WorkspaceKind = (typeof WORKSPACE_KINDS)[number];

/** Where work happens inside a workspace. Approvals are shown and taken in the admin hub. `plain` is bound to no chat. */
export const CONTEXT_KINDS = ['channel', 'thread', 'group', 'dm', 'admin_hub', 'plain'] as const;
export type ContextKind = (typeof CONTEXT_KINDS)[number];
