import type { AgentGrant } from '../../domain/grant.ts';
import type { AgentCaller } from '../middleware/agent-auth.ts';
import { approvalTools } from './approval-tools.ts';
import { chatTools } from './chat-tools.ts';
import { documentTools } from './document-tools.ts';
import { memoryTools } from './memory-tools.ts';
import { messageTools } from './message-tools.ts';
import { statusTool } from './status-tool.ts';
import type { McpTool } from './tool.ts';

/** Every tool there is, in the order in which clients see them. What is not in this list does not exist. */
export const TOOLS: readonly McpTool[] = [
  statusTool,
  ...documentTools,
  ...messageTools,
  ...approvalTools,
  ...chatTools,
  ...memoryTools,
];

/** Those that the agent's grants open and its spawn did not leave out. */
export function toolsFor(agent: AgentCaller): readonly McpTool[] {
  return TOOLS.filter(({ name, grant }) => has(agent.grants, grant) && isChosen(name, agent.tools));
}

function has(grants: readonly AgentGrant[], grant: AgentGrant | null): boolean {
  return grant === null || grants.includes(grant);
}

/** `read_*` covers all that begin so. */
function isChosen(name: string, tools: readonly string[] | null): boolean {
  if (tools === null) return true;
  return tools.some((chosen) =>
    chosen.endsWith('*') ? name.startsWith(chosen.slice(0, -1)) : name === chosen,
  );
}
