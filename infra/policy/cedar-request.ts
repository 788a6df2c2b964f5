import type { StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyRequest } from '../../domain/policy.ts';
import { covers, ROLES } from '../../domain/principal.ts';

const PRINCIPAL_TYPES = { user: 'User', agent: 'Agent', system: 'System' } as const;

/** Kinds of records that policies know by name; another is a `Thing`. */
const RESOURCE_TYPES: ReadonlyMap<string, string> = new Map([
  ['user', 'User'],
  ['agent', 'Agent'],
  ['workspace', 'Workspace'],
  ['context', 'Context'],
  ['spawn', 'Spawn'],
  ['definition', 'Definition'],
  ['connector', 'Connector'],
  ['prompt', 'Prompt'],
]);

type CedarRequest = Omit<StatefulAuthorizationCall, 'preparsedPolicySetId'>;

/** A request in Cedar's words, as `CEDAR_SCHEMA` has it. */
export function cedarRequest(request: PolicyRequest): CedarRequest {
  const uid = { type: PRINCIPAL_TYPES[request.principal.kind], id: request.principal.id };
  return {
    principal: uid,
    action: { type: 'Action', id: request.action },
    resource: {
      type: RESOURCE_TYPES.get(request.resource.kind) ?? 'Thing',
      id: request.resource.id,
    },
    context: {
      risk: request.risk,
      dataClass: request.dataClass,
      intent: request.intent,
      tool: request.tool,
      subject: request.subject,
      recipients: [...request.recipients],
      isolated: request.isolated,
      payloadComplete: request.payloadComplete,
      contextId: request.contextId ?? '',
      inOwnContext: isInOwnContext(request),
    },
    entities: [{ uid, attrs: {}, parents: rolesOf(request.principal.role) }],
  };
}

/** Whether it is about the context where it was asked. */
export function isInOwnContext({ contextId, resource }: PolicyRequest): boolean {
  return contextId !== null && resource.kind === 'context' && resource.id === contextId;
}

function rolesOf(name: string | null): { readonly type: string; readonly id: string }[] {
  const role = ROLES.find((each) => each === name);
  if (role === undefined) return [];
  return ROLES.filter((each) => covers(role, each)).map((id) => ({ type: 'Role', id }));
}
