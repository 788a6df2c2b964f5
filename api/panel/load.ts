import { privatesOf, workspacesOf } from '../../domain/authorize.ts';
import { covers } from '../../domain/principal.ts';
import { eventRange } from '../../infra/db/queries/event.ts';
import { countOpenApprovals } from '../../infra/db/queries/panel-view.ts';
import { getWorkspace, listWorkspaces } from '../../infra/db/queries/workspace.ts';
import type { ApiDeps } from '../deps.ts';
import { AppError } from '../../domain/error.ts';
import { csrfOf, panelTokenOf } from '../middleware/panel-session.ts';
import type { Caller, ListenerKind } from '../route.ts';
import { SECTIONS, type Frame, type Section, type SectionId } from './frame.ts';

/** More than these are reached by their address. */
const WORKSPACES_MAX = 200;

export interface FrameRequest {
  readonly workspaceId: string;
  readonly caller: Caller;
  readonly request: Request;
  readonly listener: ListenerKind;
  readonly active: SectionId;
}

/** Begins with the number of the last event, so that the page cannot be older than what it goes on from. */
export async function loadFrame(
  { db, clock }: Pick<ApiDeps, 'db' | 'clock'>,
  { workspaceId, caller, request, listener, active }: FrameRequest,
): Promise<Frame> {
  const { lastSeq } = await eventRange(db, workspaceId);
  const [workspace, workspaces, openApprovals] = await Promise.all([
    getWorkspace(db, workspaceId),
    listWorkspaces(db, {
      after: 0,
      limit: WORKSPACES_MAX,
      only: workspacesOf(caller.bindings),
      privates: privatesOf(caller.bindings),
    }),
    caller.scopes.includes('approvals:read') ? countOpenApprovals(db, workspaceId) : 0,
  ]);
  if (workspace === null) throw new AppError('not_found', 'There is no such workspace.');
  const token = panelTokenOf(request.headers);
  return {
    workspace,
    workspaces,
    caller,
    sections: SECTIONS.filter((section) => isFor(section, { caller, listener })),
    active,
    openApprovals,
    lastSeq,
    csrf: token === null ? '' : csrfOf(token),
    now: clock.now(),
  };
}

const ADMIN_SECTIONS: readonly SectionId[] = ['audit', 'hosting', 'limits', 'keys'];

function isFor(
  { id, listener, scope }: Section,
  at: { readonly caller: Caller; readonly listener: ListenerKind },
): boolean {
  if (listener === 'admin' && at.listener !== 'admin') return false;
  if (ADMIN_SECTIONS.includes(id) && !covers(at.caller.role, 'admin')) return false;
  return at.caller.scopes.includes(scope);
}
