import { z } from 'zod';
import { AuditEntrySchema, AuditVerdictSchema } from '../../domain/schema/audit.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { listAudit, verifyAudit } from '../../infra/db/queries/audit.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { route } from '../route.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });

export const auditRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/audit',
    name: 'listAudit',
    summary: 'Who did what, oldest first.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    query: PageQuery.extend({ subject: z.string().max(64).optional() }),
    response: { status: 200, json: pageOf(AuditEntrySchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listAudit(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.subject === undefined ? {} : { subjectId: query.subject }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: [...rows], next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/audit/verify',
    name: 'verifyAudit',
    summary: 'Recomputes the chain of hashes from the first entry to the head.',
    rate: 'stream',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    response: { status: 200, json: AuditVerdictSchema },
    handler: async ({ workspaceId }, { db }) => ({
      body: await verifyAudit(db, workspaceId ?? ''),
    }),
  }),
];
