import type { SearchAttributePair } from '@temporalio/common';
import type { ApprovalState } from '../../domain/approval.ts';
import type { SearchAttribute } from '../../domain/search-attribute.ts';
import type { HostAgentInput } from './agent.ts';
import type { RequestApprovalInput } from './approval.ts';
import type { SpawnAgentsInput } from './spawn.ts';

/**
 * What the Web UI shows of a workflow and finds it by, given by whoever starts it. Ids and counts alone: names that
 * people chose, and what agents ask for, stay in the database.
 */
export interface Shown {
  readonly typedSearchAttributes: SearchAttributePair[];
  /** One line. */
  readonly staticSummary: string;
  /** Markdown. */
  readonly staticDetails: string;
}

export function shownSpawn({ spawnId, workspaceId, agentIds }: SpawnAgentsInput): Shown {
  const { length } = agentIds;
  return {
    typedSearchAttributes: [keyword('WorkspaceId', workspaceId), keyword('Feature', 'spawn')],
    staticSummary: `Starts ${length === 1 ? 'one agent' : `${length} agents`}`,
    staticDetails: `Spawn \`${spawnId}\` in workspace \`${workspaceId}\`. Ends when each agent is usable or has failed.`,
  };
}

export function shownAgent({ agentId, workspaceId, spawnId }: HostAgentInput): Shown {
  const origin = spawnId === null ? '' : ` of spawn \`${spawnId}\``;
  return {
    typedSearchAttributes: [
      keyword('WorkspaceId', workspaceId),
      keyword('AgentId', agentId),
      keyword('Feature', 'agent'),
    ],
    staticSummary: `The life of agent ${agentId}`,
    staticDetails: `Agent \`${agentId}\`${origin} in workspace \`${workspaceId}\`. \`rookery agents get ${agentId}\` shows it.`,
  };
}

export function shownApproval({ approvalId, workspaceId, asker }: RequestApprovalInput): Shown {
  const { agentId } = asker;
  return {
    typedSearchAttributes: [
      keyword('WorkspaceId', workspaceId),
      ...(agentId === null ? [] : [keyword('AgentId', agentId)]),
      keyword('Feature', 'approval'),
      approvalStateIs('open'),
    ],
    staticSummary:
      agentId === null ? 'A person wants to start agents' : `A question of agent ${agentId}`,
    staticDetails: `Approval \`${approvalId}\` in workspace \`${workspaceId}\`. What is asked is not kept here: \`rookery approvals get ${approvalId}\` shows it.`,
  };
}

export function approvalStateIs(state: ApprovalState): SearchAttributePair {
  return keyword('ApprovalState', state);
}

function keyword(name: SearchAttribute, value: string): SearchAttributePair {
  return { key: { name, type: 'KEYWORD' }, value };
}
