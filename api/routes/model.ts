import { z } from 'zod';
import { PROTOCOLS_OF } from '../../domain/model.ts';
import { AgentIdSchema } from '../../domain/schema/id.ts';
import { parseId } from '../../domain/id.ts';
import { ModelCallSchema, ModelHealthSchema, ModelsSchema } from '../../domain/schema/model.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { listModelCalls, type ModelCall } from '../../infra/db/queries/model-call-view.ts';
import type { Price } from '../../infra/models/gateway/price.ts';
import { PRICES_AS_OF } from '../../infra/models/gateway/prices.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { route } from '../route.ts';

const MICRO = 1_000_000;

export const modelRoutes = [
  route({
    method: 'GET',
    path: '/v1/models',
    name: 'listModels',
    summary: 'What the model gateway has: providers, aliases and prices. No keys.',
    rate: 'read',
    target: null,
    response: { status: 200, json: ModelsSchema },
    handler: async (_input, { models }) => ({
      body: {
        providers: models.providers.map(({ name, kind, origin, basePath, keyRef }) => ({
          name,
          kind,
          baseUrl: `${origin}${basePath}`,
          hasKey: keyRef !== null,
          protocols: [...PROTOCOLS_OF[kind]],
        })),
        aliases: models.aliases.map(({ model, targets }) => ({ model, targets: [...targets] })),
        prices: models.prices.map(({ model, source, price }) => ({
          model,
          source,
          price: priceView(price),
        })),
        pricesAsOf: PRICES_AS_OF,
      },
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/models/health',
    name: 'testModels',
    summary: 'Asks each provider for its list of models, with its key, and says what came back.',
    rate: 'spawn',
    target: null,
    response: { status: 200, json: ModelHealthSchema },
    handler: async (_input, { models }) => ({ body: { providers: [...(await models.test())] } }),
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/model-calls',
    name: 'listModelCalls',
    summary:
      'Calls of models, oldest first: who, which model, tokens, cost, how long and what became of it.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: PageQuery.extend({ agent: AgentIdSchema.optional() }),
    response: { status: 200, json: pageOf(ModelCallSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listModelCalls(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.agent === undefined ? {} : { agentId: query.agent }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(callView), next } };
    },
  }),
];

function priceView({ input, output, cacheRead, cacheWrite }: Price) {
  return {
    inputDollarsPerMillion: input / MICRO,
    outputDollarsPerMillion: output / MICRO,
    cacheReadDollarsPerMillion: cacheRead / MICRO,
    cacheWriteDollarsPerMillion: cacheWrite / MICRO,
  };
}

function callView(call: ModelCall): z.input<typeof ModelCallSchema> {
  const { seq: _seq, workspaceId: _workspace, events: _events, tokens, agentId, ...shown } = call;
  const { longCacheWriteTokens: _long, ...counts } = tokens;
  return { ...shown, agentId: parseId('agent', agentId), ...counts };
}
