import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The chat engine in a process of its own, to be killed at the worst moment and started again. */
export interface EngineProcess {
  /** Resolves when it runs. */
  start(): Promise<void>;
  kill(): Promise<void>;
}

/** `program` is one of the children beside this file. */
export function createEngineProcess(program: string, databaseUrl: string): EngineProcess {
  let child: ChildProcess | null = null;
  return {
    async start() {
      child = spawn(process.execPath, [program, databaseUrl], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (child.stdout !== null) await once(child.stdout, 'data');
    },
    async kill() {
      if (child === null || child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      child = null;
    },
  };
}
