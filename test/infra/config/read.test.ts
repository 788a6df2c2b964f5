import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, json, oneof, property, string, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../domain/error.ts';
import type { Config } from '../../../infra/config/config.ts';
import { LEAVES } from '../../../infra/config/leaves.ts';
import type { ConfigSources } from '../../../infra/config/read.ts';
import { readConfig } from '../../../infra/config/read.ts';
import { testFolder } from '../../support/folder.ts';

function read(sources: Partial<ConfigSources> & { readonly yaml?: string | Buffer }): Config {
  const cwd = sources.cwd ?? testFolder();
  if (sources.yaml !== undefined) writeFileSync(join(cwd, 'rookery.yaml'), sources.yaml);
  return readConfig({ env: {}, ...sources, cwd });
}

function problems(sources: Parameters<typeof read>[0]): readonly string[] {
  try {
    read(sources);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const [head, ...lines] = error.message.split('\n');
    if (error.code !== 'invalid_input' || head !== 'Bad configuration:') throw error;
    return lines.map((line) => line.replace(/^- /, ''));
  }
  return [];
}

describe('layers', () => {
  test('nothing set at all is a complete configuration on loopback', () => {
    const cwd = testFolder();
    const config = read({ cwd, env: { HOME: '/home/ada' } });
    expect(config.dataDir).toBe(join(cwd, '.rookery'));
    expect(config.cacheDir).toBe('/home/ada/.cache/rookery');
    expect(config.listen).toEqual({ host: '127.0.0.1', port: 7600, internalUrl: null });
    expect(config.host.id).toMatch(/^[a-z0-9-]+$/);
    expect(config.host.socketPath).toBe(join(cwd, '.rookery', 'host.sock'));
    expect(config.databaseUrl).toBeNull();
  });

  test('a flag wins over the environment, which wins over the file, which wins over the default', () => {
    const yaml = 'listen:\n  port: 7001\n  host: 10.0.0.1\nlog:\n  level: warn\n';
    const env = { ROOKERY_LISTEN_PORT: '7002', ROOKERY_LOG_LEVEL: 'debug' };
    const config = read({ yaml, env, flags: { 'listen.port': '7003' } });
    expect(config.listen).toEqual({ host: '10.0.0.1', port: 7003, internalUrl: null });
    expect(config.log).toEqual({ level: 'debug', format: 'text' });
  });

  test('a list replaces a list and is not mixed with the defaults', () => {
    const env = { ROOKERY_EGRESS_ALLOW: 'a.example, b.example,' };
    expect(read({ yaml: 'egress: { allow: [c.example] }', env }).egress.allow).toEqual([
      'a.example',
      'b.example',
    ]);
    expect(read({ yaml: 'egress: { allow: [] }' }).egress.allow).toEqual([]);
  });

  test('an empty variable is one that is not set', () => {
    expect(read({ env: { ROOKERY_LISTEN_PORT: '', DATABASE_URL: '' } }).listen.port).toBe(7600);
  });

  test('an empty file and an empty group change nothing', () => {
    expect(read({ yaml: '' }).listen.port).toBe(7600);
    expect(read({ yaml: 'listen:\n' }).listen.port).toBe(7600);
  });

  test('paths are absolute, a program without a slash is left for the PATH', () => {
    const cwd = testFolder();
    const env = { HOME: '/home/ada', ROOKERY_DATA_DIR: '~/data', ROOKERY_CACHE_DIR: 'cache' };
    const flags = { 'temporal.binary': 'temporal', 'agents.binaries.codex': './codex' };
    const config = read({ cwd, env, flags });
    expect(config.dataDir).toBe('/home/ada/data');
    expect(config.cacheDir).toBe(join(cwd, 'cache'));
    expect(config.temporal.binary).toBe('temporal');
    expect(config.agents.binaries.codex).toBe(join(cwd, 'codex'));
  });

  test('the value cannot be changed afterwards', () => {
    const config = read({});
    expect(() => Object.assign(config.listen, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config.egress.allow, ['evil.example'])).toThrow(TypeError);
  });

  test('every setting can be set by its variable', () => {
    for (const { key, meta } of LEAVES) {
      const bad = meta.form === 'integer' ? 'x' : null;
      if (bad === null) continue;
      expect(problems({ env: { [meta.env]: bad } })).toEqual([
        `environment ${meta.env}: expected a whole number, got "x"`,
      ]);
      expect(problems({ flags: { [key]: bad } })).toHaveLength(1);
    }
  });
});

describe('problems', () => {
  test('ten in three layers are told at once, each with its place', () => {
    const yaml = [
      'lisen: { port: 1 }',
      'listen: { port: 70000, hots: x }',
      'log: loud',
      'approvals: { quorum: 0 }',
      'workers: { pools: [core, gpu] }',
    ].join('\n');
    const env = { ROOKERY_LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://u:hunter22@h/d' };
    const flags = { 'host.id': 'Not A Label', 'temporal.prot': 1, 'retention.eventsDays': -1 };
    expect(problems({ yaml, env, flags })).toEqual([
      'rookery.yaml lisen: unknown setting, did you mean listen?',
      'rookery.yaml listen.hots: unknown setting, did you mean host?',
      'rookery.yaml log: expected settings, each as `name: value`',
      'rookery.yaml listen.port: expected at most 65535, got 70000',
      'rookery.yaml approvals.quorum: expected at least 1, got 0',
      expect.stringMatching(
        /^rookery\.yaml workers\.pools item 1: expected one of core, pty, connectors/,
      ),
      'environment DATABASE_URL: expected postgres://user:password@host/name',
      expect.stringMatching(/^environment ROOKERY_LOG_LEVEL: expected one of trace, .*got "loud"$/),
      'flag temporal.prot: unknown setting, did you mean temporal.port?',
      'flag host.id: expected a-z, 0-9 and -, at most 63 characters, got "Not A Label"',
      'flag retention.eventsDays: expected at least 1, got -1',
    ]);
  });

  test('a wrong value is told even where a later layer replaces it', () => {
    const yaml = 'listen: { port: nine }';
    expect(problems({ yaml, env: { ROOKERY_LISTEN_PORT: '7001' } })).toEqual([
      'rookery.yaml listen.port: expected a whole number, got "nine"',
    ]);
  });

  test.each([
    ['a fraction', '1.5'],
    ['another base', '0x1F'],
    ['an exponent', '1e3'],
    ['a thousands sign', '7,600'],
    ['Infinity', 'Infinity'],
    ['more than a number holds', '99999999999999999999'],
  ])('%s is not a port', (_what, value) => {
    expect(problems({ env: { ROOKERY_LISTEN_PORT: value } })).toHaveLength(1);
  });

  test('a secret given in place of its reference is refused and not repeated', () => {
    const flags = { 'agents.secretRefs': 'env:OPENAI_API_KEY,sk-proj-0123456789' };
    const [problem, ...more] = problems({ flags });
    expect(more).toEqual([]);
    expect(problem).toContain('not the secret');
    expect(problem).not.toContain('0123456789');
  });

  test('a mistyped variable of ours is refused, one of another program is not', () => {
    expect(problems({ env: { ROOKERY_LISTEN_PROT: '1' } })).toEqual([
      'environment ROOKERY_LISTEN_PROT: unknown setting, did you mean ROOKERY_LISTEN_PORT?',
    ]);
    expect(
      problems({
        env: { ROOKERY_URL: 'x', ROOKERY_ADMIN_URL: 'x', ROOKERY_API_KEY: 'x', OTHER: 'x' },
      }),
    ).toEqual([]);
  });

  test('settings that contradict each other are told', () => {
    const flags = { 'approvals.expiryMs': 5_000, 'approvals.remindAfterMs': 5_000 };
    expect(problems({ flags: { ...flags, 'temporal.port': 7600 } })).toEqual([
      'approvals.remindAfterMs: 5000 is not before approvals.expiryMs 5000',
      'listen.port, admin.port, temporal.port and temporal.uiPort: must be different ports',
    ]);
    expect(problems({ flags: { 'approvals.expiryMs': 5_000 } })).toEqual([]);
  });

  test('a socket path that the system would cut is told', () => {
    const [problem] = problems({ flags: { 'host.socketPath': `/${'x'.repeat(200)}` } });
    expect(problem).toMatch(/^host\.socketPath: .*bytes/);
  });
});

describe('the file', () => {
  test('one that was named has to be there, rookery.yaml does not', () => {
    const cwd = testFolder();
    expect(problems({ cwd })).toEqual([]);
    const missing = join(cwd, 'other.yaml');
    expect(problems({ cwd, file: 'other.yaml' })).toEqual([`${missing}: does not exist`]);
    expect(problems({ cwd, env: { ROOKERY_CONFIG: 'other.yaml' } })).toHaveLength(1);
  });

  test('a folder in its place is told', () => {
    const cwd = testFolder();
    mkdirSync(join(cwd, 'rookery.yaml'));
    expect(problems({ cwd })).toEqual([`${join(cwd, 'rookery.yaml')}: is a folder`]);
  });

  test('a repeated key is told with its line', () => {
    const [problem, ...more] = problems({ yaml: 'listen:\n  port: 1\n  port: 2\n' });
    expect(more).toEqual([]);
    expect(problem).toMatch(/Map keys must be unique.*line 3/);
  });

  test('a bomb of aliases is refused at once', () => {
    const levels = Array.from({ length: 30 }, (_, index) => {
      const inner = index === 0 ? 'x' : `*a${index - 1}`;
      return `a${index}: &a${index} [${Array.from({ length: 10 }, () => inner).join(', ')}]`;
    });
    const startedAt = performance.now();
    const [problem] = problems({ yaml: levels.join('\n') });
    expect(problem).toContain('aliases');
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  test('deep nesting, many keys and a huge file end in one readable message', () => {
    expect(problems({ yaml: '['.repeat(50_000) }).length).toBeGreaterThan(0);
    expect(problems({ yaml: `a: ${'x'.repeat(300_000)}` })).toEqual([
      expect.stringContaining('at most 262144 are read'),
    ]);
    const [problem] = problems({ yaml: `"${'k'.repeat(5_000)}": 1` });
    expect(problem?.length).toBeLessThan(200);
  });

  test('names of the prototype are unknown settings like any other', () => {
    const yaml = '__proto__: { port: 1 }\nconstructor: 1\nlisten: { toString: 1 }\n';
    expect(problems({ yaml })).toEqual([
      'rookery.yaml __proto__: unknown setting',
      'rookery.yaml constructor: unknown setting',
      'rookery.yaml listen.toString: unknown setting',
    ]);
  });

  test('a list or a word in place of the settings is told', () => {
    const expected = ['rookery.yaml: expected settings, each as `name: value`'];
    expect(problems({ yaml: '- a\n' })).toEqual(expected);
    expect(problems({ yaml: 'hello' })).toEqual(expected);
  });

  test('whatever bytes it holds, it is read or refused in words', () => {
    assert(
      property(oneof(string(), json(), uint8Array()), (content) => {
        for (const problem of problems({
          yaml: Buffer.from(typeof content === 'string' ? Buffer.from(content) : content),
        }))
          expect(problem).toMatch(/rookery\.yaml/);
      }),
      { numRuns: 200 },
    );
  });
});
