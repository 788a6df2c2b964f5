import { z } from 'zod';
import { ACTIONS, type Action } from '../action.ts';
import { ROLES, SCOPES, USER_VIAS } from '../principal.ts';
import { RolePlaceSchema } from './role-binding.ts';

const isAction = (name: string): name is Action => Object.hasOwn(ACTIONS, name);

export const ActionSchema = z
  .string()
  .max(64)
  .refine(isAction, 'Not an action: `rookery access actions` lists them.');

export const ActionRuleSchema = z
  .object({
    name: z.string(),
    role: z.enum(ROLES),
    scope: z.enum(SCOPES),
    method: z.string(),
    path: z.string(),
    listener: z.enum(['public', 'admin']),
  })
  .meta({ id: 'Action' });

export const ExplanationSchema = z
  .object({
    principal: z.object({
      id: z.string(),
      name: z.string(),
      via: z.enum(USER_VIAS),
      /** False for a user who is disabled, and a key that was revoked or has ended: they are refused everything. */
      isLive: z.boolean(),
    }),
    place: z.object({
      /** Null: the action names no workspace. */
      workspaceId: z.string().nullable(),
      contextId: z.string().nullable(),
      isPrivate: z.boolean(),
    }),
    action: z.string(),
    decision: z.enum(['allow', 'deny']),
    /** As the access log has it. */
    rule: z.string(),
    message: z.string(),
    needs: z.object({ role: z.enum(ROLES), scope: z.enum(SCOPES) }),
    /** The best one that holds at the place. */
    role: z.enum(ROLES).nullable(),
    hasScope: z.boolean(),
    /** Every role that was looked at. */
    bindings: z.array(
      z.object({
        role: z.enum(ROLES),
        place: RolePlaceSchema,
        reaches: z.boolean(),
        covers: z.boolean(),
        why: z.string(),
      }),
    ),
    /** What would make it a yes. */
    missing: z.array(z.string()),
  })
  .meta({ id: 'Explanation' });
