import type { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import {
  EnrolmentSecretSchema,
  EnrolSchema,
  IssuedCertificateSchema,
  OfferEnrolmentSchema,
} from '../../domain/schema/certificate.ts';
import { getEnrolment } from '../../infra/db/queries/enrolment.ts';
import { findLiveUser } from '../../infra/db/queries/principal.ts';
import { checkNotAbove } from '../certificate.ts';
import { officeOf } from '../certificate-view.ts';
import type { ApiDeps } from '../deps.ts';
import { enrol } from '../enrolment.ts';
import { offerEnrolment } from '../enrolment-offer.ts';
import { repeatableId } from '../repeatable-id.ts';
import { publicRoute, route, type Caller } from '../route.ts';
import { requireAt } from '../target.ts';

export const enrolmentRoutes = [
  publicRoute({
    method: 'POST',
    path: '/v1/enrolments',
    name: 'enrol',
    summary:
      'Answers a one-time secret and a certificate request with a client certificate for the admin listener.',
    rate: 'login',
    body: EnrolSchema,
    response: { status: 201, json: IssuedCertificateSchema },
    handler: async ({ body, connection }, deps) => {
      const address = connection?.incoming.socket.remoteAddress ?? 'inside';
      return { body: await enrol(deps, { body, address }) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/enrolment-secrets',
    name: 'offerEnrolment',
    listener: 'admin',
    summary:
      'Makes a secret that lets one machine of a user enrol, once and for ten minutes. Shown in this answer only.',
    rate: 'write',
    target: null,
    body: OfferEnrolmentSchema,
    response: { status: 201, json: EnrolmentSecretSchema },
    storable: (body) => ({ ...EnrolmentSecretSchema.parse(body), secret: null }),
    handler: async ({ caller, body, idempotencyKey }, deps) => ({
      body: await offer(deps, { caller, userId: body.userId, idempotencyKey }),
    }),
  }),
];

interface Offer {
  readonly caller: Caller;
  readonly userId: string;
  readonly idempotencyKey: string;
}

async function offer(
  deps: ApiDeps,
  { caller, userId, idempotencyKey }: Offer,
): Promise<z.output<typeof EnrolmentSecretSchema>> {
  const { fingerprint } = officeOf(deps).authority;
  const id = repeatableId('enrolment', [caller.id, idempotencyKey]);
  // A certificate outlives what its user may today: whoever is let in as somebody else may grow with him.
  if (userId !== caller.userId) requireAt(caller, 'offerEnrolment', { workspaceId: null });
  return deps.db.transaction().execute(async (tx) => {
    await checkNotAbove(tx, caller, { userId, withPrivate: true });
    if ((await findLiveUser(tx, userId)) === null) {
      throw new AppError('conflict', 'This user is disabled.');
    }
    const actor = { kind: 'user', id: caller.id } as const;
    const made = await offerEnrolment(tx, { id, who: { userId }, actor, fingerprint });
    // Made by a try whose answer was lost, and its secret with it.
    const expiresAt = made?.expiresAt ?? (await getEnrolment(tx, id))?.expiresAt;
    if (expiresAt === undefined) throw new Error('What an insertion conflicts with is there.');
    return {
      id,
      userId: parseId('user', userId),
      expiresAt: expiresAt.toISOString(),
      secret: made?.secret ?? null,
    };
  });
}
