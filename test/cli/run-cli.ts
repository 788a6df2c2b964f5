import { PassThrough, Writable } from 'node:stream';
import type { CliIo } from '../../cli/io.ts';
import { createProgram } from '../../cli/program.ts';
import { runProgram } from '../../cli/run.ts';

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliSetting {
  readonly url?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Columns of a terminal on stdout and stderr; a pipe where absent. */
  readonly columns?: number;
  readonly cwd?: string;
  /** A fixed moment where absent. */
  readonly now?: () => number;
}

export const KEY = 'rk_test_0123456789abcdef0123456789abcdef';
const NOW = Date.parse('2026-11-21T12:00:00Z');

/** The whole program in this process, with streams of its own. */
export async function runCli(argv: readonly string[], setting: CliSetting = {}): Promise<CliRun> {
  const [out, err] = [collector(setting.columns), collector(setting.columns)];
  const stdin = new PassThrough();
  stdin.end(setting.stdin ?? '');
  const io: CliIo = {
    stdin,
    stdout: out.stream,
    stderr: err.stream,
    env: {
      ...(setting.url === undefined
        ? {}
        : {
            ROOKERY_URL: setting.url,
            ROOKERY_ADMIN_URL: setting.url,
            ROOKERY_API_KEY: KEY,
          }),
      ...setting.env,
    },
    cwd: setting.cwd ?? '/nonexistent',
    now: setting.now ?? (() => NOW),
  };
  const code = await runProgram(createProgram(io), argv, io);
  return { code, out: out.text(), err: err.text() };
}

function collector(columns: number | undefined) {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  const tty = columns === undefined ? {} : { isTTY: true, columns };
  return {
    stream: Object.assign(stream, tty),
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
}
