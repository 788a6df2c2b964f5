import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import type { z } from 'zod';
import { AGENT_TYPES, type AgentType } from '../../domain/agent.ts';
import { AGENT_GRANTS } from '../../domain/grant.ts';
import { SpawnedSchema, SpawnRequestSchema } from '../../domain/schema/spawn.ts';
import { agentTable } from '../agent-view.ts';
import {
  apiCommand,
  byteCount,
  collect,
  listOf,
  milliseconds,
  wholeNumber,
  type CommandText,
} from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { workspacePath } from '../resolve.ts';
import { lastSeqOf, waitUntilReady } from '../spawn-wait.ts';
import { statusCommand } from './spawn-status.ts';

export interface SpawnFlags {
  readonly task?: string;
  readonly name?: string;
  readonly count: number;
  readonly workDir?: string;
  readonly model?: string;
  readonly env?: readonly string[];
  readonly secret?: readonly string[];
  readonly cols?: number;
  readonly rows?: number;
  readonly allowHost?: readonly string[];
  readonly memory?: number;
  readonly processes?: number;
  /** Thousandths of a core. */
  readonly cpus?: number;
  readonly maxTime?: number;
  readonly maxIdle?: number;
  readonly suspendIdle?: boolean;
  readonly maxTurns?: number;
  readonly maxTokens?: number;
  readonly maxCost?: number;
  readonly context?: string;
  readonly label?: readonly string[];
  readonly grants?: readonly string[];
  readonly definition?: string;
  readonly output?: number;
  readonly readyTimeout?: number;
  readonly wait?: boolean;
  readonly timeout: number;
  readonly idempotencyKey?: string;
}

/** About eight seconds in all: longer than a runtime takes to restart. */
const RETRY_DELAYS_MS = [250, 500, 1_000, 2_000, 4_000] as const;
const WAIT_TIMEOUT = '10min';

const TEXT = {
  summary: 'start agents',
  description:
    'Starts one or more agents of a type and answers at once; they become ready (or fail) by ' +
    'themselves, in a queue where all slots are taken. With --wait it shows the way there and ends ' +
    'when every agent is ready, with exit code 1 if one failed and 7 if the time was up. What ' +
    'stands after `--` is the program and its arguments for `custom`, and further arguments for ' +
    'the other types. The same --idempotency-key finds the same spawn again, however often it is ' +
    'sent; without one a new key is made, and a lost connection is retried under it.',
  examples: [
    ['rookery spawn gemini --task "List the files here" --wait', 'a first agent'],
    ['rookery spawn claude --count 3 --work-dir /srv/app --model sonnet', 'three in one folder'],
    ['rookery spawn custom --name shell -- bash -i', 'any program in a terminal'],
    ['rookery spawn codex --secret OPENAI_API_KEY=env:OPENAI_API_KEY', 'with a key of the runtime'],
    ['rookery spawn --definition reviewer --task "Look at main.ts"', 'as somebody has defined it'],
    ['rookery spawn status spn_01kq3zd8c2f5tv7m9x4r6b0wne', 'look again later'],
  ],
} as const satisfies CommandText;

export function spawnCommand(io: CliIo): Command {
  const command = apiCommand('spawn', TEXT)
    .addArgument(new Argument('[type]', 'what to run').choices(AGENT_TYPES))
    .argument('[command...]', 'after `--`: program and arguments, or further arguments')
    .option('--definition <name[@version]>', 'what to run, in the place of a type')
    .option('-t, --task <text>', 'first message, typed once the CLI is ready')
    .option('-n, --name <name>', 'name; several agents are numbered (default: the type)')
    .option('-c, --count <n>', 'how many', wholeNumber(1, 50), 1)
    .option('-d, --work-dir <path>', 'absolute folder on the host (default: one of its own)')
    .option('-m, --model <model>', 'model, as the CLI names it')
    .option('-e, --env <NAME=value>', 'environment variable; may be repeated', collect)
    .option(
      '-s, --secret <NAME=reference>',
      'secret by reference, such as env:NAME; repeatable',
      collect,
    )
    .option('--cols <n>', 'columns of the terminal (default: 120)', wholeNumber(20, 500))
    .option('--rows <n>', 'rows of the terminal (default: 40)', wholeNumber(5, 200))
    .option('--allow-host <host>', 'host it may reach, *.example.com too; repeatable', collect)
    .option('--memory <size>', 'most memory, such as 2G', byteCount)
    .option('--processes <n>', 'most processes', wholeNumber(1, 100_000))
    .option('--cpus <n>', 'most cores, such as 0.5', cores)
    .option('--max-time <time>', 'most time with a session, such as 2h', milliseconds)
    .option('--max-idle <time>', 'stop it when it did nothing for so long', milliseconds)
    .option('--suspend-idle', 'suspend it then, rather than stop it')
    .option('--max-turns <n>', 'most turns', wholeNumber(1, 1_000_000))
    .option('--max-tokens <n>', 'most tokens of models', wholeNumber(1, 1_000_000_000_000))
    .option('--max-cost <usd>', 'most that models may cost, in US dollars', microdollars)
    .option('--context <context>', 'id of the context it works in, under its settings')
    .option('--label <key=value>', 'label to find it by; repeatable', collect)
    .option(
      '--grants <grants>',
      'what it may do in the workspace, with commas',
      listOf(AGENT_GRANTS),
    )
    .option('--output <size>', 'most output kept, such as 100M', byteCount)
    .option('--ready-timeout <time>', 'give up on a CLI that is not ready by then', milliseconds)
    .option('--wait', 'show the way to ready and wait for it')
    .addOption(
      new Option('--timeout <time>', 'of --wait')
        .argParser(milliseconds)
        .default(milliseconds(WAIT_TIMEOUT), WAIT_TIMEOUT),
    )
    .option('--idempotency-key <key>', 'makes a repeated spawn find the first one', headerValue)
    .action(function start(this: Command, type: AgentType | undefined, words: readonly string[]) {
      const flags: SpawnFlags = this.opts();
      return inContext(this, io, (context) => spawn(context, requestOf(type, words, flags), flags));
    });
  return command.addCommand(statusCommand(io));
}

/** Without floating point: `0.5` with three digits is 500. */
function decimal(text: string, digits: number): number {
  const [, whole = '', part = ''] = /^(\d{1,7})(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === '' || part.length > digits) {
    throw new InvalidArgumentError(`It must be a number with at most ${digits} decimals.`);
  }
  return Number(whole + part.padEnd(digits, '0'));
}

function cores(text: string): number {
  return decimal(text, 3);
}

function microdollars(text: string): number {
  return decimal(text, 6);
}

/** What the API takes as one header value; a newline would not even leave this machine. */
function headerValue(text: string): string {
  if (/^[\x21-\x2b\x2d-\x7e]{1,128}$/.test(text)) return text;
  throw new InvalidArgumentError(
    'It must be 1 to 128 visible ASCII characters without spaces and commas.',
  );
}

type SpawnRequest = z.output<typeof SpawnRequestSchema>;

/** Checked here by the API's own schema, so that a mistake is told without a runtime. */
function requestOf(
  type: AgentType | undefined,
  command: readonly string[],
  flags: SpawnFlags,
): SpawnRequest {
  const limits = present({
    memoryBytesMax: flags.memory,
    processesMax: flags.processes,
    cpuMillisMax: flags.cpus,
    wallClockMs: flags.maxTime,
    idleMs: flags.maxIdle,
    idleAction: flags.suspendIdle === true ? 'suspend' : undefined,
    turnsMax: flags.maxTurns,
    tokensMax: flags.maxTokens,
    costMicrodollarsMax: flags.maxCost,
    outputBytesMax: flags.output,
    readyTimeoutMs: flags.readyTimeout,
  });
  const request = present({
    type,
    definition: flags.definition,
    labels: flags.label === undefined ? undefined : pairs('--label', flags.label),
    grants: flags.grants,
    count: flags.count,
    task: flags.task,
    name: flags.name,
    workDir: flags.workDir,
    model: flags.model,
    env: flags.env === undefined ? undefined : pairs('--env', flags.env),
    secretRefs: flags.secret === undefined ? undefined : pairs('--secret', flags.secret),
    command: command.length === 0 ? undefined : command,
    cols: flags.cols,
    rows: flags.rows,
    egressAllow: flags.allowHost,
    limits: Object.keys(limits).length === 0 ? undefined : limits,
  });
  const parsed = SpawnRequestSchema.safeParse(request);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues
    .map(({ path, message }) => `${flagOf(path)}: ${message.replace(/\.$/, '')}`)
    .join('; ');
  throw new CliError('usage', `${wrong}.`, { hint: 'See `rookery spawn --help`.' });
}

const FLAG_OF: Readonly<Record<string, string>> = {
  secretRefs: '--secret',
  egressAllow: '--allow-host',
  memoryBytesMax: '--memory',
  processesMax: '--processes',
  cpuMillisMax: '--cpus',
  wallClockMs: '--max-time',
  idleMs: '--max-idle',
  idleAction: '--suspend-idle',
  turnsMax: '--max-turns',
  tokensMax: '--max-tokens',
  costMicrodollarsMax: '--max-cost',
  labels: '--label',
  type: '<type> or --definition',
  outputBytesMax: '--output',
  readyTimeoutMs: '--ready-timeout',
  workDir: '--work-dir',
  command: 'the command after --',
};

function flagOf(path: readonly PropertyKey[]): string {
  const [first = '', second] = path.map(String);
  const name = first === 'limits' && second !== undefined ? second : first;
  return FLAG_OF[name] ?? `--${name}`;
}

function present(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function pairs(flag: string, given: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.map((pair) => {
      const at = pair.indexOf('=');
      if (at <= 0) throw new CliError('usage', `${flag} takes NAME=value; there is no "=" in it.`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

const contextPath = (id: string): string => `/v1/contexts/${encodeURIComponent(id)}`;

async function spawn(
  context: Context,
  request: SpawnRequest,
  flags: SpawnFlags,
): Promise<ExitName | void> {
  const path = await workspacePath(context);
  const idempotencyKey = flags.idempotencyKey ?? crypto.randomUUID();
  // Taken before, so that no change of state is missed between the answer and the first look.
  const after = flags.wait === true ? await lastSeqOf(context.client, path) : 0;
  const { body } = await context.client
    .send({
      method: 'POST',
      path: `${flags.context === undefined ? path : contextPath(flags.context)}/spawns`,
      body: request,
      schema: SpawnedSchema,
      idempotencyKey,
      retryDelaysMs: RETRY_DELAYS_MS,
    })
    .catch((error: unknown) => {
      throw withKey(error, idempotencyKey);
    });
  const { spawn: made } = body;
  if (made.state === 'asked') {
    const approval = made.approvalId ?? '';
    await context.answer(
      { ...body, idempotencyKey },
      () =>
        `Spawn ${made.id} waits: people decide first. See it: rookery approvals get ${approval}. It starts when it is granted.`,
    );
    return 'pending';
  }
  if (flags.wait === true) {
    const { spawned, exit } = await waitUntilReady(context, {
      spawned: body,
      after,
      timeoutMs: flags.timeout,
    });
    await context.answer({ ...spawned, idempotencyKey }, () => agentTable(context, spawned.agents));
    return exit;
  }
  await context.answer({ ...body, idempotencyKey }, () =>
    [
      agentTable(context, body.agents),
      '',
      `Spawn ${body.spawn.id}. Look at it: rookery attach ${body.agents[0]?.id ?? ''}`,
    ].join('\n'),
  );
}

/** Nobody knows whether a request that was cut off arrived; with its key it can be sent again safely. */
function withKey(error: unknown, key: string): unknown {
  if (!(error instanceof CliError) || error.exit !== 'unavailable') return error;
  const { hint } = error.details;
  const again = `The same spawn, safely again: --idempotency-key ${key}`;
  return new CliError(error.exit, error.message, {
    ...error.details,
    hint: hint === undefined ? again : `${hint} ${again}`,
    data: { ...error.details.data, idempotencyKey: key },
  });
}
