import { Client } from 'pg';
import { z } from 'zod';
import type { Check, DoctorRow } from './doctor-checks.ts';
import { runningDatabase } from './stores.ts';

const ANSWER_TIMEOUT_MS = 5_000;
/** "There is no such table": a database that was never migrated, or long ago. */
const UNDEFINED_TABLE = '42P01';

const Row = z.object({
  name: z.string(),
  network: z.string(),
  state: z.string(),
  detail: z.string(),
  uncertain: z.int(),
});
type Row = z.output<typeof Row>;

const QUERY = `
  select c.name, c.network, c.state_detail as detail,
    case when exists (select from listener_lease l
      where l.name = 'connector:' || c.id and l.lease_until > now()) then c.state else 'stopped' end as state,
    (select count(*)::int from post p where p.connector_id = c.id and p.state = 'uncertain') as uncertain
  from connector c where c.removed_at is null and c.enabled order by c.seq`;

/** How the bots of a running Rookery do. Nothing is asked of their networks. */
export const checkConnectors: Check['look'] = async ({ config }) => {
  const url = await runningDatabase(config);
  if (url === null) return row('ok', 'Rookery does not run: not looked at', null);
  const bots = await read(url);
  if (bots === null) return row('warn', 'the database does not answer', 'see PostgreSQL above');
  if (bots.length === 0) return row('ok', 'none (docs/connectors.md)', null);
  const bad = bots.filter(({ state }) => state !== 'connected' && state !== 'connecting');
  const uncertain = bots.reduce((sum, bot) => sum + bot.uncertain, 0);
  const found = bots.map((bot) => `${bot.network} ${bot.name}: ${wordsOf(bot)}`).join('; ');
  if (bad.length > 0) return row('warn', found, 'rookery connector list; see docs/connectors.md');
  if (uncertain > 0) {
    return row('warn', `${found}; ${uncertain} posts are uncertain`, 'rookery connector posts');
  }
  return row('ok', found, null);
};

function wordsOf({ state, detail }: Row): string {
  if (state === 'stopped') return 'no process runs it';
  return detail === '' ? state : `${state} (${detail})`;
}

/** Null where it cannot be asked. */
async function read(url: string): Promise<readonly Row[] | null> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(QUERY);
    return z.array(Row).parse(rows);
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
    return code === UNDEFINED_TABLE ? [] : null;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function row(
  status: DoctorRow['status'],
  found: string,
  fix: string | null,
): Omit<DoctorRow, 'name'> {
  return { status, found, fix };
}
