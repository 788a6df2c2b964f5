import { parseId, type AgentId, type WorkspaceId } from '../../domain/id.ts';
import { workspacesOf } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import { findOldestWorkspace } from '../../infra/db/queries/key-view.ts';
import type { ApiDeps } from '../deps.ts';
import type { Caller } from '../route.ts';
import { findTarget } from '../target.ts';

/** In the header's form of the control plane: an id or a slug of ours. */
const WORKSPACE_HEADER = 'x-workspace-id';

/** These paths name no workspace: it is the header's, else the key's own, else the oldest. */
export async function workspaceOf(
  { db }: ApiDeps,
  caller: Caller,
  headers: Headers,
): Promise<WorkspaceId> {
  const own = workspacesOf(caller.bindings);
  const value =
    headers.get(WORKSPACE_HEADER) ??
    (own === 'all' ? await findOldestWorkspace(db) : (own[0] ?? null));
  if (value === null) throw new AppError('not_found', 'There is no workspace yet.');
  const { workspaceId } = await findTarget(db, { kind: 'workspace', value }, caller);
  if (workspaceId === null) throw new Error('A workspace has its own id.');
  return workspaceId;
}

/** The agent that a query names, where it names one that the caller may see. */
export async function agentIn(
  { db }: ApiDeps,
  caller: Pick<Caller, 'bindings'>,
  value: string,
): Promise<{ readonly agentId: AgentId; readonly workspaceId: WorkspaceId }> {
  const { workspaceId } = await findTarget(db, { kind: 'agent', value }, caller);
  if (workspaceId === null) throw new Error('An agent is in a workspace.');
  return { agentId: parseId('agent', value), workspaceId };
}
