import { createServer } from 'node:net';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import type { Config } from '../../infra/config/config.ts';
import { readConfig } from '../../infra/config/read.ts';
import { resolveTemporal } from '../../infra/toolchain/temporal.ts';
import type { DoctorRow } from '../../main/doctor-checks.ts';
import type { DoctorReport } from '../../main/doctor.ts';
import { formatRow, formatSummary, runDoctor } from '../../main/doctor.ts';
import { testFolder } from '../support/folder.ts';
import { checkLeaks } from '../support/leaks.ts';

checkLeaks();

const ENV = { PATH: process.env['PATH'], HOME: process.env['HOME'] };

/** Doctor only looks: on a fresh machine somebody has to have fetched it before. */
beforeAll(async () => {
  const { cacheDir } = readConfig({ env: ENV, cwd: '/' });
  await resolveTemporal({ configured: null, cacheDir, env: ENV, report: () => undefined });
}, 900_000);

function configWith(flags: Readonly<Record<string, unknown>>, cwd = testFolder()): Config {
  return readConfig({ env: ENV, flags, cwd });
}

async function examine(config: Config, env: Record<string, string | undefined> = ENV) {
  const seen: DoctorRow[] = [];
  const report = await runDoctor(config, (each) => seen.push(each), env);
  expect(seen).toEqual(report.rows);
  return report;
}

function row(report: DoctorReport, name: string): DoctorRow {
  const found = report.rows.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no row ${name}`);
  return found;
}

test('on this machine the parts that tests need are found, and looking changes nothing', async () => {
  const folder = testFolder();
  const report = await examine(configWith({}, folder));
  expect(report.rows.map(({ name }) => name)).toEqual([
    'Node',
    'data directory',
    'Temporal',
    'PostgreSQL',
    'isolation',
    'limits',
    'terminals',
    'model gateway',
    'claude',
    'codex',
    'gemini',
    'aider',
    'secrets',
    'connectors',
    'ports',
  ]);
  expect(row(report, 'Node').status).toBe('ok');
  expect(row(report, 'Temporal')).toMatchObject({ status: 'ok', fix: null });
  expect(row(report, 'PostgreSQL').found).toMatch(/PostgreSQL\) 18\..*embedded/);
  expect(row(report, 'terminals').status).toBe('ok');
  expect(row(report, 'gemini').found).toMatch(/^0\.61\.0 \(/);
  expect(report.ready).toBe(true);
  expect(readdirSync(folder)).toEqual([]);
});

test('each place that secrets come from is logged in to, and a codec key that is gone stops the start', async () => {
  const folder = testFolder();
  const ageKeyFile = join(folder, 'age.txt');
  copyFileSync(join(import.meta.dirname, '..', 'fixtures', 'sops', 'age-key.txt'), ageKeyFile);
  chmodSync(ageKeyFile, 0o600);
  const flags = { 'secrets.ageKeyFile': ageKeyFile, 'temporal.codecKey': 'env:CODEC_KEY' };
  const env = { ...ENV, CODEC_KEY: randomBytes(32).toString('base64') };
  const sound = row(await examine(configWith(flags), env), 'secrets');
  expect(sound).toMatchObject({ status: 'ok', fix: null });
  expect(sound.found).toMatch(/one age identity.*encrypted/);

  const far = {
    ...flags,
    'secrets.vault.address': 'http://127.0.0.1:1',
    'secrets.vault.token': 'env:CODEC_KEY',
  };
  const away = await examine(configWith(far), env);
  expect(row(away, 'secrets')).toMatchObject({ status: 'warn' });
  expect(row(away, 'secrets').found).toContain('Vault does not answer');
  expect(away.ready).toBe(true);

  const gone = await examine(configWith(flags), ENV);
  expect(row(gone, 'secrets').found).toContain('CODEC_KEY is not set');
  expect(gone.ready).toBe(false);
});

test('each missing part says what to do', async () => {
  const folder = testFolder();
  writeFileSync(join(folder, 'occupied'), '');
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  onTestFinished(() => void server.close());
  const config = configWith({
    databaseUrl: 'postgres://ada:hunter22@127.0.0.1:9/none',
    'temporal.address': '127.0.0.1:9',
    'listen.port': port,
    'agents.binaries.claude': join(folder, 'occupied'),
  });
  const report = await examine(config, { PATH: '' });
  expect(report.ready).toBe(false);
  expect(row(report, 'PostgreSQL')).toMatchObject({
    status: 'missing',
    found: expect.stringMatching(/^127\.0\.0\.1:9: .*ECONNREFUSED/),
  });
  expect(row(report, 'Temporal').found).toBe('nothing answers at 127.0.0.1:9');
  expect(row(report, 'ports')).toMatchObject({
    status: 'warn',
    found: expect.stringContaining(`127.0.0.1:${port} is in use`),
  });
  expect(row(report, 'claude').fix).toContain('is not a program that can be run');
  expect(row(report, 'codex').fix).toContain('npm install -g @openai/codex');
  for (const each of report.rows) expect(each.fix === null).toBe(each.status === 'ok');
  expect(JSON.stringify(report)).not.toContain('hunter22');
  expect(formatSummary(report)).toMatch(/^Not ready: [2-4] missing/);
});

test('a configured binary that is wrong is missing, one not fetched yet is only a warning', async () => {
  const wrong = await examine(configWith({ 'temporal.binary': '/nowhere/temporal' }));
  expect(row(wrong, 'Temporal')).toMatchObject({
    status: 'missing',
    fix: 'correct temporal.binary',
  });
  const PATH = '/usr/bin:/bin';
  const fresh = await examine(configWith({ cacheDir: testFolder() }), { PATH });
  expect(row(fresh, 'Temporal')).toMatchObject({ status: 'warn' });
});

test('a running database is asked for its version', async () => {
  const report = await examine(configWith({ databaseUrl: inject('postgresUrl') }));
  expect(row(report, 'PostgreSQL').found).toMatch(/^PostgreSQL 18\.\d+ at 127\.0\.0\.1:\d+$/);
});

test('a row is one line, and what to do is on the next', () => {
  const text = formatRow({ name: 'codex', status: 'warn', found: 'not found', fix: 'install it' });
  expect(stripVTControlCharacters(text)).toBe(
    '! codex           not found\n                  → install it',
  );
});
