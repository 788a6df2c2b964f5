import type { Route } from '../route.ts';
import { agentKeyRoutes } from './agent-key.ts';
import { agentRoutes } from './agent.ts';
import { approvalRoutes } from './approval.ts';
import { auditRoutes } from './audit.ts';
import { certificateRoutes } from './certificate.ts';
import { compatRoutes } from './compat.ts';
import { compatSocketRoutes } from './compat-socket.ts';
import { contextRoutes } from './context.ts';
import { definitionRoutes } from './definition.ts';
import { callbackRoutes } from './callback.ts';
import { codecRoutes } from './codec.ts';
import { documentRoutes } from './document.ts';
import { enrolmentRoutes } from './enrolment.ts';
import { eventRoutes } from './event.ts';
import { explainRoutes } from './explain.ts';
import { healthRoutes } from './health.ts';
import { hostingRoutes } from './hosting.ts';
import { connectorRoutes } from './connector.ts';
import { hostRoutes } from './host.ts';
import { hostLinkRoutes } from './host-link.ts';
import { identityRoutes } from './identity.ts';
import { keyRoutes } from './key.ts';
import { limitRoutes } from './limit.ts';
import { mcpRoutes } from './mcp.ts';
import { llmRoutes } from './llm.ts';
import { modelRoutes } from './model.ts';
import { messageRoutes } from './message.ts';
import { openApiRoute } from './openapi.ts';
import { panelAdminRoutes } from './panel-admin.ts';
import { panelRecordRoutes } from './panel-records.ts';
import { panelSessionRoutes } from './panel-session.ts';
import { panelRoutes } from './panel.ts';
import { pairingRoutes } from './pairing.ts';
import { policyRoutes } from './policy.ts';
import { registryRoutes } from './registry.ts';
import { roleBindingRoutes } from './role-binding.ts';
import { sessionRoutes } from './session.ts';
import { settingRoutes } from './setting.ts';
import { spawnRoutes } from './spawn.ts';
import { standingApprovalRoutes } from './standing-approval.ts';
import { terminalRoutes } from './terminal.ts';
import { usageRoutes } from './usage.ts';
import { userRoutes } from './user.ts';
import { webhookRoutes } from './webhook.ts';
import { workspaceRoutes } from './workspace.ts';

/** Every route there is. What is not in this list does not exist. */
export const routes: readonly Route[] = [
  ...healthRoutes,
  openApiRoute(() => routes),
  ...workspaceRoutes,
  ...keyRoutes,
  ...enrolmentRoutes,
  ...certificateRoutes,
  ...userRoutes,
  ...identityRoutes,
  ...roleBindingRoutes,
  ...pairingRoutes,
  ...explainRoutes(() => routes),
  ...contextRoutes,
  ...settingRoutes,
  ...definitionRoutes,
  ...limitRoutes,
  ...spawnRoutes,
  ...agentRoutes,
  ...registryRoutes,
  ...sessionRoutes,
  ...terminalRoutes,
  ...approvalRoutes,
  ...standingApprovalRoutes,
  ...eventRoutes,
  ...auditRoutes,
  ...codecRoutes,
  ...usageRoutes,
  ...modelRoutes,
  ...llmRoutes,
  ...panelSessionRoutes,
  ...panelRoutes,
  ...panelRecordRoutes,
  ...panelAdminRoutes,
  ...policyRoutes,
  ...webhookRoutes,
  ...hostLinkRoutes,
  ...connectorRoutes,
  ...hostRoutes,
  ...hostingRoutes,
  ...callbackRoutes,
  ...agentKeyRoutes,
  ...documentRoutes,
  ...messageRoutes,
  ...mcpRoutes,
  ...compatRoutes,
  ...compatSocketRoutes,
];
