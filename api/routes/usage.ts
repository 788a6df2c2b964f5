import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId, type AgentId } from '../../domain/id.ts';
import { AgentIdSchema } from '../../domain/schema/id.ts';
import { USAGE_DIMENSIONS, UsageSchema, type UsageDimension } from '../../domain/schema/usage.ts';
import { agentNames } from '../../infra/db/queries/agent-view.ts';
import { sumUsage, type UsageSum } from '../../infra/db/queries/usage.ts';
import type { Executor } from '../../infra/db/schema.ts';
import {
  groupUsage,
  usageCsv,
  usdOf,
  type NamedUsageRow,
} from '../../infra/metering/usage-report.ts';
import { listOf } from '../query.ts';
import { route } from '../route.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const DAYS_DEFAULT = 30;
/** A year of days: more rows than a person reads and few enough to sum at once. */
const DAYS_MAX = 366;

export const usageRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/usage',
    name: 'getUsage',
    summary:
      'What agents used, by agent, by day (UTC) and by model, the last 30 days unless told otherwise. ' +
      '`by=day,agent,model` adds rows; `format=csv` answers these rows as a table.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: z.strictObject({
      from: z.iso.date().optional(),
      to: z.iso.date().optional(),
      agent: AgentIdSchema.optional(),
      by: listOf(USAGE_DIMENSIONS).optional(),
      format: z.enum(['json', 'csv']).default('json'),
    }),
    response: { status: 200, json: UsageSchema },
    handler: async ({ workspaceId, query }, { db, clock }) => {
      const to = query.to ?? dayOf(clock.now());
      const from = query.from ?? dayOf(Date.parse(to) - (DAYS_DEFAULT - 1) * DAY_MS);
      checkRange(from, to);
      const sums = await sumUsage(db, {
        workspaceId: workspaceId ?? '',
        from,
        to,
        ...(query.agent === undefined ? {} : { agentId: query.agent }),
      });
      if (query.format === 'csv') {
        const by = query.by ?? USAGE_DIMENSIONS;
        return csvOf(await rowsOf(db, sums, by), { by, from, to });
      }
      const rows = query.by === undefined ? [] : await rowsOf(db, sums, query.by);
      return { body: { from, to, ...summary(sums), rows: rows.map(rowView) } };
    },
  }),
];

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function checkRange(from: string, to: string): void {
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  if (days >= 1 && days <= DAYS_MAX) return;
  throw new AppError('invalid_input', `\`from\` to \`to\` must be 1 to ${DAYS_MAX} days.`);
}

function summary(sums: readonly UsageSum[]) {
  const [all] = groupUsage(sums, []);
  const totals = all?.quantities ?? {};
  return {
    totals,
    costUsd: usdOf(totals),
    byAgent: groupUsage(sums, ['agent']).map(({ agentId, quantities }) => ({
      agentId: parseId('agent', agentId),
      quantities,
    })),
    byDay: groupUsage(sums, ['day']).map(({ day, quantities }) => ({ day: day ?? '', quantities })),
    byModel: groupUsage(sums, ['model']).flatMap(({ model, quantities }) =>
      model === null ? [] : [{ model, quantities }],
    ),
  };
}

async function rowsOf(
  db: Executor,
  sums: readonly UsageSum[],
  by: readonly UsageDimension[],
): Promise<readonly NamedUsageRow[]> {
  const rows = groupUsage(sums, by);
  const ids = rows.flatMap(({ agentId }) => (agentId === null ? [] : [agentId]));
  const names = await agentNames(db, [...new Set(ids)]);
  return rows.map((row) => ({
    ...row,
    agentName: row.agentId === null ? null : (names.get(row.agentId) ?? null),
  }));
}

function rowView(row: NamedUsageRow) {
  const agentId: AgentId | null = row.agentId === null ? null : parseId('agent', row.agentId);
  return { ...row, agentId, costUsd: usdOf(row.quantities) };
}

interface Table {
  readonly by: readonly UsageDimension[];
  readonly from: string;
  readonly to: string;
}

function csvOf(rows: readonly NamedUsageRow[], { by, from, to }: Table): Response {
  return new Response(usageCsv(rows, by), {
    headers: {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': `attachment; filename="usage-${from}-${to}.csv"`,
      'cache-control': 'no-store',
    },
  });
}
