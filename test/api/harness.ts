import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { pino } from 'pino';
import { createAgentActivities } from '../../activities/agent.ts';
import { createApprovalActivities } from '../../activities/approval.ts';
import { createLimitActivities } from '../../activities/limit.ts';
import { createSessionActivities } from '../../activities/session.ts';
import { createSpawnActivities } from '../../activities/spawn.ts';
import { makeApiKey } from '../../api/api-key.ts';
import { createApp } from '../../api/app.ts';
import type { ApiDeps, Clock } from '../../api/deps.ts';
import { createMetrics } from '../../api/metrics.ts';
import { startApi, type RunningApi } from '../../api/server.ts';
import type { ApiApp } from '../../api/upgrade.ts';
import { DEFAULT_GRANTS } from '../../domain/grant.ts';
import type { PolicyEngine } from '../../domain/policy.ts';
import { DEFAULT_RISKS, type RiskTable } from '../../domain/risk.ts';
import { SCOPES, type Role, type Scope } from '../../domain/principal.ts';
import type { ApiKeyId, WorkspaceId } from '../../domain/id.ts';
import { createBuiltInPolicy } from '../../infra/policy/built-in.ts';
import { createWebhookSender } from '../../infra/webhook/sender.ts';
import { listenForEvents } from '../../infra/db/listen.ts';
import { connectHost } from '../../infra/db/queries/host.ts';
import { insertKey } from '../../infra/db/queries/key.ts';
import { ensureNamespace } from '../../infra/embedded/temporal-namespace.ts';
import { installTemporalRuntime } from '../../infra/temporal/runtime.ts';
import { loadWorkflowBundle } from '../../infra/temporal/bundle.ts';
import { createCoreWorker } from '../../workers/core.ts';
import { createPtyWorker } from '../../workers/pty.ts';
import { openTestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { newId } from '../support/records.ts';
import { temporal } from '../support/temporal.ts';
import { createFakeHost, type FakeHost } from './fake-host.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const silent = pino({ level: 'silent' });
const PATIENT = {
  quorum: 1,
  remindAfterMs: 3_600_000,
  escalateAfterMs: 7_200_000,
  expireAfterMs: 86_400_000,
};

/** Starts at the real time and goes on only when told to. */
interface TestClock extends Clock {
  advance(ms: number): void;
}

export interface TestApi {
  readonly app: ApiApp;
  readonly deps: ApiDeps;
  readonly host: FakeHost;
  readonly clock: TestClock;
  /** Log lines as pino wrote them. */
  readonly logLines: string[];
  /** With a listener on a port, for what `app.request` cannot do. */
  listen(): Promise<RunningApi>;
  /** Workers of the whole agent stack, with the fake host at the far edge. */
  work(): Promise<void>;
  close(): Promise<void>;
}

const proofKey = randomBytes(32);
const mask = createHmac('sha256', proofKey).update('seal').digest();

/** Reversible, and unlike the plain text: enough to see that rows hold no plain text. */
function xor(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (mask[index % mask.length] ?? 0)));
}

function createClock(): TestClock {
  let extraMs = 0;
  return {
    now: () => Date.now() + extraMs,
    advance(ms) {
      extraMs += ms;
    },
  };
}

/** Every API has a Temporal namespace of its own, since all of them use the queue `core`. */
export async function openTestApi(
  database: TestDatabase,
  options: {
    readonly models?: TestGatewayOptions;
    readonly policy?: PolicyEngine;
    readonly risks?: RiskTable;
  } = {},
): Promise<TestApi> {
  const { db } = database;
  const { address } = await temporal();
  const namespace = `api-${randomUUID().slice(0, 8)}`;
  const connection = await Connection.connect({ address });
  await ensureNamespace({ address, namespace, retentionDays: 1 });
  const hostId = `host-${randomUUID().slice(0, 8)}`;
  const host = createFakeHost(hostId);
  const clock = createClock();
  const logLines: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void logLines.push(line) });
  const events = await listenForEvents({ url: database.url });
  const dataDir = await mkdtemp(join(tmpdir(), 'rookery-api-'));
  const webhooks = createWebhookSender({
    allowPrivate: ['127.0.0.1'],
    timeoutMs: 2_000,
    version: 'test',
  });
  const models = openTestGateway(db, options.models);
  const deps: ApiDeps = {
    db,
    temporal: new Client({ connection, namespace }),
    host: (id) => (id === hostId ? host.client : null),
    agents: { isThere: async () => true },
    models,
    policy: options.policy ?? createBuiltInPolicy(),
    config: {
      approvalPolicy: PATIENT,
      risks: options.risks ?? DEFAULT_RISKS,
      limits: { agentsMax: 100, agent: {}, budgets: {} },
      version: '0.0.0-test',
      documents: {
        root: join(dataDir, 'workspaces'),
        fileBytesMax: 65_536,
        filesMax: 50,
        bytesMax: 1_048_576,
      },
      webhooksPerWorkspace: 5,
      heartbeatMs: 500,
      slowReaderMs: 2_000,
    },
    secrets: {
      seal: (plain) => xor(Buffer.from(plain)),
      unseal: (sealed) => xor(sealed).toString('utf8'),
      proofKey,
    },
    events,
    webhooks,
    metrics: createMetrics(),
    logger,
    clock,
  };
  const closers: (() => Promise<unknown>)[] = [
    () => rm(dataDir, { recursive: true, force: true }),
    () => events.close(),
    () => webhooks.close(),
    () => models.close(),
    () => connection.close(),
  ];
  return {
    app: createApp(deps, 'admin'),
    deps,
    host,
    clock,
    logLines,
    async listen() {
      const running = await startApi(deps, { kind: 'admin', hostname: '127.0.0.1', port: 0 });
      closers.unshift(() => running.close());
      return running;
    },
    async work() {
      closers.unshift(await startWorkers(deps, { address, namespace, host }));
    },
    async close() {
      for (const close of closers) await close();
    },
  };
}

interface Place {
  readonly address: string;
  readonly namespace: string;
  readonly host: FakeHost;
}

async function startWorkers(deps: ApiDeps, { address, namespace, host }: Place) {
  installTemporalRuntime(silent);
  const { db } = deps;
  await connectHost(db, {
    id: host.id,
    epoch: 1,
    version: 'test',
    slotsMax: 100,
    memoryBytes: 0,
    isolated: true,
    leaseMs: 600_000,
  });
  const connection = await NativeConnection.connect({ address });
  const workflowBundle = await loadWorkflowBundle({
    workflowsPath: join(ROOT, 'workflows', 'index.ts'),
    sourceDirs: [join(ROOT, 'workflows'), join(ROOT, 'domain')],
    cacheDir: join(ROOT, 'node_modules', '.cache', 'rookery'),
  });
  const agentDeps = { db, temporal: deps.temporal, log: silent };
  const workers = await Promise.all([
    createCoreWorker({
      connection,
      namespace,
      workflowBundle,
      activities: {
        ...createAgentActivities({ ...agentDeps, agentsPerWorkspaceMax: 100, leaseMs: 600_000 }),
        ...createApprovalActivities({
          db,
          temporal: deps.temporal,
          log: silent,
          proofKey,
          seal: (plain) => deps.secrets.seal(plain),
          policy: deps.policy,
          risks: deps.config.risks,
        }),
        ...createLimitActivities({ db }),
        ...createSpawnActivities({ db }),
      },
      limits: { cachedWorkflows: 100, coreActivities: 20, coreWorkflowTasks: 20 },
      log: silent,
    }),
    createPtyWorker({
      connection,
      namespace,
      hostId: host.id,
      activities: createSessionActivities({
        db,
        host: host.client,
        proofKey,
        agentKey: proofKey,
        temporal: deps.temporal,
        access: { grants: DEFAULT_GRANTS, keyTtlMs: 3_600_000, approvals: PATIENT },
        unseal: (sealed) => deps.secrets.unseal(sealed),
        resolveSecret: async (reference) => `value of ${reference}`,
        defaults: {
          isolationRequired: false,
          egressAllow: [],
          gatewayTypes: ['gemini'],
          memoryBytesMax: null,
          processesMax: null,
          cpuMillisMax: null,
          outputBytesMax: 1_048_576,
          readyTimeoutMs: 60_000,
        },
        log: silent,
      }),
      activitiesMax: 20,
      log: silent,
    }),
  ]);
  const runs = workers.map((worker) => worker.run());
  return async () => {
    for (const worker of workers) worker.shutdown();
    await Promise.all(runs);
    await connection.close();
  };
}

export interface TestKey {
  readonly id: ApiKeyId;
  readonly secret: string;
  readonly prefix: string;
}

export interface KeyOptions {
  readonly role?: Role;
  readonly scopes?: readonly Scope[];
  readonly workspaceId?: WorkspaceId | null;
  readonly expiresAt?: Date;
}

export async function makeKey(db: TestDatabase['db'], options: KeyOptions = {}): Promise<TestKey> {
  const { secret, prefix, hash } = makeApiKey();
  const id = newId('apiKey');
  await insertKey(db, {
    id,
    prefix,
    hash,
    name: 'test',
    role: options.role ?? 'overlord',
    scopes: options.scopes ?? SCOPES,
    workspaceId: options.workspaceId ?? null,
    createdBy: 'test',
    expiresAt: options.expiresAt ?? null,
  });
  return { id, secret, prefix };
}

export interface Call {
  readonly method?: string;
  readonly body?: unknown;
  /** Sent as it is, in the place of a JSON body. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly idempotencyKey?: string;
  /** Of a stream only the head is of interest. */
  readonly headOnly?: boolean;
}

export interface Called {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Requests through the app with the key's header, and an idempotency key on every POST. */
export function callAs(app: ApiApp, key: TestKey | null) {
  return async (path: string, what: Call = {}): Promise<Called> => {
    const isPost = what.body !== undefined || what.raw !== undefined;
    const method = what.method ?? (isPost ? 'POST' : 'GET');
    const headers = new Headers(what.headers);
    if (key !== null && !headers.has('authorization')) {
      headers.set('authorization', `Bearer ${key.secret}`);
    }
    if (method === 'POST') headers.set('idempotency-key', what.idempotencyKey ?? randomUUID());
    const body = what.raw ?? (what.body === undefined ? undefined : JSON.stringify(what.body));
    if (body !== undefined && !headers.has('content-type')) {
      headers.set('content-type', 'application/json');
    }
    const response = await app.request(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    if (what.headOnly !== true) return readCalled(response);
    await response.body?.cancel();
    return readCalled(new Response(null, response));
  };
}

async function readCalled(response: Response): Promise<Called> {
  const text = await response.text();
  const isJson = text !== '' && response.headers.get('content-type')?.includes('json') === true;
  const body: unknown = isJson ? JSON.parse(text) : {};
  if (typeof body !== 'object' || body === null) throw new Error(`Not an object: ${text}`);
  return { status: response.status, headers: response.headers, body: { ...body }, text };
}
