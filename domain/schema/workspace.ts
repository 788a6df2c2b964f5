import { z } from 'zod';
import { WORKSPACE_KINDS } from '../context.ts';
import { UserIdSchema, WorkspaceIdSchema } from './id.ts';
import { Timestamp, lineOfText } from './text.ts';

/** Becomes a folder's name, hence so narrow. */
export const Slug = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
    'Must be 1 to 40 of a-z, 0-9 and -, not beginning or ending with -.',
  );

export const WorkspaceSchema = z
  .object({
    id: WorkspaceIdSchema,
    slug: Slug,
    name: z.string(),
    createdAt: Timestamp,
    kind: z.enum(WORKSPACE_KINDS),
    /** Of a private one. */
    ownerUserId: UserIdSchema.nullable(),
  })
  .meta({ id: 'Workspace' });

export const CreateWorkspaceSchema = z
  .strictObject({
    slug: Slug,
    name: lineOfText(120),
    /** Makes it private: his own, seen by nobody else but overlords. It stays so. */
    ownerUserId: UserIdSchema.optional(),
  })
  .meta({ id: 'CreateWorkspace' });
