import { join } from 'node:path';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Worker } from '@temporalio/worker';
import type { AccessPolicy } from '../activities/agent-key.ts';
import { createAgentActivities } from '../activities/agent.ts';
import { createApprovalActivities } from '../activities/approval.ts';
import { createLimitActivities } from '../activities/limit.ts';
import { createRestoreActivities } from '../activities/restore.ts';
import { createSessionActivities } from '../activities/session.ts';
import { createSpawnActivities } from '../activities/spawn.ts';
import { createTakeoverActivities } from '../activities/takeover.ts';
import { createCheckpointStore, type CheckpointStore } from '../infra/checkpoints/store.ts';
import type { Config } from '../infra/config/config.ts';
import type { ComposedPolicyEngine } from '../infra/policy/engine.ts';
import { riskTableOf } from '../infra/config/risk-table.ts';
import type { Database } from '../infra/db/schema.ts';
import type { Host } from '../infra/db/queries/host.ts';
import type { WorkflowBundle } from '../infra/temporal/bundle.ts';
import { createCoreWorker } from '../workers/core.ts';
import { startCheckpoints } from '../workers/listeners/checkpoints.ts';
import { startHostFacts } from '../workers/listeners/host-facts.ts';
import { startHostLease } from '../workers/listeners/host-lease.ts';
import { startHostRetention } from '../workers/listeners/host-retention.ts';
import { startLinkedHosts, type HostWork } from '../workers/listeners/linked-hosts.ts';
import { startLimits } from '../workers/listeners/limits.ts';
import type { Listener } from '../workers/listeners/listener.ts';
import { startSweeps } from '../workers/listeners/sweeps.ts';
import { createPtyWorker } from '../workers/pty.ts';
import { connectorPool } from './connectors.ts';
import { labelsOf, type Hosts } from './hosts.ts';
import { gatewayTypesOf } from './models.ts';
import { pathsIn } from './paths.ts';
import { recordsListener } from './records.ts';
import type { Secrets } from './secrets.ts';
import type { TemporalSide } from './temporal.ts';
import { webhookListener } from './webhooks.ts';

export interface WorkerParts {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly db: Kysely<Database>;
  readonly temporal: TemporalSide;
  readonly bundle: WorkflowBundle;
  readonly hosts: Hosts;
  readonly secrets: Secrets;
  /** What the gate asks. */
  readonly policy: ComposedPolicyEngine;
  readonly log: Logger;
}

export interface RunningWorkers {
  /** Rejects when a worker ends by itself, which only a lost server or a bug makes it do. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

/** Records that a person can still look at after their agent's end. */
const PROMPT_DAYS = 90;

/** The pools that the configuration names, and their listeners. */
export async function startWorkers(parts: WorkerParts): Promise<RunningWorkers> {
  const { pools } = parts.config.workers;
  const workers: Worker[] = [];
  const listeners: Listener[] = [];
  if (pools.includes('core')) {
    workers.push(await coreWorker(parts));
    listeners.push(sweeps(parts), limits(parts), await webhookListener(parts));
  }
  if (pools.includes('pty')) {
    workers.push(await ptyWorker(parts, parts.config.host.id));
    listeners.push(...localListeners(parts), linkedHosts(parts));
  }
  if (pools.includes('connectors')) {
    listeners.push(await connectorPool(parts), await recordsListener(parts));
  }
  const runs = workers.map((worker) => worker.run());
  return {
    failed: Promise.race(runs).then(() => new Promise<never>(() => undefined)),
    async stop() {
      await Promise.all(listeners.map((listener) => listener.stop()));
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.allSettled(runs);
    },
  };
}

function coreWorker({
  config,
  db,
  temporal,
  bundle,
  secrets,
  policy,
  log,
}: WorkerParts): Promise<Worker> {
  const { connection, namespace, client } = temporal;
  return createCoreWorker({
    connection,
    namespace,
    workflowBundle: bundle,
    limits: config.workers,
    log,
    dataConverter: temporal.dataConverter,
    activities: {
      ...createAgentActivities({
        db,
        temporal: client,
        log,
        agentsPerWorkspaceMax: config.agents.perWorkspace,
        leaseMs: config.host.leaseMs,
      }),
      ...createApprovalActivities({
        db,
        temporal: client,
        log,
        proofKey: secrets.proofKey,
        seal: (plain) => secrets.seal(plain),
        trustsTemporalUi: config.approvals.temporalUi === 'trusted',
        policy,
        risks: riskTableOf(config.approvals),
      }),
      ...createLimitActivities({ db }),
      ...createSpawnActivities({ db }),
      ...createTakeoverActivities({ db, temporal: client, leaseMs: config.host.leaseMs, log }),
    },
  });
}

function ptyWorker(parts: WorkerParts, hostId: string): Promise<Worker> {
  const { config, db, temporal, hosts, secrets, log } = parts;
  const { agents } = config;
  const host = hosts.clientOf(hostId);
  return createPtyWorker({
    connection: temporal.connection,
    namespace: temporal.namespace,
    hostId,
    activitiesMax: config.workers.ptyActivities,
    log,
    dataConverter: temporal.dataConverter,
    activities: {
      ...createRestoreActivities({
        db,
        hostId,
        host,
        checkpoints: checkpointStore(parts),
        isolationRequired: config.host.isolation === 'required',
      }),
      ...createSessionActivities({
        db,
        host,
        log,
        proofKey: secrets.proofKey,
        agentKey: secrets.agentKey,
        temporal: temporal.client,
        access: accessOf(config),
        unseal: (sealed) => secrets.unseal(sealed),
        resolveSecret: (reference) => secrets.resolve(reference),
        defaults: {
          isolationRequired: config.host.isolation === 'required',
          egressAllow: config.egress.allow,
          gatewayTypes: gatewayTypesOf(config),
          memoryBytesMax: agents.memoryBytes,
          processesMax: agents.processes,
          cpuMillisMax: agents.cpuMillis,
          outputBytesMax: agents.outputBytes,
          readyTimeoutMs: agents.readyTimeoutMs,
        },
      }),
    },
  });
}

/** Takes what a host says to the rows, and tells it what the rows say. */
/** What agents may do, and the approvals for more. */
function accessOf({ access, approvals }: Config): AccessPolicy {
  return {
    grants: access.grants,
    keyTtlMs: access.keyTtlMs,
    approvals: {
      quorum: approvals.quorum,
      remindAfterMs: approvals.remindAfterMs,
      escalateAfterMs: approvals.escalateAfterMs,
      expireAfterMs: approvals.expiryMs,
    },
  };
}

function hostListeners(parts: WorkerParts, hostId: string): Listener[] {
  const { config, db, temporal, hosts, secrets, log } = parts;
  const { labels, region } = config.host;
  const isLocal = hostId === config.host.id;
  const common = { hostId, host: hosts.clientOf(hostId), db, temporal: temporal.client, log };
  const checkpoints = startCheckpoints({ ...common, store: checkpointStore(parts) });
  return [
    checkpoints,
    startHostLease({
      ...common,
      local: isLocal ? { labels: labelsOf(labels), region } : null,
      leaseMs: config.host.leaseMs,
    }),
    startHostFacts({
      ...common,
      seal: (plain) => secrets.seal(plain),
      heard: (facts) => checkpoints.heard(facts),
    }),
  ];
}

/** Hosts on other machines: each has a worker and listeners here for as long as it is linked. */
function linkedHosts(parts: WorkerParts): Listener {
  const { db, log } = parts;
  return startLinkedHosts({ db, log, begin: (host) => serveLinked(parts, host) });
}

async function serveLinked(parts: WorkerParts, { id }: Host): Promise<HostWork> {
  const worker = await ptyWorker(parts, id);
  const running = worker.run().catch((error: unknown) => {
    parts.log.error({ err: error, hostId: id }, 'the worker of a linked host ended');
  });
  let listeners = hostListeners(parts, id);
  const stopListeners = () => Promise.all(listeners.map((listener) => listener.stop()));
  return {
    async relink() {
      await stopListeners();
      listeners = hostListeners(parts, id);
    },
    async stop() {
      await stopListeners();
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await running;
    },
  };
}

function localListeners(parts: WorkerParts): Listener[] {
  const { config, db, log } = parts;
  const kept = {
    db,
    log,
    retention: {
      recordingsDays: config.retention.recordingsDays,
      recordingsBytes: config.quotas.recordingsBytes,
      checkpointsBytes: config.quotas.checkpointsBytes,
    },
    journalBytesMax: config.quotas.journalsBytes,
  };
  return [
    ...hostListeners(parts, config.host.id),
    startHostRetention({ ...kept, hostDir: pathsIn(config.dataDir).host }),
    // Archives lie as a host's own checkpoints do: a folder for each agent.
    startHostRetention({ ...kept, hostDir: checkpointsRoot(config) }),
  ];
}

function checkpointsRoot(config: Config): string {
  return config.checkpoints.dir ?? config.dataDir;
}

function checkpointStore({ config, secrets }: WorkerParts): CheckpointStore {
  return createCheckpointStore({
    dir: join(checkpointsRoot(config), 'checkpoints'),
    key: secrets.checkpointKey,
    bytesMax: config.checkpoints.bytesMax,
  });
}

function limits({ db, temporal, log }: WorkerParts): Listener {
  return startLimits({ db, temporal: temporal.client, log });
}

function sweeps({ config, db, temporal, log }: WorkerParts): Listener {
  const { eventsDays, factsDays, usageDays, chatsDays } = config.retention;
  return startSweeps({
    db,
    temporal: temporal.client,
    log,
    retention: {
      eventDays: eventsDays,
      factDays: factsDays,
      inputDays: factsDays,
      loginDays: factsDays,
      slotDays: factsDays,
      promptDays: PROMPT_DAYS,
      usageDays,
      chatDays: chatsDays,
    },
  });
}
