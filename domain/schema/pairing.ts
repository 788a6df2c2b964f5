import { z } from 'zod';
import { NETWORKS } from '../chat.ts';
import { ROLES } from '../principal.ts';
import { ConnectorIdSchema, PairingIdSchema, UserIdSchema, WorkspaceIdSchema } from './id.ts';
import { RoleBindingSchema } from './role-binding.ts';
import { Timestamp, plainText } from './text.ts';
import { IdentitySchema, UserNameSchema, UserSchema } from './user.ts';

export const PairingSchema = z
  .object({
    id: PairingIdSchema,
    connectorId: ConnectorIdSchema,
    connectorName: z.string(),
    network: z.enum(NETWORKS),
    /** The network's number of the account: this is who is linked. */
    subject: z.string(),
    /** As the account calls itself at this moment: for reading, and nothing is decided by it. */
    displayName: z.string(),
    /** `shown` once its token was entered; only then it can be approved. */
    state: z.enum(['pending', 'shown', 'linked', 'refused', 'expired']),
    createdAt: Timestamp,
    expiresAt: Timestamp,
  })
  .meta({ id: 'Pairing' });

export const LookUpPairingSchema = z
  .strictObject({ token: plainText(64, 1) })
  .meta({ id: 'LookUpPairing' });

export const ApprovePairingSchema = z
  .strictObject({
    /** Of a user that there is. */
    userId: UserIdSchema.optional(),
    /** Of one that is made. */
    newUser: z.strictObject({ name: UserNameSchema }).optional(),
    /** Given with it, in the workspace that is named, else everywhere. */
    role: z.enum(ROLES).optional(),
    workspaceId: WorkspaceIdSchema.optional(),
  })
  .refine(({ userId, newUser }) => (userId === undefined) !== (newUser === undefined), {
    path: ['userId'],
    message: 'Name the user, or the new one that is to be made, and not both.',
  })
  .refine(({ role, workspaceId }) => workspaceId === undefined || role !== undefined, {
    path: ['role'],
    message: 'Say which role he gets in the workspace.',
  })
  .meta({ id: 'ApprovePairing' });

export const ApprovedPairingSchema = z
  .object({
    pairing: PairingSchema,
    user: UserSchema,
    identity: IdentitySchema,
    role: RoleBindingSchema.nullable(),
  })
  .meta({ id: 'ApprovedPairing' });
