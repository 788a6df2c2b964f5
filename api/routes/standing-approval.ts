import { z } from 'zod';
import { parseId } from '../../domain/id.ts';
import { parseJson } from '../../domain/json.ts';
import { ApprovalIdSchema, StandingApprovalIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import {
  ApprovedForeverSchema,
  ApproveForeverRequestSchema,
  type STANDING_STATES,
  StandingApprovalSchema,
} from '../../domain/schema/standing-approval.ts';
import {
  listStandingApprovals,
  type StandingApproval,
} from '../../infra/db/queries/standing-approval.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { route } from '../route.ts';
import { approveForever, revokeStanding } from '../standing-approval.ts';

export const standingApprovalRoutes = [
  route({
    method: 'POST',
    path: '/v1/approvals/{approval}/approve-forever',
    name: 'approveForever',
    summary:
      'Grants an approval, and exactly the same from then on: same template, same recipients. 202 where no worker answered in 5 s.',
    rate: 'decide',
    target: { kind: 'approval', param: 'approval' },
    params: z.strictObject({ approval: ApprovalIdSchema }),
    body: ApproveForeverRequestSchema,
    response: { status: 200, json: ApprovedForeverSchema },
    handler: async ({ params, caller, body }, deps) => {
      const made = await approveForever(deps, { approvalId: params.approval, caller, asked: body });
      const { decision, standingApprovalId } = made;
      return {
        body: { decision, standingApprovalId: parseId('standingApproval', standingApprovalId) },
        ...(decision.status === 'pending' ? { status: 202 } : {}),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/standing-approvals',
    name: 'listStandingApprovals',
    summary: 'What was approved for ever, oldest first; `live=true` leaves out what holds no more.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: PageQuery.extend({ live: z.enum(['true', 'false']).optional() }),
    response: { status: 200, json: pageOf(StandingApprovalSchema) },
    handler: async ({ workspaceId, query }, { db, clock }) => {
      const found = await listStandingApprovals(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        isLive: query.live === 'true',
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map((row) => standingView(row, clock.now())), next } };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/standing-approvals/{standingApproval}',
    name: 'revokeStandingApproval',
    summary: 'Revokes what was approved for ever: from now on people are asked again.',
    rate: 'write',
    target: { kind: 'standingApproval', param: 'standingApproval' },
    params: z.strictObject({ standingApproval: StandingApprovalIdSchema }),
    response: { status: 200, json: StandingApprovalSchema },
    handler: async ({ params, caller }, deps) => {
      const standing = await revokeStanding(deps, { id: params.standingApproval, caller });
      return { body: standingView(standing, deps.clock.now()) };
    },
  }),
];

function standingView(standing: StandingApproval, now: number) {
  const { revokedAt, expiresAt, createdAt, lastUsedAt, template } = standing;
  return {
    id: parseId('standingApproval', standing.id),
    workspaceId: parseId('workspace', standing.workspaceId),
    approvalId: parseId('approval', standing.approvalId),
    title: standing.title,
    template: parseJson(template) ?? template,
    templateHash: standing.templateHash,
    recipients: [...standing.recipients],
    risk: standing.risk,
    state: stateOf(standing, now),
    createdBy: standing.createdBy,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    revokedAt: revokedAt?.toISOString() ?? null,
    revokedBy: standing.revokedBy,
    uses: standing.uses,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}

function stateOf(
  { revokedAt, expiresAt }: StandingApproval,
  now: number,
): (typeof STANDING_STATES)[number] {
  if (revokedAt !== null) return 'revoked';
  return expiresAt.getTime() <= now ? 'expired' : 'live';
}
