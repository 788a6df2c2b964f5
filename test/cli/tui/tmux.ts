import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CHILD = new URL('../child.ts', import.meta.url).pathname;
/** Longer than the longest test. */
const LIFE_S = 240;
/** A busy machine starts the program in this time. */
const WAIT_MS = 45_000;

/** A key soon after Esc is that key with Alt, as terminals have it. */
const ESCAPE_MS = 200;

export const HAS_TMUX = spawnSync('tmux', ['-V']).status === 0;

export interface Screen {
  /** What the terminal shows, row by row. */
  text(): Promise<string>;
  /** Until it shows this. Answers what it shows then. */
  shows(wanted: string | RegExp): Promise<string>;
  /** What it shows once that stays as it is and nothing is on its way any more. */
  settles(): Promise<string>;
  /** Keys by tmux's names, one after the other. */
  press(...keys: readonly string[]): Promise<void>;
  /** Text as it is typed, a key at a time. */
  type(text: string): Promise<void>;
  /** As the terminal pastes it, in brackets. */
  paste(text: string): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  close(): Promise<void>;
}

export interface Opening {
  readonly columns?: number;
  readonly rows?: number;
  readonly env: Readonly<Record<string, string>>;
  readonly argv?: readonly string[];
}

/** The program in a tmux of its own. */
export async function openScreen({
  columns = 80,
  rows = 24,
  env,
  argv = [],
}: Opening): Promise<Screen> {
  const folder = await mkdtemp(join(tmpdir(), 'rookery-tui-'));
  const socket = join(folder, `s-${randomBytes(3).toString('hex')}`);
  const tmux = async (...words: readonly string[]): Promise<string> =>
    (await run('tmux', ['-u', '-S', socket, ...words])).stdout;
  const settings = {
    ...env,
    XDG_CACHE_HOME: folder,
    LC_ALL: 'C.UTF-8',
    TERM: 'screen-256color',
    NO_COLOR: '1',
    PATH: process.env['PATH'] ?? '',
  };
  const words = Object.entries(settings).map(([name, value]) => `${name}=${quoted(value)}`);
  const program = [process.execPath, CHILD, 'tui', ...argv].map(quoted).join(' ');
  // A run that is killed cannot close it, so it ends by itself.
  const end = `(sleep ${LIFE_S}; tmux -S ${quoted(socket)} kill-server) &`;
  const shell = `${end} env -i ${words.join(' ')} ${program}; echo "code=$?"; exec sleep ${LIFE_S}`;
  await tmux(
    '-f',
    '/dev/null',
    'new-session',
    '-d',
    '-x',
    String(columns),
    '-y',
    String(rows),
    shell,
  );
  const text = (): Promise<string> => tmux('capture-pane', '-p');
  const press = async (...keys: readonly string[]): Promise<void> => {
    for (const key of keys) {
      await tmux('send-keys', key);
      // Each by itself, as a person presses them: what comes in one chunk confirms nothing.
      await sleep(key === 'Escape' ? ESCAPE_MS : 30);
    }
  };
  return {
    text,
    press,
    async shows(wanted) {
      const deadline = performance.now() + WAIT_MS;
      for (;;) {
        const shown = await text();
        if (typeof wanted === 'string' ? shown.includes(wanted) : wanted.test(shown)) return shown;
        if (performance.now() > deadline)
          throw new Error(`Never showed ${String(wanted)}:\n${shown}`);
        await sleep(40);
      }
    },
    async settles() {
      const deadline = performance.now() + WAIT_MS;
      for (;;) {
        const shown = await text();
        await sleep(150);
        // Times go on while nothing else does.
        const isStill = masked(await text(), []) === masked(shown, []);
        if (isStill && !/\bloading\b|✓/i.test(shown)) return shown;
        if (performance.now() > deadline) throw new Error(`Never settled:\n${shown}`);
      }
    },
    async type(typed) {
      for (const character of typed) {
        await tmux('send-keys', '-l', character);
        await sleep(15);
      }
    },
    async paste(pasted) {
      await tmux('set-buffer', pasted);
      await tmux('paste-buffer', '-p');
    },
    async resize(width, height) {
      await tmux('resize-window', '-x', String(width), '-y', String(height));
    },
    async close() {
      await tmux('kill-server').catch(() => '');
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Without what is another at each run: times, random ids, hashes, ports, and codes. */
export function masked(text: string, codes: readonly string[]): string {
  const known = codes.reduce((all, code, index) => all.replaceAll(code, `CODE0${index + 1}`), text);
  return known
    .replaceAll(/(?:\d+ (?:s|min|h|d) ago|in \d+ (?:s|min|h|d)|now) \([^)\n]*Z\)[ ]*/g, '<time> ')
    .replaceAll(/(?:\d+ (?:s|min|h|d) ago|in \d+ (?:s|min|h|d)|(?<= {2})now(?= |$)) */gm, (time) =>
      '<time>'.padEnd(Math.max(time.length, 10)),
    )
    .replaceAll(
      /\b(key|rbn|idn|usr|cer)_[0-9a-z]{4,26}/g,
      (id) => `${id.slice(0, 4)}${'x'.repeat(id.length - 4)}`,
    )
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'f'.repeat(64))
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
