import { z } from 'zod';

/** The 26 characters of a TypeID; its first carries only three bits. */
const SUFFIX = '[0-7][0-9a-hjkmnp-tv-z]{25}';

function idSchema<P extends string>(prefix: P, kind: { readonly id: string; readonly of: string }) {
  const suffix = z.string().regex(new RegExp(`^${SUFFIX}$`));
  return z
    .templateLiteral([`${prefix}_`, suffix], {
      error: `Not the id of ${kind.of}: it looks like ${prefix}_ and 26 characters.`,
    })
    .meta({ type: 'string', id: kind.id, pattern: `^${prefix}_${SUFFIX}$` });
}

export const WorkspaceIdSchema = idSchema('wsp', { id: 'WorkspaceId', of: 'a workspace' });
export const AgentIdSchema = idSchema('agt', { id: 'AgentId', of: 'an agent' });
export const SpawnIdSchema = idSchema('spn', { id: 'SpawnId', of: 'a spawn' });
export const ApprovalIdSchema = idSchema('apr', { id: 'ApprovalId', of: 'an approval' });
export const InputIdSchema = idSchema('inp', { id: 'InputId', of: 'an input' });
export const WebhookIdSchema = idSchema('whk', { id: 'WebhookId', of: 'a webhook' });
export const ApiKeyIdSchema = idSchema('key', { id: 'ApiKeyId', of: 'an API key' });
export const DefinitionIdSchema = idSchema('def', { id: 'DefinitionId', of: 'a definition' });
export const MessageIdSchema = idSchema('msg', { id: 'MessageId', of: 'a message' });
export const AgentKeyIdSchema = idSchema('akey', { id: 'AgentKeyId', of: 'an agent’s key' });
export const UserIdSchema = idSchema('usr', { id: 'UserId', of: 'a user' });
export const IdentityIdSchema = idSchema('idn', { id: 'IdentityId', of: 'an identity' });
export const RoleBindingIdSchema = idSchema('rbn', { id: 'RoleBindingId', of: 'a role' });
export const ContextIdSchema = idSchema('ctx', { id: 'ContextId', of: 'a context' });
export const CertificateIdSchema = idSchema('crt', { id: 'CertificateId', of: 'a certificate' });
export const EnrolmentIdSchema = idSchema('enr', { id: 'EnrolmentId', of: 'an enrolment' });
export const PairingIdSchema = idSchema('pai', { id: 'PairingId', of: 'a pairing' });
export const ConnectorIdSchema = idSchema('con', { id: 'ConnectorId', of: 'a connector' });
export const StandingApprovalIdSchema = idSchema('sta', {
  id: 'StandingApprovalId',
  of: 'a standing approval',
});
export const PostIdSchema = idSchema('pst', { id: 'PostId', of: 'a post' });
export const PolicyIdSchema = idSchema('pol', { id: 'PolicyId', of: 'a version of a policy' });
