import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, vi } from 'vitest';
import { pickPort } from '../../../infra/embedded/port.ts';
import { OPA_FOLDER } from './folder.ts';

/** OPA as somebody installed it, or as `build.ts` built it once; null where there is none. */
export function findOpa(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), OPA_FOLDER];
  return folders.map((folder) => join(folder, 'opa')).find(canRun) ?? null;
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunningOpa {
  readonly url: string;
  stop(): Promise<void>;
}

/** A server with one module of Rego, which answers only to the given token. */
export async function startOpa(
  binary: string,
  { rego, token }: { readonly rego: string; readonly token: string },
): Promise<RunningOpa> {
  const folder = await mkdtemp(join(tmpdir(), 'rookery-opa-'));
  await writeFile(join(folder, 'policy.rego'), rego);
  await writeFile(
    join(folder, 'authz.rego'),
    `package system.authz\n\ndefault allow := false\n\nallow if input.identity == "${token}"\n`,
  );
  const port = await pickPort('127.0.0.1');
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    binary,
    [
      'run',
      '--server',
      `--addr=127.0.0.1:${port}`,
      '--authentication=token',
      '--authorization=basic',
      '--skip-version-check',
      '--log-level=error',
      folder,
    ],
    { stdio: 'ignore' },
  );
  const isReady = async (): Promise<boolean> => {
    const answer = await fetch(`${url}/health`, { headers: { authorization: `Bearer ${token}` } });
    await answer.body?.cancel();
    return answer.ok;
  };
  const stop = async (): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true });
  };
  try {
    await vi.waitFor(async () => expect(await isReady()).toBe(true), { timeout: 20_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}
