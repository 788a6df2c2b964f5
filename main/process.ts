import { AppError } from '../domain/error.ts';
import type { Config } from '../infra/config/config.ts';
import { pickPort } from '../infra/embedded/port.ts';
import { createHostClient } from '../infra/host/client.ts';
import { installTemporalRuntime } from '../infra/temporal/runtime.ts';
import { startListeners, type ApiParts } from './api.ts';
import { loadCodec } from './codec.ts';
import { offerFirst } from './certificates.ts';
import { configOf, type ConfigFlags } from './flags.ts';
import { bootstrap, writeConnection } from './bootstrap.ts';
import { openHosts } from './hosts.ts';
import { createLog } from './log.ts';
import { startMetricsListener } from './metrics-listener.ts';
import { makeDataDir, pathsIn } from './paths.ts';
import { openPolicy, policyMetrics } from './policy.ts';
import { openMigrated } from './postgres.ts';
import { openSecrets } from './secrets.ts';
import { untilStopped } from './signals.ts';
import { startTelemetry } from './telemetry.ts';
import { openTemporal, workflowBundle } from './temporal.ts';
import { startWorkers } from './worker.ts';

/** `rookery api`: the listeners alone. */
export async function runApi(flags: ConfigFlags): Promise<void> {
  await withParts(configOf(flags), 'api', async (parts) => {
    const newApiKey = await bootstrap(parts.db);
    const api = await startListeners(parts);
    const { connection } = pathsIn(parts.config.dataDir);
    const { url, adminUrl } = api;
    await writeConnection(connection, { url, adminUrl, apiKey: newApiKey });
    // Not through the log, which is kept and shipped.
    if (newApiKey !== null) process.stdout.write(`API key, shown once: ${newApiKey}\n`);
    const secret = await offerFirst(parts.db, api.authority);
    if (secret !== null) process.stdout.write(`Enrol: rookery enrol ${url} ${secret}\n`);
    parts.log.info({ url, adminUrl }, 'api ready');
    await untilStopped();
    await api.close();
  });
}

/** `rookery worker`: the configured pools alone. */
export async function runWorker(flags: ConfigFlags & { readonly pools?: string }): Promise<void> {
  const { pools } = flags;
  const config = configOf(flags, pools === undefined ? {} : { 'workers.pools': pools });
  await withParts(config, 'worker', async (parts) => {
    const workers = await startWorkers({ ...parts, bundle: await workflowBundle(config) });
    parts.log.info({ pools: config.workers.pools }, 'worker ready');
    await Promise.race([untilStopped(), workers.failed]);
    await workers.stop();
  });
}

async function withParts(
  config: Config,
  name: string,
  run: (parts: ApiParts) => Promise<void>,
): Promise<void> {
  const { databaseUrl, address } = addressesOf(config, name);
  makeDataDir(config.dataDir);
  const log = createLog(config);
  // The API has its own /metrics; a worker's is beside the numbers of Temporal's SDK.
  const metricsPort = name === 'worker' ? config.metrics.port : null;
  const sdkAddress = metricsPort === null ? null : `127.0.0.1:${await pickPort('127.0.0.1')}`;
  installTemporalRuntime(log, sdkAddress);
  const secrets = openSecrets(config, process.env);
  await using stack = new AsyncDisposableStack();
  if (metricsPort !== null && sdkAddress !== null) {
    const metrics = await startMetricsListener({
      port: metricsPort,
      sdkAddress,
      others: [policyMetrics],
      log,
    });
    stack.defer(() => metrics.close());
  }
  const tracing = await startTelemetry(config, log);
  stack.defer(() => tracing.stop());
  const database = await openMigrated(databaseUrl, { name, log });
  stack.defer(() => database.close());
  const codec = await loadCodec(config, (reference) => secrets.resolveOwn(reference));
  const { namespace } = config.temporal;
  const temporal = await openTemporal(config, { address, namespace, codec });
  stack.defer(() => temporal.connection.close());
  const local = createHostClient({ socketPath: config.host.socketPath });
  stack.defer(() => local.close());
  const hosts = openHosts({ config, db: database.db, local, secrets, log });
  stack.defer(() => hosts.close());
  const policy = openPolicy({ config, db: database.db, secrets, log });
  stack.defer(() => policy.close());
  await run({ config, databaseUrl, db: database.db, temporal, hosts, secrets, policy, log });
  log.info('stopping');
}

/** A part alone cannot start servers that the other parts would have to find. */
function addressesOf(config: Config, name: string): { databaseUrl: string; address: string } {
  const { databaseUrl, temporal } = config;
  if (databaseUrl === null || temporal.address === null) {
    throw new AppError(
      'invalid_input',
      `\`rookery ${name}\` alone needs DATABASE_URL and TEMPORAL_ADDRESS; \`rookery up\` starts both itself.`,
    );
  }
  return { databaseUrl, address: temporal.address };
}
