import type { CedarValueJson, StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyRequest } from '../../domain/policy.ts';
import { covers, ROLES, type Role } from '../../domain/principal.ts';

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

/** What a policy may look at besides who, what and which. Half of a surrogate pair would make Cedar throw. */
const FACTS = {
  risk: ({ risk }) => risk,
  dataClass: ({ dataClass }) => dataClass,
  intent: ({ intent }) => intent.toWellFormed(),
  tool: ({ tool }) => tool.toWellFormed(),
  subject: ({ subject }) => subject.toWellFormed(),
  recipients: ({ recipients }) => recipients.map((each) => each.toWellFormed()),
  isolated: ({ isolated }) => isolated,
  payloadComplete: ({ payloadComplete }) => payloadComplete,
  contextId: ({ contextId }) => (contextId ?? '').toWellFormed(),
  inOwnContext: isInOwnContext,
} as const satisfies Record<string, (request: PolicyRequest) => CedarValueJson>;
type Fact = keyof typeof FACTS;
// The keys of a closed table.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const FACT_NAMES = Object.keys(FACTS) as readonly Fact[];

/** Which parts of a request policies look at. Each part that is left out saves 3 µs, or what its text is long. */
export interface CedarNeeds {
  readonly facts: readonly Fact[];
  readonly roles: readonly Role[];
}

const EVERYTHING: CedarNeeds = { facts: FACT_NAMES, roles: ROLES };

/** By the words that occur in a text. An escape may hide one. */
export function needsOf(text: string): CedarNeeds {
  if (/\\[ux]/.test(text)) return EVERYTHING;
  const words = new Set(text.match(/\w+/g));
  return {
    facts: FACT_NAMES.filter((name) => words.has(name)),
    roles: ROLES.filter((name) => words.has(name)),
  };
}

/** A request in Cedar's words, as `CEDAR_SCHEMA` has it. */
export function cedarRequest(request: PolicyRequest, needs: CedarNeeds = EVERYTHING): CedarRequest {
  const type = PRINCIPAL_TYPES[request.principal.kind];
  const uid = { type, id: request.principal.id.toWellFormed() };
  const { kind, id } = request.resource;
  const parents = rolesOf(request.principal.role, needs.roles);
  return {
    principal: uid,
    action: { type: 'Action', id: request.action },
    resource: { type: RESOURCE_TYPES.get(kind) ?? 'Thing', id: id.toWellFormed() },
    context: Object.fromEntries(needs.facts.map((name) => [name, FACTS[name](request)])),
    // Who is in no role that matters need not be told of: Cedar knows nothing of him then.
    entities: parents.length === 0 ? [] : [{ uid, attrs: {}, parents }],
  };
}

/** Whether it is about the context where it was asked. */
export function isInOwnContext({ contextId, resource }: PolicyRequest): boolean {
  return contextId !== null && resource.kind === 'context' && resource.id === contextId;
}

function rolesOf(
  name: string | null,
  needed: readonly Role[],
): { readonly type: string; readonly id: string }[] {
  const role = ROLES.find((each) => each === name);
  if (role === undefined) return [];
  return needed.filter((each) => covers(role, each)).map((id) => ({ type: 'Role', id }));
}

/** Harmless in every part. */
export const SAMPLE_REQUEST: PolicyRequest = {
  workspaceId: 'x',
  contextId: null,
  principal: { kind: 'user', id: 'x', role: null },
  action: 'agent.prompt',
  resource: { kind: 'agent', id: 'x' },
  risk: 'medium',
  intent: '',
  dataClass: 'internal',
  tool: '',
  subject: '',
  recipients: [],
  isolated: true,
  payloadComplete: true,
};
