import type { PolicyRequest } from '../../../domain/policy.ts';

/** What an agent asks when its CLI shows a dialog, unless told otherwise. */
export function aRequest(request: Partial<PolicyRequest> = {}): PolicyRequest {
  return {
    workspaceId: 'ws_1',
    contextId: null,
    principal: { kind: 'agent', id: 'agt_1', role: 'operator' },
    action: 'agent.prompt',
    resource: { kind: 'agent', id: 'agt_1' },
    risk: 'medium',
    intent: 'Tidy the build folder',
    dataClass: 'internal',
    tool: 'Bash',
    subject: 'rm -rf build',
    recipients: [],
    isolated: true,
    payloadComplete: true,
    ...request,
  };
}
