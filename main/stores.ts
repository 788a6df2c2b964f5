import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../domain/error.ts';
import type { Config } from '../infra/config/config.ts';
import { DATABASE_NAME, DATABASE_USER } from '../infra/embedded/postgres-cluster.ts';
import { readLiveRecord } from '../infra/embedded/record.ts';
import { temporalPaths } from '../infra/embedded/temporal-store.ts';
import { lockDataDir, lockPath } from './lock.ts';
import { pathsIn } from './paths.ts';
import { startPostgres, type RunningPostgres } from './postgres.ts';
import type { Step } from './progress.ts';
import { startTemporalServer, type RunningTemporal } from './temporal-server.ts';

const nothingToStop = { stop: () => Promise.resolve() };

/**
 * Keeps `up` away from a data directory that it does not run on, for as long as an operation uses it alone. Beside a running `up`
 * there is nothing to keep. Release it last.
 */
export async function keepAlone(config: Config): Promise<() => void> {
  return (await isUp(config)) ? () => undefined : lockDataDir(config.dataDir);
}

/**
 * The database of a running `up`, left running at the end; else one that is started for as long as it is needed, or taken over
 * from a process that was killed.
 */
export async function reachPostgres(config: Config, step: Step): Promise<RunningPostgres> {
  if (config.databaseUrl !== null || !(await isUp(config))) return startPostgres(config, step);
  const { postgres } = pathsIn(config.dataDir);
  const port = await portOf(join(postgres, 'postgres.json'), 'sql');
  if (port === null) throw notYet('database');
  step.done(`PostgreSQL on 127.0.0.1:${port}, running`);
  return { url: await urlOf(postgres, port), ...nothingToStop };
}

/** The database of a Rookery that runs on this data directory, or the one that is configured; null where none runs. */
export async function runningDatabase(config: Config): Promise<string | null> {
  if (config.databaseUrl !== null) return config.databaseUrl;
  const { postgres } = pathsIn(config.dataDir);
  const port = await portOf(join(postgres, 'postgres.json'), 'sql');
  return port === null ? null : urlOf(postgres, port);
}

async function urlOf(postgres: string, port: number): Promise<string> {
  const password = (await readFile(join(postgres, 'password'), 'utf8')).trim();
  return `postgres://${DATABASE_USER}:${password}@127.0.0.1:${port}/${DATABASE_NAME}`;
}

/** Likewise Temporal. */
export async function reachTemporal(
  config: Config,
  step: Step,
  env: Readonly<Record<string, string | undefined>>,
): Promise<RunningTemporal> {
  if (config.temporal.address !== null || !(await isUp(config)))
    return startTemporalServer(config, step, env);
  const port = await temporalPort(config);
  if (port === null) throw notYet('Temporal');
  const address = `127.0.0.1:${port}`;
  step.done(`Temporal on ${address}, running`);
  return { address, namespace: config.temporal.namespace, uiUrl: null, ...nothingToStop };
}

async function isUp({ dataDir }: Config): Promise<boolean> {
  const holder = await readLiveRecord(lockPath(dataDir));
  return holder !== null && holder.pid !== process.pid;
}

function notYet(what: string): AppError {
  return new AppError(
    'upstream_unavailable',
    `Rookery is starting or stopping: its ${what} does not run yet. Try again in a moment.`,
  );
}

/** Throws `not_found` where no Rookery has ever run. */
export async function requireData(config: Config): Promise<void> {
  const { dataDir, databaseUrl } = config;
  const { postgres } = pathsIn(dataDir);
  const needed = databaseUrl === null ? join(postgres, 'cluster', 'PG_VERSION') : dataDir;
  if ((await stat(needed).catch(() => null)) !== null) return;
  throw new AppError(
    'not_found',
    `There is no data in ${dataDir}: Rookery has never run on it, so there is nothing to back up or repair. Check dataDir.`,
  );
}

/** Of the embedded server where it runs, else null. */
export function temporalPort(config: Config): Promise<number | null> {
  return portOf(temporalPaths(pathsIn(config.dataDir).temporal).record, 'grpc');
}

async function portOf(recordPath: string, name: string): Promise<number | null> {
  return (await readLiveRecord(recordPath))?.ports[name] ?? null;
}

/** The first part of a runtime that runs on this data directory, or null. */
export async function runningPart(dataDir: string): Promise<string | null> {
  const { postgres, temporal, run } = pathsIn(dataDir);
  const records = {
    '`rookery up`': lockPath(dataDir),
    'the database': join(postgres, 'postgres.json'),
    Temporal: temporalPaths(temporal).record,
    'the pty-host': join(run, 'pty-host.json'),
  };
  for (const [name, path] of Object.entries(records)) {
    if ((await readLiveRecord(path)) !== null) return name;
  }
  return null;
}
