import { z } from 'zod';
import { IDENTITY_KINDS } from '../user.ts';
import { IdentityIdSchema, UserIdSchema } from './id.ts';
import { Timestamp, lineOfText, plainText } from './text.ts';

/** For lists and the audit. It need not be unique, and nothing is decided by it. */
export const UserNameSchema = lineOfText(120);

export const UserSchema = z
  .object({
    id: UserIdSchema,
    name: z.string(),
    createdBy: z.string(),
    createdAt: Timestamp,
    disabledAt: Timestamp.nullable(),
  })
  .meta({ id: 'User' });

export const CreateUserSchema = z.strictObject({ name: UserNameSchema }).meta({ id: 'CreateUser' });

export const IdentitySchema = z
  .object({
    id: IdentityIdSchema,
    userId: UserIdSchema,
    kind: z.enum(IDENTITY_KINDS),
    issuer: z.string(),
    subject: z.string(),
    displayName: z.string(),
    linkedBy: z.string(),
    linkedAt: Timestamp,
    unlinkedAt: Timestamp.nullable(),
  })
  .meta({ id: 'Identity' });

/** Networks know people by numbers; a name that somebody can choose recognises nobody. */
const ChatSubject = z
  .string()
  .regex(/^[1-9]\d{0,19}$/, 'Must be the number of the account, not its name.');

/** Certificates are linked by enrolling, where the holder proves that he has the key. */
export const LinkIdentitySchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('oidc'),
      issuer: z.url({ protocol: /^https?$/ }).max(1_024),
      subject: plainText(255, 1),
      displayName: lineOfText(120).optional(),
    }),
    z.strictObject({
      kind: z.enum(['telegram', 'discord']),
      subject: ChatSubject,
      displayName: lineOfText(120).optional(),
    }),
  ])
  .meta({ id: 'LinkIdentity' });
