import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { createDefu } from 'defu';
import type * as z from 'zod';
import { AppError } from '../../domain/error.ts';
import { checkSocketPath } from '../host/socket-path.ts';
import { withVendors } from '../models/gateway/provider.ts';
import type { Config } from './config.ts';
import { readSettingsFile } from './file.ts';
import type { Environment, Given, Layer } from './layers.ts';
import { clip, environmentLayer, fileLayer, flagLayer } from './layers.ts';
import { GROUPS } from './leaves.ts';
import { ConfigSchema } from './schema.ts';

export interface ConfigSources {
  readonly env: Environment;
  /** By dotted key, such as `{ 'listen.port': '7700' }`. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly cwd: string;
  /** A file named on the command line; it must exist. Default: ROOKERY_CONFIG, else `rookery.yaml` where there is one. */
  readonly file?: string;
}

/**
 * Defaults, then `rookery.yaml`, then the environment, then flags; the last one wins. Throws one `invalid_input`
 * that lists every problem with its layer and key, also of values that a later layer would hide.
 */
export function readConfig(sources: ConfigSources): Config {
  const { env, cwd } = sources;
  const named = sources.file ?? (env['ROOKERY_CONFIG'] || undefined);
  const path = resolve(cwd, named ?? 'rookery.yaml');
  const file = readSettingsFile(path, named !== undefined);
  const layers: readonly Layer[] = [
    flagLayer(sources.flags ?? {}),
    environmentLayer(env),
    fileLayer(file.document, named ?? 'rookery.yaml'),
  ];
  const problems = [
    ...file.problems,
    ...layers.toReversed().flatMap((layer) => [...layer.problems, ...layer.given.flatMap(check)]),
  ];
  if (problems.length > 0) throw badConfiguration(problems);

  const merged = merge(
    {},
    ...layers.map((layer) => nest(layer.given)),
    machineDefaults(sources),
    emptyGroups(),
  );
  const config = finish(ConfigSchema.parse(merged), sources);
  const contradictions = contradictionsIn(
    config,
    new Set(layers.flatMap((layer) => layer.given.map(keyOf))),
  );
  if (contradictions.length > 0) throw badConfiguration(contradictions);
  return freeze(config);
}

/** Lists replace lists: half of one and half of another is nobody's intention. `object` holds the lower layer. */
const merge = createDefu((object, key, value) => {
  if (!Array.isArray(value)) return false;
  Object.assign(object, { [key]: value });
  return true;
});

function nest(given: readonly Given[]): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const { leaf, value } of given)
    groupAt(whole, leaf.path.slice(0, -1))[leaf.path.at(-1) ?? ''] = value;
  return whole;
}

function groupAt(whole: Record<string, unknown>, path: readonly string[]): Record<string, unknown> {
  let group = whole;
  for (const name of path) {
    const inner: Record<string, unknown> = isRecord(group[name]) ? group[name] : {};
    group[name] = inner;
    group = inner;
  }
  return group;
}

/** Groups that nobody set: the settings in them bring their own defaults. */
function emptyGroups(): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const key of GROUPS.keys()) if (key !== '') groupAt(whole, key.split('.'));
  return whole;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function machineDefaults({ env, cwd }: ConfigSources): Record<string, unknown> {
  const id = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '');
  return {
    dataDir: '.rookery',
    cacheDir: env['XDG_CACHE_HOME']
      ? join(env['XDG_CACHE_HOME'], 'rookery')
      : join(env['HOME'] || cwd, '.cache', 'rookery'),
    host: { id: id || 'host' },
  };
}

/** Makes every path absolute: what reads it may run in another working directory. */
function finish(config: z.infer<typeof ConfigSchema>, { env, cwd }: ConfigSources): Config {
  const absolute = (path: string): string => {
    const home = env['HOME'];
    return path.startsWith('~/') && home ? join(home, path.slice(2)) : resolve(cwd, path);
  };
  // A bare name is looked for on the PATH; only what has a slash is a path.
  const program = (path: string | null): string | null =>
    path !== null && path.includes('/') ? absolute(path) : path;
  const dataDir = absolute(config.dataDir);
  const { binaries } = config.agents;
  return {
    ...config,
    dataDir,
    cacheDir: absolute(config.cacheDir),
    models: { ...config.models, providers: withVendors(config.models.providers, env) },
    temporal: { ...config.temporal, binary: program(config.temporal.binary) },
    secrets: {
      ...config.secrets,
      ageKeyFile: config.secrets.ageKeyFile === null ? null : absolute(config.secrets.ageKeyFile),
    },
    host: {
      ...config.host,
      socketPath:
        config.host.socketPath === null
          ? join(dataDir, 'host.sock')
          : absolute(config.host.socketPath),
    },
    agents: {
      ...config.agents,
      binaries: {
        claude: program(binaries.claude),
        codex: program(binaries.codex),
        gemini: program(binaries.gemini),
        aider: program(binaries.aider),
      },
    },
  };
}

function keyOf(given: Given): string {
  return given.leaf.key;
}

function contradictionsIn(config: Config, givenKeys: ReadonlySet<string>): string[] {
  const problems: string[] = [];
  const { approvals, temporal, listen, admin } = config;
  for (const name of ['remindAfterMs', 'escalateAfterMs'] as const) {
    // A default that comes after a short expiry does no harm; one that somebody set was meant to happen.
    if (givenKeys.has(`approvals.${name}`) && approvals[name] >= approvals.expiryMs)
      problems.push(
        `approvals.${name}: ${approvals[name]} is not before approvals.expiryMs ${approvals.expiryMs}`,
      );
  }
  const adminPort = admin.mtls === 'on' ? admin.tlsPort : admin.port;
  const ports = [listen.port, adminPort]
    .concat(temporal.address === null ? [temporal.port, temporal.uiPort] : [])
    // Each 0 is another free port.
    .filter((port) => port !== 0);
  if (new Set(ports).size < ports.length)
    problems.push(
      `listen.port, ${admin.mtls === 'on' ? 'admin.tlsPort' : 'admin.port'}, temporal.port and temporal.uiPort: must be different ports`,
    );
  try {
    checkSocketPath(config.host.socketPath);
  } catch (error) {
    problems.push(`host.socketPath: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}

/** More would hide the other problems. */
const ITEM_PROBLEMS_MAX = 10;

function check({ leaf, value, where }: Given): string[] {
  const parsed = leaf.schema.safeParse(value);
  if (parsed.success) return [];
  // One value has one problem worth telling; a list may have one per item.
  const { issues } = parsed.error;
  return issues.slice(0, leaf.meta.form === 'list' ? ITEM_PROBLEMS_MAX : 1).map((issue) => {
    const at = issue.path.length === 0 ? '' : ` item ${issue.path.map(String).join('.')}`;
    return `${where}${at}: ${explain(issue)}${got(leaf.meta.secret === true || leaf.meta.quiet === true, value)}`;
  });
}

const NOUNS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a whole number',
  string: 'text',
  array: 'a list',
};

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `expected ${NOUNS[issue.expected] ?? issue.expected}`;
  if (issue.code === 'too_small') {
    const isLength = issue.origin === 'string' || issue.origin === 'array';
    return isLength ? 'expected a value, it is empty' : `expected at least ${issue.minimum}`;
  }
  if (issue.code === 'too_big') return `expected at most ${issue.maximum}`;
  if (issue.code === 'invalid_value')
    return `expected one of ${issue.values.map(String).join(', ')}`;
  return issue.message;
}

function got(secret: boolean, value: unknown): string {
  return secret ? '' : `, got ${clip(JSON.stringify(value) ?? String(value))}`;
}

function badConfiguration(problems: readonly string[]): AppError {
  return new AppError(
    'invalid_input',
    `Bad configuration:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
  );
}

function freeze<T>(value: T): T {
  if (isRecord(value)) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}
