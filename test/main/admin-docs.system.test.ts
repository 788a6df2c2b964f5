import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { parseJson } from '../../domain/json.ts';
import { startInstance, type Instance } from './instance.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const DOCUMENT = await readFile(join(ROOT, 'docs', 'admin.md'), 'utf8');
/** Blocks that cannot run here say why, right below. */
const RUN = /^```sh\n((?:(?!```)[\s\S])*)```\n(?!\n<!-- not run here: )/gm;
const BLOCKS = [...DOCUMENT.matchAll(RUN)].map(([, block = '']) => block.trim());

let folder = '';
let bin = '';
let instance: Instance | null = null;
let adminUrl = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rookery-admin-docs-'));
  await chmod(folder, 0o755);
  bin = join(folder, 'bin');
  await mkdir(bin);
  const program = join(ROOT, 'main', 'rookery.ts');
  const script = `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`;
  await writeFile(join(bin, 'rookery'), script, { mode: 0o755 });
});
afterAll(async () => {
  await instance?.stop();
  await rm(folder, { recursive: true, force: true });
});

const Connection = z.object({ adminUrl: z.string() });

test.each(BLOCKS)('works as written: %s', { timeout: 60_000 }, async (block) => {
  if (block.endsWith('rookery up')) {
    // It does not end: the blocks after it talk to it.
    instance = await startInstance(join(folder, '.rookery'), ['admin.mtls=on', 'admin.tlsPort=0']);
    const text = await readFile(join(folder, '.rookery', 'connection.json'), 'utf8');
    adminUrl = Connection.parse(parseJson(text)).adminUrl.replace('127.0.0.1', 'localhost');
    return;
  }
  const url = instance?.url ?? '';
  const script = block
    .replaceAll('http://127.0.0.1:7600', url)
    .replaceAll('https://localhost:7602', adminUrl);
  expect(await run(script)).toMatchObject({ code: 0 });
});

test('with certificates nothing of the admin listener is left elsewhere', async () => {
  const { url = '', dataDir = '' } = instance ?? {};
  const key = z
    .object({ apiKey: z.string() })
    .parse(parseJson(await readFile(join(dataDir, 'connection.json'), 'utf8')));
  const headers = { authorization: `Bearer ${key.apiKey}` };
  expect((await fetch(`${url}/v1/workspaces`, { headers })).status).toBe(200);
  expect((await fetch(`${url}/v1/keys`, { headers })).status).toBe(404);
  await expect(fetch(`${adminUrl.replace('https', 'http')}/v1/keys`, { headers })).rejects.toThrow(
    'fetch failed',
  );
});

async function run(script: string): Promise<{ code: number | null; output: string }> {
  const { PATH = '', HOME, LANG, XDG_CACHE_HOME } = process.env;
  const env = { PATH: `${bin}${delimiter}${PATH}`, HOME, LANG, XDG_CACHE_HOME };
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: { ...env, ROOKERY_ADMIN_MTLS: 'on' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  return { code: child.exitCode, output };
}
