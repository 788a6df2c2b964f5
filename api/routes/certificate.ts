import { z } from 'zod';
import { roleAt } from '../../domain/authorize.ts';
import { covers } from '../../domain/principal.ts';
import {
  CertificateSchema,
  IssuedCertificateSchema,
  RenewCertificateSchema,
} from '../../domain/schema/certificate.ts';
import { CertificateIdSchema, UserIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { listCertificates } from '../../infra/db/queries/certificate.ts';
import { renew, revoke } from '../certificate.ts';
import { certificateView } from '../certificate-view.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { route, type Caller } from '../route.ts';

export const certificateRoutes = [
  route({
    method: 'GET',
    path: '/v1/certificates',
    name: 'listCertificates',
    listener: 'admin',
    summary:
      'Client certificates, oldest first. An admin of workspaces sees his own only: they are in none.',
    rate: 'read',
    target: null,
    query: PageQuery.extend({ userId: UserIdSchema.optional() }),
    response: { status: 200, json: pageOf(CertificateSchema) },
    handler: async ({ caller, query }, { db }) => {
      const own = caller.userId ?? '';
      const userId = seesAll(caller) ? query.userId : own;
      const page = { after: decodeCursor(query.cursor), limit: query.limit + 1 };
      const isOthers = query.userId !== undefined && userId !== query.userId;
      const found = isOthers
        ? []
        : await listCertificates(db, { ...page, ...(userId === undefined ? {} : { userId }) });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(certificateView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/certificates/renew',
    name: 'renewCertificate',
    listener: 'admin',
    summary: 'Another certificate for who asks with one, for the key of the request.',
    rate: 'write',
    target: null,
    body: RenewCertificateSchema,
    response: { status: 201, json: IssuedCertificateSchema },
    handler: async ({ caller, body, connection }, deps) => {
      const incoming = connection?.incoming ?? null;
      const { csr, label } = body;
      return { body: await renew(deps, { caller, incoming, csr, label }) };
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/certificates/{certificate}',
    name: 'revokeCertificate',
    listener: 'admin',
    summary:
      'Revokes a certificate, and those that were asked for with it, at once and for good. Again is fine.',
    rate: 'write',
    target: { kind: 'certificate', param: 'certificate' },
    params: z.strictObject({ certificate: CertificateIdSchema }),
    response: { status: 200, json: CertificateSchema },
    handler: async ({ params, caller }, deps) => ({
      body: certificateView(await revoke(deps, { caller, id: params.certificate })),
    }),
  }),
];

function seesAll({ bindings }: Caller): boolean {
  const role = roleAt(bindings, { workspaceId: null });
  return role !== null && covers(role, 'admin');
}
