import { z } from 'zod';
import { APPROVAL_STATES } from '../../domain/approval.ts';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import {
  ApprovalSchema,
  ApprovalSummarySchema,
  DecidedSchema,
  DecideRequestSchema,
} from '../../domain/schema/approval.ts';
import { AgentIdSchema, ApprovalIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { viewApproval, type ApprovalView } from '../../infra/db/queries/approval-view.ts';
import {
  findApprovalByCode,
  listApprovals,
  type Approval,
} from '../../infra/db/queries/approval.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { decide, type Decided } from '../decide.ts';
import type { ApiDeps } from '../deps.ts';
import { noteWords } from '../note.ts';
import { mayStand } from '../standing-approval.ts';
import { listOf } from '../query.ts';
import { route } from '../route.ts';
import { confinedTo } from '../target.ts';

const ByApproval = z.strictObject({ approval: ApprovalIdSchema });
const ByCode = z.strictObject({ code: z.string() });

export const approvalRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/approvals',
    name: 'listApprovals',
    summary: 'Approvals, oldest first; `state=open` is the inbox.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: PageQuery.extend({
      state: listOf(APPROVAL_STATES).optional(),
      agent: AgentIdSchema.optional(),
    }),
    response: { status: 200, json: pageOf(ApprovalSummarySchema) },
    handler: async ({ caller, workspaceId, contextId, query }, { db }) => {
      const only = confinedTo(caller, 'listApprovals', { workspaceId, contextId });
      const found = await listApprovals(db, {
        ...(only === null ? {} : { contextId: only }),
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.state === undefined ? {} : { states: query.state }),
        ...(query.agent === undefined ? {} : { askerId: query.agent }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(summaryView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/approvals/{approval}',
    name: 'getApproval',
    summary: 'One approval with its whole payload and its votes.',
    rate: 'read',
    target: { kind: 'approval', param: 'approval' },
    params: ByApproval,
    response: { status: 200, json: ApprovalSchema },
    handler: async ({ params }, deps) => ({ body: await find(deps, params.approval) }),
  }),
  route({
    method: 'GET',
    path: '/v1/approvals/code/{code}',
    name: 'getApprovalByCode',
    summary: 'The open approval with this six-character code.',
    rate: 'read',
    target: { kind: 'approvalCode', param: 'code' },
    params: ByCode,
    response: { status: 200, json: ApprovalSchema },
    handler: async ({ params }, deps) => ({
      body: await find(deps, await idOf(deps.db, params.code)),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/approvals/{approval}/decide',
    name: 'decideApproval',
    summary:
      'Grants or refuses. 202 `pending` where no worker answered in 5 s: it is applied later.',
    rate: 'decide',
    target: { kind: 'approval', param: 'approval' },
    params: ByApproval,
    body: DecideRequestSchema,
    response: { status: 200, json: DecidedSchema },
    handler: async ({ params, caller, body }, deps) =>
      decidedReply(await decide(deps, { approvalId: params.approval, caller, request: body })),
  }),
  route({
    method: 'POST',
    path: '/v1/approvals/code/{code}/decide',
    name: 'decideApprovalByCode',
    summary: 'The same by the six-character code of an open approval.',
    rate: 'decide',
    target: { kind: 'approvalCode', param: 'code' },
    params: ByCode,
    body: DecideRequestSchema,
    response: { status: 200, json: DecidedSchema },
    handler: async ({ params, caller, body }, deps) => {
      const approvalId = await idOf(deps.db, params.code);
      return decidedReply(await decide(deps, { approvalId, caller, request: body }));
    },
  }),
];

function decidedReply(decided: Decided) {
  return { body: decided, ...(decided.status === 'pending' ? { status: 202 } : {}) };
}

async function idOf(db: ApiDeps['db'], code: string): Promise<string> {
  const found = await findApprovalByCode(db, code);
  if (found === null) throw new AppError('not_found', 'There is no open approval with this code.');
  return found.id;
}

async function find(deps: ApiDeps, id: string) {
  const view = await viewApproval(deps.db, id);
  if (view === null) throw new AppError('not_found', 'There is no such approval.');
  return wholeView(deps, view);
}

function summaryView(full: Approval) {
  // How it is decided, and what it could stand for, is for whoever looks at the one.
  const { gate: _gate, template: _template, recipients: _recipients, role, ...approval } = full;
  return {
    ...approval,
    id: parseId('approval', approval.id),
    workspaceId: parseId('workspace', approval.workspaceId),
    roleNeeded: role,
    requestedAt: approval.requestedAt.toISOString(),
    expiresAt: approval.expiresAt?.toISOString() ?? null,
    decidedAt: approval.decidedAt?.toISOString() ?? null,
  };
}

function wholeView(deps: ApiDeps, { approval, votes, prompt }: ApprovalView) {
  return {
    ...summaryView(approval),
    payload: payloadOf(approval.payload),
    options: prompt?.options.map(({ label, effect }) => ({ label, effect })) ?? [],
    votes: votes.map((vote) => ({
      ...vote,
      note: noteWords(deps, vote.note),
      at: new Date(vote.issuedAtMs).toISOString(),
    })),
    delivery: approval.delivery,
    contextId: approval.contextId,
    gate: approval.gate,
    mayStand: mayStand(deps.config.risks, approval),
    recipients: [...approval.recipients],
  };
}

/** Canonical JSON text; told as it is where it is none. */
function payloadOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
