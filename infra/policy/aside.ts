import { Worker } from 'node:worker_threads';
import type { PolicyDecision, PolicyRequest } from '../../domain/policy.ts';
import type { PolicyReading } from './cedar-read.ts';
import type { CedarVersion } from './cedar.ts';

/** What a text is read and tried for before anything depends on it. */
export type AsideJob =
  | { readonly kind: 'read'; readonly text: string }
  | {
      readonly kind: 'decide';
      readonly version: CedarVersion;
      readonly requests: readonly PolicyRequest[];
    };

/** Reading 1,000 policies takes about a second on a busy machine. */
const ASIDE_TIMEOUT_MS = 20_000;

const TOO_MUCH =
  'It is nested too deeply, or too large, to be evaluated. Make several policies of it.';

/** Reads a text where it can break nothing: in a thread and an instance of its own, and not for ever. */
export async function readAside(
  text: string,
  timeoutMs = ASIDE_TIMEOUT_MS,
): Promise<PolicyReading> {
  const answer = await runAside<PolicyReading>({ kind: 'read', text }, timeoutMs);
  return (
    answer ?? {
      rules: [],
      problems: [{ severity: 'error', message: TOO_MUCH, line: 0, column: 0 }],
    }
  );
}

/** What a version says to each request, without keeping the process from its work; null where it cannot be evaluated. */
export function decideAside(
  version: CedarVersion,
  requests: readonly PolicyRequest[],
): Promise<readonly PolicyDecision[] | null> {
  return runAside<readonly PolicyDecision[]>(
    { kind: 'decide', version, requests },
    ASIDE_TIMEOUT_MS,
  );
}

/** A thread has an instance of Cedar, and this machine has other work. */
const AT_ONCE = 2;
let running = 0;
const waiting: (() => void)[] = [];

/** Null where the thread died or took too long. */
async function runAside<T>(job: AsideJob, timeoutMs: number): Promise<T | null> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await runThread<T>(job, timeoutMs);
  } finally {
    // Whoever waits takes the place over.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

function runThread<T>(job: AsideJob, timeoutMs: number): Promise<T | null> {
  const worker = new Worker(new URL('./aside-worker.ts', import.meta.url), {
    workerData: job,
    // A text must not print.
    stdout: true,
    stderr: true,
    execArgv: [],
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => void worker.terminate(), timeoutMs);
    let answer: T | null = null;
    worker.on('message', (message: T) => {
      answer = message;
    });
    // Whatever ended it, what counts is whether it has answered.
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}
