import { AppError } from './error.ts';

/** What each kind of record's id begins with. An id is `prefix_` and 26 base32 characters (the TypeID form of a UUID). */
export const ID_PREFIXES = {
  workspace: 'wsp',
  agent: 'agt',
  spawn: 'spn',
  approval: 'apr',
  prompt: 'prm',
  input: 'inp',
  login: 'lgn',
  apiKey: 'key',
  event: 'evt',
  definition: 'def',
  agentKey: 'akey',
  document: 'doc',
  message: 'msg',
  memory: 'mem',
  modelCall: 'mcl',
  webhook: 'whk',
  webhookDelivery: 'whd',
  user: 'usr',
  identity: 'idn',
  roleBinding: 'rbn',
  context: 'ctx',
  connector: 'con',
  chatMessage: 'cmg',
  post: 'pst',
  pairing: 'pai',
  policy: 'pol',
  standingApproval: 'sta',
  certificate: 'crt',
  enrolment: 'enr',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;
export type Id<K extends IdKind> = `${(typeof ID_PREFIXES)[K]}_${string}`;
export type WorkspaceId = Id<'workspace'>;
export type AgentId = Id<'agent'>;
export type SpawnId = Id<'spawn'>;
export type ApprovalId = Id<'approval'>;
export type PromptId = Id<'prompt'>;
export type InputId = Id<'input'>;
export type ApiKeyId = Id<'apiKey'>;
export type WebhookId = Id<'webhook'>;
export type UserId = Id<'user'>;
export type RoleBindingId = Id<'roleBinding'>;
export type ContextId = Id<'context'>;
export type ConnectorId = Id<'connector'>;

/** Crockford's base32 in lower case, as the TypeID specification (v0.3) wants it. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const SUFFIX = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/**
 * Makes an id from a UUID. Written here because workflows make ids from `uuid4()` and the TypeID package
 * pulls Node's `crypto` into their bundle.
 */
export function makeId<K extends IdKind>(kind: K, uuid: string): Id<K> {
  let rest = BigInt(`0x${uuid.replaceAll('-', '')}`);
  let suffix = '';
  for (let index = 0; index < 26; index += 1) {
    suffix = (ALPHABET[Number(rest & 31n)] ?? '') + suffix;
    rest >>= 5n;
  }
  return `${ID_PREFIXES[kind]}_${suffix}`;
}

export function isId<K extends IdKind>(kind: K, value: unknown): value is Id<K> {
  if (typeof value !== 'string') return false;
  const prefix = `${ID_PREFIXES[kind]}_`;
  return value.startsWith(prefix) && SUFFIX.test(value.slice(prefix.length));
}

/** Throws `invalid_input` that names the kind, so that a mistyped id is told apart from a missing record. */
export function parseId<K extends IdKind>(kind: K, value: unknown): Id<K> {
  if (isId(kind, value)) return value;
  throw new AppError(
    'invalid_input',
    `Not an id of a ${kind}: it looks like ${ID_PREFIXES[kind]}_ and 26 characters.`,
  );
}
