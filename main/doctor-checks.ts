import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, rm, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { AGENT_TYPES } from '../domain/agent.ts';
import { AppError } from '../domain/error.ts';
import { adapters } from '../infra/agents/registry.ts';
import type { Config } from '../infra/config/config.ts';
import { ADMIN_HOST } from '../infra/config/schema/admin.ts';
import { isPortFree } from '../infra/embedded/port.ts';
import { preparePostgresHome } from '../infra/embedded/postgres-home.ts';
import { ownCgroup } from '../infra/host/cgroup.ts';
import { probeIsolation } from '../infra/host/isolation.ts';
import { readProviders } from '../infra/models/gateway/provider.ts';
import { resolveTemporal } from '../infra/toolchain/temporal.ts';

import { checkConnectors } from './doctor-connectors.ts';
import { checkSecrets } from './doctor-secrets.ts';
import { ROOT_DIR } from './paths.ts';

const run = promisify(execFile);

export interface DoctorRow {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'missing';
  readonly found: string;
  /** What to do; null where nothing has to be done. */
  readonly fix: string | null;
}

interface Examined {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Check {
  readonly name: string;
  readonly look: (examined: Examined) => Promise<Omit<DoctorRow, 'name'>>;
}

const NODE_MAJOR_MIN = 24;
/** A store, a database, and some recordings; below it the first busy day ends with a full disk. */
const FREE_BYTES_MIN = 2 * 1024 ** 3;
const PROBE_TIMEOUT_MS = 10_000;

export const CHECKS: readonly Check[] = [
  { name: 'Node', look: checkNode },
  { name: 'data directory', look: checkDataDirectory },
  { name: 'Temporal', look: checkTemporal },
  { name: 'PostgreSQL', look: checkPostgres },
  { name: 'isolation', look: checkIsolation },
  { name: 'limits', look: checkLimits },
  { name: 'terminals', look: checkTerminals },
  { name: 'model gateway', look: checkModels },
  ...AGENT_TYPES.filter((type) => type !== 'custom').map(cliCheck),
  { name: 'secrets', look: checkSecrets },
  { name: 'connectors', look: checkConnectors },
  { name: 'ports', look: checkPorts },
];

function ignore(): void {}

function ok(found: string): Omit<DoctorRow, 'name'> {
  return { status: 'ok', found, fix: null };
}

async function checkNode(): Promise<Omit<DoctorRow, 'name'>> {
  const found = `${process.version} (${process.execPath})`;
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return ok(found);
  return { status: 'missing', found, fix: `npm ci, which brings Node ${NODE_MAJOR_MIN}` };
}

async function checkDataDirectory({ config }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  const { dataDir } = config;
  const there = await nearest(dataDir);
  try {
    await access(there, constants.W_OK | constants.X_OK);
  } catch {
    return {
      status: 'missing',
      found: `${dataDir} cannot be written`,
      fix: `chown or chmod ${there}`,
    };
  }
  const { bavail, bsize } = await statfs(there);
  const free = `${dataDir}, ${((bavail * bsize) / 1024 ** 3).toFixed(1)} GiB free`;
  if (bavail * bsize >= FREE_BYTES_MIN) return ok(free);
  return { status: 'warn', found: free, fix: 'free some space, or set dataDir to a larger disk' };
}

/** The deepest part of the path that exists: that is where the rest would be made. */
async function nearest(path: string): Promise<string> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  return exists || dirname(path) === path ? path : nearest(dirname(path));
}

async function checkModels({ config, env }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  const { gateway, providers } = config.models;
  if (gateway === 'off') return ok('off: agents call their vendors themselves');
  const named = Object.entries(providers);
  if (named.length === 0) {
    return ok('no providers: agents call their vendors with keys of their own (docs/models.md)');
  }
  try {
    readProviders(providers);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { status: 'missing', found: error.message, fix: 'correct models.providers' };
  }
  const unset = named.filter(([, { keyRef = '' }]) => {
    const variable = /^env:(.*)$/.exec(keyRef)?.[1];
    return variable !== undefined && (env[variable] ?? '') === '';
  });
  const found = named.map(([name, { kind }]) => `${name} (${kind})`).join(', ');
  if (unset.length === 0) return ok(`${found}; \`rookery models test\` asks them`);
  const names = unset.map(([name]) => name).join(', ');
  return {
    status: 'warn',
    found: `${found}; no key for ${names}`,
    fix: 'set the variables that their keyRef names',
  };
}

async function checkTemporal({ config, env }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  const { address, binary } = config.temporal;
  if (address !== null) return checkTemporalAddress(address);
  try {
    const { cacheDir } = config;
    const options = { configured: binary, cacheDir, env, report: ignore, mayFetch: false };
    const found = await resolveTemporal(options);
    return ok(`server ${found.server}, CLI ${found.cli} (${found.source}: ${found.path})`);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'invalid_input')
      return { status: 'missing', found: error.message, fix: 'correct temporal.binary' };
    const go = await firstOutputLine('go', ['version'], env);
    return {
      status: 'warn',
      found: `not here yet; ${go === null ? 'no Go either' : `found ${go}`}`,
      fix: 'the first start downloads it, or builds it where Go ≥ 1.26.4 is installed (https://go.dev/dl)',
    };
  }
}

async function checkTemporalAddress(address: string): Promise<Omit<DoctorRow, 'name'>> {
  const { isTemporalServing } = await import('../infra/embedded/temporal-namespace.ts');
  try {
    await isTemporalServing(address);
    return ok(`answers at ${address}`);
  } catch {
    const found = `nothing answers at ${address}`;
    return {
      status: 'missing',
      found,
      fix: 'start it, or unset TEMPORAL_ADDRESS to use the embedded one',
    };
  }
}

async function checkPostgres({ config }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  return config.databaseUrl === null
    ? checkEmbeddedPostgres()
    : checkDatabaseUrl(config.databaseUrl);
}

/** In a folder of its own: looking changes nothing of the installation. */
async function checkEmbeddedPostgres(): Promise<Omit<DoctorRow, 'name'>> {
  const folder = await mkdtemp(join(tmpdir(), 'rookery-doctor-'));
  try {
    const home = await preparePostgresHome({
      dataDir: join(folder, 'data'),
      fallbackRoot: join(folder, 'programs'),
      onProgress: ignore,
    });
    const server = join(home.binDir, 'postgres');
    const { stdout } = await run(server, ['--version'], {
      timeout: PROBE_TIMEOUT_MS,
      cwd: '/',
      ...home.user,
    });
    const user = home.user === null ? '' : `, runs as uid ${home.user.uid}`;
    return ok(`${stdout.trim()}, embedded${user}`);
  } catch (error) {
    const found = error instanceof AppError ? error.message : 'the embedded server does not run';
    return {
      status: 'missing',
      found,
      fix: 'npm ci with optional dependencies, or set DATABASE_URL',
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function checkDatabaseUrl(url: string): Promise<Omit<DoctorRow, 'name'>> {
  const host = URL.parse(url)?.host ?? 'the given address';
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', ignore);
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return ok(`PostgreSQL ${rows[0]?.server_version ?? 'of unknown version'} at ${host}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'no answer';
    return {
      status: 'missing',
      found: `${host}: ${why}`,
      fix: 'correct DATABASE_URL or start that server',
    };
  } finally {
    await client.end().catch(ignore);
  }
}

async function checkIsolation({ config }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  const folder = await mkdtemp(join(tmpdir(), 'rookery-doctor-'));
  const socket = join(folder, 'egress.sock');
  const proxy = createServer((peer) => peer.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      proxy.once('error', reject).listen(socket, resolve);
    });
    const isolation = await probeIsolation(socket);
    if (isolation.isolated) return ok('sessions run in namespaces of their own (bubblewrap)');
    const status = config.host.isolation === 'required' ? 'missing' : 'warn';
    const fix =
      'apt-get install bubblewrap socat ripgrep; sysctl kernel.unprivileged_userns_clone=1';
    return { status, found: `not isolated: ${isolation.reason}`, fix };
  } finally {
    await new Promise((resolve) => proxy.close(resolve));
    await rm(folder, { recursive: true, force: true });
  }
}

async function checkLimits({ env }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  const cgroup = await ownCgroup();
  if (cgroup !== null) return ok(`cgroup v2 (${cgroup.path})`);
  const prlimit = await firstOutputLine('prlimit', ['--version'], env);
  const found = `no cgroup v2 that can be written${prlimit === null ? '' : `; ${prlimit}`}`;
  const fix = 'delegate a cgroup (systemd: Delegate=yes) to limit memory and processes per session';
  return { status: 'warn', found, fix };
}

async function checkTerminals(): Promise<Omit<DoctorRow, 'name'>> {
  try {
    const { spawn } = await import('@lydell/node-pty');
    const pty = spawn('/bin/sh', ['-c', 'exit 7'], { cols: 80, rows: 24 });
    const code = await new Promise<number>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('no exit')), PROBE_TIMEOUT_MS);
      pty.onExit(({ exitCode }) => {
        clearTimeout(late);
        resolve(exitCode);
      });
    });
    return code === 7 ? ok('node-pty opens terminals') : badTerminals(`exit code ${code}`);
  } catch (error) {
    return badTerminals(error instanceof Error ? error.message : 'unknown reason');
  }
}

function badTerminals(why: string): Omit<DoctorRow, 'name'> {
  const found = `node-pty does not work: ${why.split('\n')[0] ?? ''}`;
  return {
    status: 'missing',
    found,
    fix: 'npm ci; on a rare platform it needs Python 3 and a C compiler',
  };
}

function cliCheck(type: Exclude<(typeof AGENT_TYPES)[number], 'custom'>): Check {
  return {
    name: type,
    look: async ({ config, env }) => {
      const adapter = adapters[type];
      try {
        // Those that come with the checkout first, as for a session.
        const own = join(ROOT_DIR, 'node_modules', '.bin');
        const directories = [own, ...(env['PATH'] ?? '').split(delimiter)];
        const configuredPath = config.agents.binaries[type];
        const { path, version } = await adapter.findBinary({ configuredPath, directories });
        const note =
          version === adapter.verifiedVersion ? '' : `; tested with ${adapter.verifiedVersion}`;
        return ok(`${version} (${path})${note}`);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        // The message names how to install it; a missing CLI is only a loss for those who want that one.
        return { status: 'warn', found: 'not found', fix: error.message };
      }
    },
  };
}

async function checkPorts({ config }: Examined): Promise<Omit<DoctorRow, 'name'>> {
  const places = [
    { ...config.listen, key: 'listen.port', note: '' },
    { host: ADMIN_HOST, port: config.admin.port, key: 'admin.port', note: ' (admin)' },
  ];
  const found: string[] = [];
  const taken: string[] = [];
  for (const { host, port, key, note } of places) {
    const isFree = await isPortFree(host, port);
    found.push(`${host}:${port}${note} is ${isFree ? 'free' : 'in use'}`);
    if (!isFree) taken.push(key);
  }
  if (taken.length === 0) return ok(found.join(', '));
  const fix = `fine if that is Rookery; else stop the other program or set ${taken.join(' and ')}`;
  return { status: 'warn', found: found.join(', '), fix };
}

async function firstOutputLine(
  command: string,
  args: readonly string[],
  env: Examined['env'],
): Promise<string | null> {
  try {
    const { stdout } = await run(command, args, { timeout: PROBE_TIMEOUT_MS, env: { ...env } });
    return stdout.split('\n')[0] ?? null;
  } catch {
    return null;
  }
}
