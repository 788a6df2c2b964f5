/** Every kind of event, one line each: the closed list that SSE filters, webhooks and docs are made from. */
export const EVENT_TYPES = [
  'workspace.created',
  'spawn.requested',
  'spawn.finished',
  'agent.state_changed',
  'agent.queued',
  'agent.login_required',
  'agent.prompt_opened',
  'agent.prompt_closed',
  'agent.turn_ended',
  'agent.warning',
  'agent.input_delivered',
  'approval.requested',
  'approval.voted',
  'approval.reminded',
  'approval.escalated',
  'approval.decided',
  'approval.expired',
  'approval.voided',
  'approval.delivered',
  'key.created',
  'key.revoked',
  'enrolment.offered',
  'enrolment.locked',
  'certificate.issued',
  'certificate.renewed',
  'certificate.revoked',
  'user.created',
  'user.disabled',
  'user.enabled',
  'identity.linked',
  'identity.unlinked',
  'role.granted',
  'role.revoked',
  'context.created',
  'context.changed',
  'context.archived',
  'settings.changed',
  'host.connected',
  'host.lost',
  'host.enrolled',
  'host.revoked',
  'host.draining',
  'hosting.changed',
  'hosting.tested',
  'agent.moved',
  'agent.limit_reached',
  'agent_key.issued',
  'agent_key.revoked',
  'definition.created',
  'definition.changed',
  'definition.archived',
  'document.written',
  'document.deleted',
  'message.sent',
  'message.answered',
  'memory.noted',
  'model.budget_reached',
  'limit.changed',
  'webhook.created',
  'webhook.changed',
  'webhook.disabled',
  'webhook.dead_lettered',
  'webhook.deleted',
  'callback.agent_reported',
  'callback.runtime_reported',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** An event as readers get it. `data` is small and carries ids, never terminal bytes or secrets. */
export interface Event {
  readonly workspaceId: string;
  readonly seq: number;
  readonly type: EventType;
  /** Of `data`'s shape. */
  readonly version: number;
  /** The record it is about: an agent, approval, spawn … id. */
  readonly subjectId: string;
  readonly at: string;
  readonly data: Readonly<Record<string, unknown>>;
}
