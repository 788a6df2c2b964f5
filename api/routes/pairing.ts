import { z } from 'zod';
import { PairingIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import {
  ApprovedPairingSchema,
  ApprovePairingSchema,
  LookUpPairingSchema,
  PairingSchema,
} from '../../domain/schema/pairing.ts';
import { listOpenPairings } from '../../infra/db/queries/pairing.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { approvePairing, lookUpPairing, pairingView, refusePairing } from '../pairing.ts';
import { route } from '../route.ts';
import { requireAt } from '../target.ts';
import { identityView, roleView, userView } from '../user.ts';
import { EVERYWHERE } from './user.ts';

const ByPairing = z.strictObject({ pairing: PairingIdSchema });

export const pairingRoutes = [
  route({
    method: 'GET',
    path: '/v1/pairings',
    name: 'listPairings',
    listener: 'admin',
    summary:
      'Accounts of chat networks that wait to be linked, oldest first, without their tokens.',
    rate: 'read',
    target: null,
    query: PageQuery,
    response: { status: 200, json: pageOf(PairingSchema) },
    handler: async ({ caller, query }, { db }) => {
      requireAt(caller, 'listPairings', EVERYWHERE);
      const page = { after: decodeCursor(query.cursor), limit: query.limit + 1 };
      const { rows, next } = pageFrom(await listOpenPairings(db, page), query.limit);
      return { body: { items: rows.map(pairingView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/pairings/lookup',
    name: 'lookUpPairing',
    listener: 'admin',
    summary:
      'Who shows this token: connector, number and display name. Wrong tokens lock out for a while.',
    rate: 'write',
    target: null,
    body: LookUpPairingSchema,
    response: { status: 200, json: PairingSchema },
    handler: async ({ caller, body, connection }, deps) => {
      requireAt(caller, 'lookUpPairing', EVERYWHERE);
      const address = connection?.incoming.socket.remoteAddress ?? 'inside';
      return { body: pairingView(await lookUpPairing(deps, { caller, address, ...body })) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/pairings/{pairing}/approve',
    name: 'approvePairing',
    listener: 'admin',
    summary:
      'Links the account whose token was looked up to a user, there or new, and gives a role with it.',
    rate: 'write',
    target: null,
    params: ByPairing,
    body: ApprovePairingSchema,
    response: { status: 200, json: ApprovedPairingSchema },
    handler: async ({ caller, params, body, idempotencyKey: requestId }, deps) => {
      requireAt(caller, 'approvePairing', EVERYWHERE);
      const made = await approvePairing(deps, { caller, id: params.pairing, body, requestId });
      const { pairing, user, identity, role } = made;
      return {
        body: {
          pairing: pairingView(pairing),
          user: userView(user),
          identity: identityView(identity),
          role: role === null ? null : roleView(role),
        },
      };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/pairings/{pairing}/refuse',
    name: 'refusePairing',
    listener: 'admin',
    summary: 'Links nobody. Refusing again is fine.',
    rate: 'write',
    target: null,
    params: ByPairing,
    response: { status: 200, json: PairingSchema },
    handler: async ({ caller, params }, deps) => {
      requireAt(caller, 'refusePairing', EVERYWHERE);
      return { body: pairingView(await refusePairing(deps, { caller, id: params.pairing })) };
    },
  }),
];
