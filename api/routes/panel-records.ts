import { z } from 'zod';
import { EVENT_TYPES } from '../../domain/event.ts';
import { lastAudit, verifyAudit } from '../../infra/db/queries/audit.ts';
import { lastEvents } from '../../infra/db/queries/event-view.ts';
import { eventRange } from '../../infra/db/queries/event.ts';
import { namesOfAgents } from '../../infra/db/queries/panel-view.ts';
import { namesOfPrincipals } from '../../infra/db/queries/principal.ts';
import { sumUsage } from '../../infra/db/queries/usage.ts';
import { auditPage } from '../panel/audit.ts';
import { eventsPage } from '../panel/events.ts';
import { ByWorkspace, CORE_SCRIPTS, pageRoute } from '../panel/page-route.ts';
import { usagePage } from '../panel/usage.ts';

const ROWS = 100;
const DAY_MS = 24 * 60 * 60 * 1_000;
const USAGE_DAYS = 30;

const Before = z.coerce.number().int().min(1).optional();
const Subject = z.string().max(64).default('');

export const panelRecordRoutes = [
  pageRoute({
    path: '/panel/w/{workspace}/events',
    name: 'getPanelEvents',
    summary: 'the event log, newest first.',
    section: 'events',
    target: 'workspace',
    params: ByWorkspace,
    query: z.strictObject({
      type: z.enum([...EVENT_TYPES, '']).default(''),
      subject: Subject,
      before: Before,
    }),
    show: async ({ workspaceId, query, now }, { db }) => {
      const { type, subject, before } = query;
      const [range, found] = await Promise.all([
        eventRange(db, workspaceId),
        lastEvents(db, {
          workspaceId,
          ...(before === undefined ? {} : { before }),
          ...(type === '' ? {} : { type }),
          ...(subject === '' ? {} : { subjectId: subject }),
          limit: ROWS + 1,
        }),
      ]);
      const { rows, older } = cut(found);
      const body = eventsPage({ events: rows, type, subject, older, ...range, now });
      return { title: 'Events', scripts: CORE_SCRIPTS, live: liveOf(before), body };
    },
  }),
  pageRoute({
    path: '/panel/w/{workspace}/audit',
    name: 'getPanelAudit',
    summary: 'who did what, newest first; `verify=1` recomputes the chain.',
    section: 'audit',
    target: 'workspace',
    params: ByWorkspace,
    query: z.strictObject({ subject: Subject, before: Before, verify: z.literal('1').optional() }),
    show: async ({ workspaceId, query, now }, { db }) => {
      const { subject, before, verify } = query;
      const [found, verdict] = await Promise.all([
        lastAudit(db, {
          workspaceId,
          ...(before === undefined ? {} : { before }),
          ...(subject === '' ? {} : { subjectId: subject }),
          limit: ROWS + 1,
        }),
        verify === undefined ? null : verifyAudit(db, workspaceId),
      ]);
      const { rows, older } = cut(found);
      const names = await namesOfPrincipals(
        db,
        rows.map(({ actorId }) => actorId),
      );
      const body = auditPage({ entries: rows, names, subject, older, verdict, now });
      return { title: 'Audit', scripts: CORE_SCRIPTS, live: liveOf(before), body };
    },
  }),
  pageRoute({
    path: '/panel/w/{workspace}/usage',
    name: 'getPanelUsage',
    summary: 'what agents used in the last 30 days, by day, agent and model.',
    section: 'usage',
    target: 'workspace',
    params: ByWorkspace,
    query: z.strictObject({
      measure: z.enum(['cost', 'tokens', 'turns', 'time']).default('cost'),
    }),
    show: async ({ workspaceId, query: { measure }, now }, { db }) => {
      const days = Array.from({ length: USAGE_DAYS }, (_, index) =>
        new Date(now - (USAGE_DAYS - 1 - index) * DAY_MS).toISOString().slice(0, 10),
      );
      const [from = '', to = ''] = [days[0], days.at(-1)];
      const sums = await sumUsage(db, { workspaceId, from, to });
      const names = await namesOfAgents(db, [...new Set(sums.map(({ agentId }) => agentId))]);
      return {
        title: 'Usage',
        scripts: CORE_SCRIPTS,
        body: usagePage({ sums, days, measure, names }),
      };
    },
  }),
];

/** An older page does not change. */
function liveOf(before: number | undefined): 'page' | null {
  return before === undefined ? 'page' : null;
}

function cut<T extends { readonly seq: number }>(
  found: readonly T[],
): { readonly rows: readonly T[]; readonly older: number | null } {
  if (found.length <= ROWS) return { rows: found, older: null };
  const rows = found.slice(0, ROWS);
  return { rows, older: rows.at(-1)?.seq ?? null };
}
