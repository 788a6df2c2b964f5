import { z } from 'zod';
import { ROLES, SCOPES } from '../principal.ts';
import { ApiKeyIdSchema, UserIdSchema, WorkspaceIdSchema } from './id.ts';
import { Timestamp, lineOfText } from './text.ts';

export const ApiKeySchema = z
  .object({
    id: ApiKeyIdSchema,
    prefix: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    scopes: z.array(z.enum(SCOPES)),
    workspaceId: WorkspaceIdSchema.nullable(),
    /** Whose it is: it acts as he does, never beyond its own role and workspace. Null: nobody's in particular. */
    userId: UserIdSchema.nullable(),
    createdBy: z.string(),
    createdAt: Timestamp,
    expiresAt: Timestamp.nullable(),
    revokedAt: Timestamp.nullable(),
    lastUsedAt: Timestamp.nullable(),
  })
  .meta({ id: 'ApiKey' });

export const CreateApiKeySchema = z
  .strictObject({
    name: lineOfText(120),
    role: z.enum(ROLES),
    scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
    /** Left out: the caller's own workspace, or every one where the caller has no single one. */
    workspaceId: WorkspaceIdSchema.optional(),
    expiresAt: Timestamp.optional(),
    /** The user it acts as. Yourself; an overlord may name another. */
    userId: UserIdSchema.optional(),
  })
  .meta({ id: 'CreateApiKey' });

/** `secret` is shown once: a replayed answer has null there. */
export const CreatedApiKeySchema = z
  .object({ key: ApiKeySchema, secret: z.string().nullable() })
  .meta({ id: 'CreatedApiKey' });
