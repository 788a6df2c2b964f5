import type { Logger } from 'pino';
import { AppError } from '../domain/error.ts';
import type { Config } from '../infra/config/config.ts';
import type { HostClient } from '../infra/host/contract.ts';
import { bootstrap, writeConnection } from './bootstrap.ts';
import { offerFirst } from './certificates.ts';
import { loadCodec } from './codec.ts';
import { openHosts } from './hosts.ts';
import { startHostProcess } from './host-process.ts';
import { lockDataDir } from './lock.ts';
import { makeDataDir, pathsIn } from './paths.ts';
import { openPolicy } from './policy.ts';
import { openMigrated, startPostgres } from './postgres.ts';
import { since, type Progress } from './progress.ts';
import { startListeners } from './api.ts';
import { refoundAfterRestore } from './repair.ts';
import { openSecrets } from './secrets.ts';
import { startTelemetry } from './telemetry.ts';
import { startTemporalServer } from './temporal-server.ts';
import { openTemporal, workflowBundle } from './temporal.ts';
import { startWorkers } from './worker.ts';

export interface UpOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly progress: Progress;
}

export interface RunningRookery {
  readonly url: string;
  readonly adminUrl: string;
  readonly temporalUiUrl: string | null;
  /** Set by the start that made it: shown once. */
  readonly newApiKey: string | null;
  /** Makes the first overlord; null where there is one, or nobody needs a certificate. Shown once. */
  readonly enrolmentSecret: string | null;
  /** A key of this data directory's owner, null where its file was removed. */
  readonly apiKey: string | null;
  readonly host: HostClient;
  /** Rejects when a part ends that nothing restarts. */
  readonly failed: Promise<never>;
  /** In the opposite order of the start; leaves no process and no socket. */
  stop(): Promise<void>;
}

/** Everything in one command: database, Temporal, pty-host, workers and API. */
export async function up(options: UpOptions): Promise<RunningRookery> {
  const parts = new AsyncDisposableStack();
  try {
    return await start(options, parts);
  } catch (error) {
    // What was started before the failure must not stay behind.
    await parts.disposeAsync();
    throw error;
  }
}

async function start(options: UpOptions, parts: AsyncDisposableStack): Promise<RunningRookery> {
  const { config, env, log, progress } = options;
  if (config.host.connect !== null) throw twoMasters();
  makeDataDir(config.dataDir);
  const unlock = await lockDataDir(config.dataDir);
  parts.defer(unlock);
  const tracing = await startTelemetry(config, log);
  parts.defer(() => tracing.stop());
  const secrets = openSecrets(config, env);
  const codec = await loadCodec(config, (reference) => secrets.resolveOwn(reference));
  // The servers know nothing of each other, so they start side by side, and stop so.
  const servers: Stoppable[] = [];
  parts.defer(() => stopAll(servers));
  const starting = {
    postgres: keep(servers, startPostgres(config, progress.step('database'))),
    temporal: keep(servers, startTemporalServer(config, progress.step('temporal'), env)),
    host: keep(servers, startHostProcess({ config, env, log, step: progress.step('terminals') })),
    bundle: bundleWorkflows(config, progress),
  };
  // All of them, so that what comes up beside one that failed is known and stopped.
  await Promise.allSettled(Object.values(starting));
  const postgres = await starting.postgres;
  const temporalServer = await starting.temporal;
  const host = await starting.host;
  const bundle = await starting.bundle;
  const database = await openMigrated(postgres.url, { name: 'up', log });
  parts.defer(() => database.close());
  const newApiKey = await bootstrap(database.db);

  const temporal = await openTemporal(config, { ...temporalServer, codec });
  parts.defer(() => temporal.connection.close());
  await refoundAfterRestore({ config, db: database.db, temporal: temporal.client, log });
  const hosts = openHosts({ config, db: database.db, local: host.client, secrets, log });
  parts.defer(() => hosts.close());
  const policy = openPolicy({ config, db: database.db, secrets, log });
  parts.defer(() => policy.close());
  const common = { config, db: database.db, temporal, hosts, secrets, policy, log };

  const apiStep = progress.step('api');
  const api = await startListeners({ ...common, databaseUrl: postgres.url });
  parts.defer(() => api.close());
  apiStep.done(`${api.url}, admin ${api.adminUrl}`);
  // Before any session starts: where its models and tools are.
  await host.leadTo(config.egress.gateway ?? api.url);

  const workerStep = progress.step('workers');
  const workersStartedAt = performance.now();
  const workers = await startWorkers({ ...common, databaseUrl: postgres.url, bundle });
  parts.defer(() => workers.stop());
  workerStep.done(`${config.workers.pools.join(', ')} in ${since(workersStartedAt)}`);

  const connection = await writeConnection(pathsIn(config.dataDir).connection, {
    url: api.url,
    adminUrl: api.adminUrl,
    apiKey: newApiKey,
  });
  const enrolmentSecret = await offerFirst(database.db, api.authority);
  return {
    url: api.url,
    adminUrl: api.adminUrl,
    temporalUiUrl: temporalServer.uiUrl,
    newApiKey,
    enrolmentSecret,
    apiKey: connection?.apiKey ?? null,
    host: host.client,
    failed: workers.failed,
    stop: () => parts.disposeAsync(),
  };
}

function twoMasters(): AppError {
  return new AppError(
    'invalid_input',
    'host.connect makes this machine a host of another Rookery, so `rookery up` has none of its own. Run `rookery pty-host`, or leave host.connect out.',
  );
}

async function bundleWorkflows(config: Config, progress: Progress) {
  const step = progress.step('workflows');
  const startedAt = performance.now();
  const bundle = await workflowBundle(config);
  step.done(`bundle ready in ${since(startedAt)}`);
  return bundle;
}

interface Stoppable {
  stop(): Promise<void>;
}

/** What has started is stopped with the rest, whatever becomes of the others. */
async function keep<T extends Stoppable>(servers: Stoppable[], starting: Promise<T>): Promise<T> {
  const started = await starting;
  servers.push(started);
  return started;
}

/** One that does not stop must not keep the others running. */
async function stopAll(servers: readonly Stoppable[]): Promise<void> {
  const stopped = await Promise.allSettled(servers.map((server) => server.stop()));
  const failure = stopped.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
}
