import { setTimeout as sleep } from 'node:timers/promises';
import { ApprovalSummarySchema } from '../../domain/schema/approval.ts';
import { ExplanationSchema } from '../../domain/schema/explain.ts';
import { WorkspaceSchema } from '../../domain/schema/workspace.ts';
import type { ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { plainLine } from '../text.ts';
import { failureOf } from './failure.ts';
import type { Api, WorkspaceRef } from './model.ts';
import type { Store } from './store.ts';

const COUNTED_MAX = 200;
const RETRY_MS = 3_000;

/** Where nothing answers it is tried again; who is not let in finds out why under Access. */
export async function findPatiently(
  { context, store }: { readonly context: Context; readonly store: Store },
  signal: AbortSignal,
): Promise<WorkspaceRef | null> {
  for (;;) {
    try {
      const found = await findWorkspace(context);
      const why = 'There is no workspace yet: make one under Workspaces.';
      if (found === null) store.dispatch({ kind: 'link', link: { kind: 'polling', why } });
      return found;
    } catch (error) {
      if (signal.aborted || context.signal.aborted) return null;
      const failure = failureOf(error);
      store.dispatch({ kind: 'link', link: { kind: 'away', why: failure.message } });
      if (failure.kind !== 'away') {
        store.dispatch({ kind: 'failed', failure });
        store.dispatch({ kind: 'go', screen: 'access' });
        return null;
      }
      await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** The one that was named, or the only one, or the one called `default`, or the first. */
async function findWorkspace({ client, flags, io }: Context): Promise<WorkspaceRef | null> {
  const given = flags.workspace ?? io.env['ROOKERY_WORKSPACE'] ?? '';
  if (given !== '') {
    return client.get(`/v1/workspaces/${encodeURIComponent(given)}`, WorkspaceSchema);
  }
  const found = await client.list({ path: '/v1/workspaces', item: WorkspaceSchema, limit: 1_000 });
  return found.find(({ slug }) => slug === 'default') ?? found[0] ?? null;
}

export async function offerWorkspaces({ client }: Api, store: Store): Promise<void> {
  try {
    const path = '/v1/workspaces';
    const workspaces = await client.list({ path, item: WorkspaceSchema, limit: 1_000 });
    store.dispatch({ kind: 'workspaces', workspaces });
  } catch (error) {
    store.dispatch({ kind: 'failed', failure: failureOf(error) });
  }
}

/** Name and role, as the API recognises whoever is here. */
export async function sayWho(client: ApiClient, { id }: WorkspaceRef, store: Store): Promise<void> {
  try {
    const query = { action: 'getWorkspace', workspace: id };
    const { principal, role } = await client.get('/v1/explain', ExplanationSchema, query);
    const who = `${plainLine(principal.name)}${role === null ? '' : ` (${role})`}`;
    store.dispatch({ kind: 'who', who });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
  }
}

/** For the tab. Who may not see approvals sees no number. */
export async function countApprovals({ client, workspace }: Api, store: Store): Promise<void> {
  if (workspace === null) return;
  try {
    const open = await client.list({
      path: `/v1/workspaces/${encodeURIComponent(workspace.id)}/approvals`,
      query: { state: 'open' },
      item: ApprovalSummarySchema,
      limit: COUNTED_MAX,
    });
    store.dispatch({ kind: 'open-approvals', count: open.length });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    store.dispatch({ kind: 'open-approvals', count: null });
  }
}
