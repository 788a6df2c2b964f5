import { z } from 'zod';
import type { WorkspaceId } from '../../domain/id.ts';
import { ContextIdSchema } from '../../domain/schema/id.ts';
import { SettingsSchema, SettingsViewSchema } from '../../domain/schema/setting.ts';
import { changeSettings, requireContext, viewSettings } from '../context.ts';
import { route } from '../route.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
const ByContext = z.strictObject({ context: ContextIdSchema });
const OF_WORKSPACE = { kind: 'workspace', param: 'workspace' } as const;
const OF_CONTEXT = { kind: 'context', param: 'context' } as const;

export const settingRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/settings',
    name: 'getWorkspaceSettings',
    summary:
      'What a workspace says to its agents and of its approvals, and where each of it is from.',
    rate: 'read',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    response: { status: 200, json: SettingsViewSchema },
    handler: async ({ workspaceId }, { db }) => ({
      body: await viewSettings(db, { workspaceId: idOf(workspaceId), contextId: null }),
    }),
  }),
  route({
    method: 'PUT',
    path: '/v1/workspaces/{workspace}/settings',
    name: 'putWorkspaceSettings',
    summary:
      'Takes the place of what the workspace said. Agents that run keep what they were born with.',
    rate: 'write',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    body: SettingsSchema,
    response: { status: 200, json: SettingsViewSchema },
    handler: async ({ caller, workspaceId, body }, { db }) => {
      const change = { workspaceId: idOf(workspaceId), contextId: null, settings: body };
      return {
        body: await db.transaction().execute((tx) => changeSettings({ tx, caller }, change)),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/contexts/{context}/settings',
    name: 'getContextSettings',
    summary: 'What a context says, what holds in it, and where each of it is from.',
    rate: 'read',
    target: OF_CONTEXT,
    params: ByContext,
    response: { status: 200, json: SettingsViewSchema },
    handler: async ({ workspaceId, params }, { db }) => {
      await requireContext(db, params.context);
      const place = { workspaceId: idOf(workspaceId), contextId: params.context };
      return { body: await viewSettings(db, place) };
    },
  }),
  route({
    method: 'PUT',
    path: '/v1/contexts/{context}/settings',
    name: 'putContextSettings',
    summary: 'Takes the place of what the context said. It never allows more than its workspace.',
    rate: 'write',
    target: OF_CONTEXT,
    params: ByContext,
    body: SettingsSchema,
    response: { status: 200, json: SettingsViewSchema },
    handler: async ({ caller, workspaceId, params, body }, { db }) => {
      const place = { workspaceId: idOf(workspaceId), contextId: params.context };
      const change = { ...place, settings: body };
      return {
        body: await db.transaction().execute((tx) => changeSettings({ tx, caller }, change)),
      };
    },
  }),
];

/** The gate found the target, and it is in a workspace. */
export function idOf(workspaceId: WorkspaceId | null): WorkspaceId {
  if (workspaceId === null) throw new Error('A workspace has its own id.');
  return workspaceId;
}
