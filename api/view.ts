import type { Event } from '../domain/event.ts';
import { parseId } from '../domain/id.ts';
import type { ListedAgent } from '../infra/db/queries/agent.ts';
import type { Spawn } from '../infra/db/queries/spawn.ts';
import type { Workspace } from '../infra/db/queries/workspace.ts';

/** From rows to wire shapes: ids are told apart again, times become RFC 3339. */
export function workspaceView({ id, slug, name, createdAt, kind, ownerUserId }: Workspace) {
  return {
    id: parseId('workspace', id),
    slug,
    name,
    createdAt: createdAt.toISOString(),
    kind,
    ownerUserId: ownerUserId === null ? null : parseId('user', ownerUserId),
  };
}

export function spawnView({
  id,
  workspaceId,
  state,
  count,
  createdBy,
  createdAt,
  ...spawn
}: Spawn) {
  return {
    id: parseId('spawn', id),
    workspaceId: parseId('workspace', workspaceId),
    state,
    count,
    createdBy,
    createdAt: createdAt.toISOString(),
    approvalId: spawn.approvalId === null ? null : parseId('approval', spawn.approvalId),
  };
}

export function agentView(agent: ListedAgent) {
  return {
    ...agent,
    id: parseId('agent', agent.id),
    workspaceId: parseId('workspace', agent.workspaceId),
    spawnId: parseId('spawn', agent.spawnId),
    definitionId: agent.definitionId === null ? null : parseId('definition', agent.definitionId),
    contextId: agent.contextId === null ? null : parseId('context', agent.contextId),
    labels: { ...agent.labels },
    createdAt: agent.createdAt.toISOString(),
    endedAt: agent.endedAt?.toISOString() ?? null,
  };
}

export function eventView(event: Event) {
  return {
    ...event,
    workspaceId: parseId('workspace', event.workspaceId),
    data: { ...event.data },
  };
}
