import { z } from 'zod';
import { ROLES, THING_KINDS } from '../principal.ts';
import { ContextIdSchema, RoleBindingIdSchema, UserIdSchema, WorkspaceIdSchema } from './id.ts';
import { Timestamp, lineOfText } from './text.ts';

const InWorkspace = { workspaceId: WorkspaceIdSchema };

/** Where a role holds. */
export const RolePlaceSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('installation') }),
    z.strictObject({ kind: z.literal('workspace'), ...InWorkspace }),
    z.strictObject({ kind: z.literal('context'), ...InWorkspace, contextId: ContextIdSchema }),
    z.strictObject({ kind: z.enum(THING_KINDS), ...InWorkspace, name: lineOfText(200) }),
  ])
  .meta({ id: 'RolePlace' });

export const RoleBindingSchema = z
  .object({
    id: RoleBindingIdSchema,
    userId: UserIdSchema,
    role: z.enum(ROLES),
    place: RolePlaceSchema,
    createdBy: z.string(),
    createdAt: Timestamp,
    revokedAt: Timestamp.nullable(),
  })
  .meta({ id: 'RoleBinding' });

export const GrantRoleSchema = z
  .strictObject({ role: z.enum(ROLES), place: RolePlaceSchema })
  .meta({ id: 'GrantRole' });
