import { z } from 'zod';
import {
  ChangeConnectorSchema,
  ConnectorSchema,
  ConnectorTestSchema,
  CreateConnectorSchema,
  POST_STATES,
  PostSchema,
  RetriedUpdatesSchema,
  RotateConnectorSecretSchema,
} from '../../domain/schema/connector.ts';
import { ConnectorIdSchema, PostIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { listConnectors } from '../../infra/db/queries/connector.ts';
import { listPosts } from '../../infra/db/queries/post.ts';
import {
  change,
  create,
  findConnector,
  remove,
  retryAll,
  rotate,
  sendAgain,
  tryOut,
} from '../connector-admin.ts';
import { connectorView, postView } from '../connector-view.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { repeatableId } from '../repeatable-id.ts';
import { publicRoute, route } from '../route.ts';
import { requireAt } from '../target.ts';
import { takeTelegramUpdate } from '../telegram-webhook.ts';

const ByConnector = z.strictObject({ connector: ConnectorIdSchema });
const OF_CONNECTOR = { kind: 'connector', param: 'connector' } as const;
const EVERYWHERE = { workspaceId: null };

export const connectorRoutes = [
  route({
    method: 'GET',
    path: '/v1/connectors',
    name: 'listConnectors',
    summary: 'Bots on chat networks and how they do, oldest first, without their secrets.',
    rate: 'read',
    listener: 'admin',
    target: null,
    query: PageQuery,
    response: { status: 200, json: pageOf(ConnectorSchema) },
    handler: async ({ caller, query }, { db }) => {
      requireAt(caller, 'listConnectors', EVERYWHERE);
      const page = { after: decodeCursor(query.cursor), limit: query.limit + 1 };
      const { rows, next } = pageFrom(await listConnectors(db, page), query.limit);
      return { body: { items: rows.map(connectorView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/connectors',
    name: 'createConnector',
    summary: 'Connects a bot. Its secret is sealed, or named by a reference; it is never shown.',
    rate: 'write',
    listener: 'admin',
    target: null,
    body: CreateConnectorSchema,
    response: { status: 201, json: ConnectorSchema },
    handler: async ({ caller, body, idempotencyKey }, deps) => {
      const asked = requireAt(caller, 'createConnector', EVERYWHERE);
      const id = repeatableId('connector', [caller.id, idempotencyKey]);
      return { body: connectorView(await create(deps, asked, { id, ...body })) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/connectors/{connector}',
    name: 'getConnector',
    summary: 'One bot and how it does.',
    rate: 'read',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    response: { status: 200, json: ConnectorSchema },
    handler: async ({ params }, { db }) => ({
      body: connectorView(await findConnector(db, params.connector)),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/connectors/{connector}',
    name: 'changeConnector',
    summary: 'Changes name or settings, enables or disables; what is left out stays.',
    rate: 'write',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    body: ChangeConnectorSchema,
    response: { status: 200, json: ConnectorSchema },
    handler: async ({ params, caller, body }, deps) => ({
      body: connectorView(await change(deps, caller, { id: params.connector, ...body })),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/connectors/{connector}/rotate-secret',
    name: 'rotateConnectorSecret',
    summary: 'Gives a bot another secret, which is used within moments. The old one is forgotten.',
    rate: 'write',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    body: RotateConnectorSecretSchema,
    response: { status: 200, json: ConnectorSchema },
    handler: async ({ params, caller, body }, deps) => ({
      body: connectorView(await rotate(deps, caller, { id: params.connector, ...body })),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/connectors/{connector}/test',
    name: 'testConnector',
    summary: 'Asks the network whether it takes the secret. Nothing is said to anybody.',
    rate: 'stream',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    response: { status: 200, json: ConnectorTestSchema },
    handler: async ({ params }, deps) => ({ body: await tryOut(deps, params.connector) }),
  }),
  route({
    method: 'POST',
    path: '/v1/connectors/{connector}/retry-updates',
    name: 'retryConnectorUpdates',
    summary: 'Has messages handled once more that were given up after five failures.',
    rate: 'write',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    response: { status: 200, json: RetriedUpdatesSchema },
    handler: async ({ params, caller }, deps) => ({
      body: await retryAll(deps, caller, params.connector),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/v1/connectors/{connector}',
    name: 'removeConnector',
    summary: 'Takes a bot off its network and forgets its secret. What waits is not said any more.',
    rate: 'write',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    response: { status: 200, json: ConnectorSchema },
    handler: async ({ params, caller }, deps) => ({
      body: connectorView(await remove(deps, caller, params.connector)),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/connectors/{connector}/posts',
    name: 'listPosts',
    summary: 'What a bot was to say and what became of it, oldest first, without what it was.',
    rate: 'read',
    listener: 'admin',
    target: OF_CONNECTOR,
    params: ByConnector,
    query: PageQuery.extend({ state: z.enum(POST_STATES).optional() }),
    response: { status: 200, json: pageOf(PostSchema) },
    handler: async ({ params, query }, { db }) => {
      const found = await listPosts(db, {
        connectorId: params.connector,
        state: query.state,
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(postView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/posts/{post}/send-again',
    name: 'resendPost',
    summary: 'Says something again that is uncertain or failed. It may be there twice then.',
    rate: 'write',
    listener: 'admin',
    target: { kind: 'post', param: 'post' },
    params: z.strictObject({ post: PostIdSchema }),
    response: { status: 200, json: PostSchema },
    handler: async ({ params, caller }, deps) => ({
      body: postView(await sendAgain(deps, caller, params.post)),
    }),
  }),
  publicRoute({
    method: 'POST',
    path: '/v1/connectors/{connector}/telegram',
    name: 'takeTelegramUpdate',
    summary: 'Takes what Telegram pushes, with the secret that it was given for that.',
    rate: 'public',
    // Nothing is read before the secret was checked.
    isRaw: true,
    rawBody: z.looseObject({ update_id: z.int() }),
    params: z.strictObject({ connector: z.string().max(64) }),
    response: { status: 200, json: z.looseObject({}) },
    handler: async ({ params, request }, deps) => ({
      body: await takeTelegramUpdate(deps, params.connector, request),
    }),
  }),
];
