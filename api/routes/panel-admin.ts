import { privatesOf, workspacesOf } from '../../domain/authorize.ts';
import { covers } from '../../domain/principal.ts';
import { AppError } from '../../domain/error.ts';
import { getHosting } from '../../infra/db/queries/hosting.ts';
import { listHosts } from '../../infra/db/queries/host.ts';
import { listKeys } from '../../infra/db/queries/key.ts';
import { getWorkspaceLimits, workspaceUse } from '../../infra/db/queries/limit.ts';
import { getWorkspace } from '../../infra/db/queries/workspace.ts';
import { hostView } from '../host-view.ts';
import { hostingPage } from '../panel/hosting.ts';
import { keysPage } from '../panel/keys.ts';
import { limitsPage } from '../panel/limits.ts';
import { ByWorkspace, CORE_SCRIPTS, pageRoute } from '../panel/page-route.ts';

const KEYS_MAX = 1_000;

/** Pages that exist on the admin listener only, like the routes that they speak to. */
export const panelAdminRoutes = [
  pageRoute({
    path: '/panel/w/{workspace}/hosting',
    name: 'getPanelHosting',
    summary: 'where agents run: settings and hosts.',
    section: 'hosting',
    listener: 'admin',
    target: 'workspace',
    params: ByWorkspace,
    show: async ({ workspaceId, caller, now }, { db }) => {
      const [workspace, hosting, hosts] = await Promise.all([
        getWorkspace(db, workspaceId),
        getHosting(db, workspaceId),
        listHosts(db),
      ]);
      if (workspace === null) throw new AppError('not_found', 'There is no such workspace.');
      const seen = hosts.filter(
        (host) =>
          host.workspaceId === workspaceId ||
          (host.workspaceId === null && workspacesOf(caller.bindings) === 'all'),
      );
      const body = hostingPage({
        workspace,
        hosting,
        hosts: seen.map(hostView),
        mayChange: covers(caller.role, 'admin') && caller.scopes.includes('hosting:write'),
        now,
      });
      return { title: 'Hosting', scripts: CORE_SCRIPTS, live: 'page', body };
    },
  }),
  pageRoute({
    path: '/panel/w/{workspace}/limits',
    name: 'getPanelLimits',
    summary: 'what a workspace and its agents may use.',
    section: 'limits',
    listener: 'admin',
    target: 'workspace',
    params: ByWorkspace,
    show: async ({ workspaceId, now }, { db, config }) => {
      const [{ limits: own, updatedAt }, use] = await Promise.all([
        getWorkspaceLimits(db, workspaceId),
        workspaceUse(db, workspaceId),
      ]);
      const body = limitsPage({
        workspaceId,
        own,
        ceilings: config.limits,
        use,
        updatedAt,
        now,
      });
      return { title: 'Limits', scripts: CORE_SCRIPTS, live: 'page', body };
    },
  }),
  pageRoute({
    path: '/panel/w/{workspace}/keys',
    name: 'getPanelKeys',
    summary: 'API keys: who has one; made and revoked here.',
    section: 'keys',
    listener: 'admin',
    target: 'workspace',
    params: ByWorkspace,
    show: async ({ caller, now }, { db }) => {
      const keys = await listKeys(db, {
        after: 0,
        limit: KEYS_MAX,
        only: workspacesOf(caller.bindings),
        privates: privatesOf(caller.bindings),
      });
      const body = keysPage({ keys: keys.toReversed(), caller, now });
      return { title: 'Keys', scripts: CORE_SCRIPTS, live: 'page', body };
    },
  }),
];
