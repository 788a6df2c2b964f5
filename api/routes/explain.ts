import { z } from 'zod';
import { ACTIONS } from '../../domain/action.ts';
import { ActionRuleSchema, ActionSchema, ExplanationSchema } from '../../domain/schema/explain.ts';
import { explainAccess } from '../explain.ts';
import { isUserAccess, route, type Route } from '../route.ts';

export const explainRoutes = (routes: () => readonly Route[]): readonly Route[] => [
  route({
    method: 'GET',
    path: '/v1/explain',
    name: 'explainAccess',
    summary:
      'Whether somebody may do something somewhere, by which rule, and what he would need. Of others, ' +
      'it is told to admins of that place; without a principal it is about yourself.',
    rate: 'read',
    target: null,
    query: z.strictObject({
      principal: z.string().max(64).optional(),
      action: ActionSchema,
      workspace: z.string().max(64).optional(),
      context: z.string().max(64).optional(),
      via: z.enum(['oidc', 'certificate', 'chat']).default('oidc'),
    }),
    response: { status: 200, json: ExplanationSchema },
    handler: async ({ caller, query }, { db }) => {
      const { principal, action, workspace, context, via } = query;
      const request = { caller, principal, action, workspace, context, via };
      return { body: await explainAccess(db, request) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/actions',
    name: 'listActions',
    summary: 'Everything that people may ask for, with the least role and the scope that it takes.',
    rate: 'read',
    target: null,
    response: { status: 200, json: z.object({ items: z.array(ActionRuleSchema) }) },
    handler: async () => ({ body: { items: routes().flatMap(actionOf) } }),
  }),
];

function actionOf({ name, access, method, path, listener }: Route) {
  if (!isUserAccess(access)) return [];
  const { role, scope } = ACTIONS[access.action];
  return [{ name, role, scope, method, path, listener }];
}
