import { z } from 'zod';
import { WebhookIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import {
  ChangeWebhookSchema,
  CreateWebhookSchema,
  ReplayWebhookSchema,
  RotateWebhookSecretSchema,
  WebhookDeliverySchema,
  WebhookPingSchema,
  WebhookSchema,
  WebhookWithSecretSchema,
} from '../../domain/schema/webhook.ts';
import { DELIVERY_STATES } from '../../domain/webhook.ts';
import { listDeliveries } from '../../infra/db/queries/webhook-delivery.ts';
import { listWebhooks } from '../../infra/db/queries/webhook.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route } from '../route.ts';
import { change, create, findWebhook, ping, remove, replay, rotate } from '../webhook-admin.ts';
import { deliveryView, webhookView } from '../webhook-view.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
const ByWebhook = z.strictObject({ webhook: WebhookIdSchema });
const OF_WORKSPACE = { kind: 'workspace', param: 'workspace' } as const;
const OF_WEBHOOK = { kind: 'webhook', param: 'webhook' } as const;

export const webhookRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/webhooks',
    name: 'listWebhooks',
    summary: 'Webhooks of a workspace, oldest first, without their secrets.',
    rate: 'read',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    query: PageQuery,
    response: { status: 200, json: pageOf(WebhookSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listWebhooks(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(webhookView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/webhooks',
    name: 'createWebhook',
    summary:
      'Makes a webhook that is told of what happens from now on, or one that takes callbacks.',
    rate: 'write',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    body: CreateWebhookSchema,
    response: { status: 201, json: WebhookWithSecretSchema },
    storable: withoutSecret,
    handler: async ({ workspaceId, caller, body, idempotencyKey }, deps) => {
      const id = repeatableId('webhook', [workspaceId ?? '', caller.id, idempotencyKey]);
      return { body: await create(deps, caller, { id, workspaceId: workspaceId ?? '', ...body }) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhooks/{webhook}',
    name: 'getWebhook',
    summary: 'One webhook, without its secret.',
    rate: 'read',
    target: OF_WEBHOOK,
    params: ByWebhook,
    response: { status: 200, json: WebhookSchema },
    handler: async ({ params }, { db }) => ({
      body: webhookView(await findWebhook(db, params.webhook)),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/webhooks/{webhook}',
    name: 'changeWebhook',
    summary:
      'Changes a webhook; what is left out stays. An enabled one goes on with what happens from then on.',
    rate: 'write',
    target: OF_WEBHOOK,
    params: ByWebhook,
    body: ChangeWebhookSchema,
    response: { status: 200, json: WebhookSchema },
    handler: async ({ params, caller, body }, deps) => ({
      body: await change(deps, caller, { id: params.webhook, ...body }),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/v1/webhooks/{webhook}',
    name: 'deleteWebhook',
    summary: 'Deletes a webhook with its deliveries; what waits is not sent.',
    rate: 'write',
    target: OF_WEBHOOK,
    params: ByWebhook,
    response: { status: 200, json: WebhookSchema },
    handler: async ({ params, caller }, deps) => ({
      body: await remove(deps, caller, params.webhook),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/webhooks/{webhook}/rotate-secret',
    name: 'rotateWebhookSecret',
    summary:
      'Makes a new secret, shown in this answer only; the old one holds for a while beside it.',
    rate: 'write',
    target: OF_WEBHOOK,
    params: ByWebhook,
    body: RotateWebhookSecretSchema,
    response: { status: 200, json: WebhookWithSecretSchema },
    storable: withoutSecret,
    handler: async ({ params, caller, body, idempotencyKey }, deps) => {
      const request = repeatableId('webhook', [params.webhook, caller.id, idempotencyKey]);
      const overlapMs = body.overlapSeconds * 1_000;
      return { body: await rotate(deps, caller, { id: params.webhook, request, overlapMs }) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/webhooks/{webhook}/ping',
    name: 'pingWebhook',
    summary: 'Sends a test message now, past the order of events, and tells what became of it.',
    rate: 'stream',
    target: OF_WEBHOOK,
    params: ByWebhook,
    response: { status: 200, json: WebhookPingSchema },
    handler: async ({ params, idempotencyKey }, deps) => ({
      body: await ping(deps, params.webhook, idempotencyKey),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/webhooks/{webhook}/replay',
    name: 'replayWebhook',
    summary: 'Sends again all events from this number on, in order and under the same ids.',
    rate: 'write',
    target: OF_WEBHOOK,
    params: ByWebhook,
    body: ReplayWebhookSchema,
    response: { status: 202, json: WebhookSchema },
    handler: async ({ params, caller, body }, deps) => ({
      body: await replay(deps, caller, { id: params.webhook, from: body.from }),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/webhooks/{webhook}/deliveries',
    name: 'listWebhookDeliveries',
    summary:
      'Events that were sent or given up, the newest first; `state=dead` is the dead-letter list.',
    rate: 'read',
    target: OF_WEBHOOK,
    params: ByWebhook,
    query: PageQuery.extend({ state: z.enum(DELIVERY_STATES).optional() }),
    response: { status: 200, json: pageOf(WebhookDeliverySchema) },
    handler: async ({ params, query }, { db }) => {
      const found = await listDeliveries(db, {
        webhookId: params.webhook,
        before: query.cursor === undefined ? null : decodeCursor(query.cursor),
        limit: query.limit + 1,
        state: query.state,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map((row) => deliveryView(params.webhook, row)), next } };
    },
  }),
];

/** What a replay shows: the secret is kept sealed, and shown to nobody again. */
function withoutSecret(body: unknown): unknown {
  return { ...WebhookWithSecretSchema.parse(body), secret: null };
}
