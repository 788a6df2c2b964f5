import { z } from 'zod';
import { privatesOf, workspacesOf } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import type { WorkspaceId } from '../../domain/id.ts';
import { CreateWorkspaceSchema, WorkspaceSchema } from '../../domain/schema/workspace.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { createWorkspace, getWorkspace, listWorkspaces } from '../../infra/db/queries/workspace.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import type { ApiDeps } from '../deps.ts';
import { repeatableId } from '../repeatable-id.ts';
import { insertRoleBinding } from '../../infra/db/queries/role-binding.ts';
import { route, type Caller } from '../route.ts';
import { requireUser } from '../user.ts';
import { workspaceView } from '../view.ts';

const WorkspaceParams = z.strictObject({ workspace: z.string() });

export const workspaceRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces',
    name: 'listWorkspaces',
    summary: 'The workspaces this key is good in, oldest first.',
    rate: 'read',
    target: null,
    query: PageQuery,
    response: { status: 200, json: pageOf(WorkspaceSchema) },
    handler: async ({ caller, query }, { db }) => {
      const found = await listWorkspaces(db, {
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        only: workspacesOf(caller.bindings),
        privates: privatesOf(caller.bindings),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(workspaceView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}',
    name: 'getWorkspace',
    summary: 'One workspace, by id or slug.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: WorkspaceParams,
    response: { status: 200, json: WorkspaceSchema },
    handler: async ({ params }, { db }) => {
      const found = await getWorkspace(db, params.workspace);
      if (found === null) throw new AppError('not_found', 'There is no such workspace.');
      return { body: workspaceView(found) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces',
    name: 'createWorkspace',
    summary: 'Makes a workspace. Needs a key that is good in every workspace.',
    rate: 'write',
    target: null,
    body: CreateWorkspaceSchema,
    response: { status: 201, json: WorkspaceSchema },
    handler: async ({ caller, body, idempotencyKey }, deps) => {
      if (workspacesOf(caller.bindings) !== 'all') {
        throw new AppError(
          'policy_denied',
          'This key is good in one workspace and makes no others.',
        );
      }
      const id = repeatableId('workspace', [caller.id, idempotencyKey]);
      return { body: workspaceView(await create(deps, caller, { id, ...body })) };
    },
  }),
];

async function create(
  { db }: ApiDeps,
  caller: Caller,
  body: z.output<typeof CreateWorkspaceSchema> & { readonly id: WorkspaceId },
) {
  const { id, slug, name, ownerUserId = null } = body;
  return db.transaction().execute(async (tx) => {
    if (ownerUserId !== null) await requireUser(tx, ownerUserId);
    const result = await createWorkspace(tx, { id, slug, name, ownerUserId });
    if (result.kind === 'taken') {
      throw new AppError('conflict', `There is a workspace with the slug ${slug} already.`);
    }
    if (result.workspace.slug !== slug) {
      throw new AppError('conflict', 'This Idempotency-Key was used for another workspace.');
    }
    if (ownerUserId !== null) {
      await insertRoleBinding(tx, {
        id: repeatableId('roleBinding', [id, ownerUserId]),
        userId: ownerUserId,
        role: 'admin',
        place: { kind: 'workspace', workspaceId: id },
        createdBy: caller.id,
      });
    }
    const detail = ownerUserId === null ? { slug } : { slug, ownerUserId, ownerRole: 'admin' };
    await appendRecord(tx, {
      workspaceId: id,
      events: [{ key: `${id}:created`, type: 'workspace.created', subjectId: id, data: { slug } }],
      audits: [
        {
          key: `${id}:created`,
          actorKind: 'user',
          actorId: caller.id,
          action: 'workspace.create',
          subjectId: id,
          detail,
        },
      ],
    });
    return result.workspace;
  });
}
