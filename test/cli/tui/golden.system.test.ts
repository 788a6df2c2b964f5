import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase } from '../../support/postgres.ts';
import { HAS_TMUX, masked, openScreen, type Screen } from './tmux.ts';
import { EDIT } from './support.ts';
import { ask, COMMAND, openWorld } from './world.ts';

checkLeaks();
const world = await openWorld(await createTestDatabase());
const { env } = world;
const first = await ask(world, {
  number: 1,
  title: 'Edit shop/prices.ts',
  payload: EDIT,
  risk: 'medium',
});
const second = await ask(world, {
  number: 2,
  title: 'Build the whole shop, all of its sixty parts, and throw away what was built before',
  payload: COMMAND,
  risk: 'high',
});
const codes = [first.code, second.code];
const CHILD = new URL('../child.ts', import.meta.url).pathname;
const screens: Screen[] = [];
afterEach(async () => {
  for (const screen of screens.splice(0)) await screen.close();
});
afterAll(() => world.api.close());

async function open(opening: Omit<Parameters<typeof openScreen>[0], 'env'>): Promise<Screen> {
  const screen = await openScreen({ ...opening, env });
  screens.push(screen);
  return screen;
}

/** Keys that lead to a page, what shows that it is there, and its name. */
const PAGES: readonly (readonly [name: string, keys: readonly string[], shows: string | RegExp])[] =
  [
    ['approvals', ['1'], 'Edit shop/prices.ts'],
    ['approval', ['Enter'], 'Edit of shop/prices.ts'],
    ['approval-deny', ['d'], 'told to the agent'],
    ['', ['Escape'], 'Nothing was done'],
    ['agents', ['q', '2'], 'reviewer'],
    ['agent', ['Enter'], 'Runs'],
    ['agent-stop', ['x'], 'Type stop'],
    ['', ['Escape'], 'Nothing was done'],
    ['workspaces', ['q', '3'], 'you are here'],
    ['workspace', ['Enter'], 'No contexts'],
    ['settings', ['t'], 'System prompt'],
    ['users', ['q', 'q', '4'], 'Bo'],
    ['user', ['Enter'], 'No role'],
    ['pairing', ['q', '5'], '4711008'],
    ['connectors', ['6'], 'No process runs it.'],
    ['connector', ['Enter'], 'Everything that was to be said'],
    ['policy', ['q', '7'], 'built-in policy'],
    ['audit', ['8'], /No entries|DID/],
    ['access', ['9'], 'by an API key'],
    ['help', ['?'], 'Everywhere'],
  ];

describe.runIf(HAS_TMUX)('in a terminal of', () => {
  test.each([
    [80, 24],
    [120, 40],
  ])(
    '%i by %i every page is as it was drawn before',
    async (columns, rows) => {
      const screen = await open({ columns, rows });
      await screen.shows('● live');
      await screen.shows('overlord');
      await screen.shows('Approvals (2)');
      for (const [name, keys, wanted] of PAGES) {
        await screen.press(...keys);
        await screen.shows(wanted);
        // Esc and a key soon after it are one key where a machine is slow: so Esc is waited for by itself.
        if (name === '') continue;
        const shown = masked(await screen.settles(), codes);
        await expect(shown).toMatchFileSnapshot(`golden/${name}-${columns}x${rows}.txt`);
      }
    },
    180_000,
  );
});

describe.runIf(HAS_TMUX)('the terminal UI', () => {
  test('follows the size of its window, and leaves the terminal as it was', async () => {
    const screen = await open({ argv: ['--screen', 'agents'] });
    await screen.shows('deployer');
    await screen.resize(120, 30);
    const wide = await screen.shows(/2 Agents +│/);
    expect(wide.split('\n').filter((line) => / │( |$)/.test(line))).toHaveLength(26);
    await screen.resize(30, 8);
    await screen.shows('Rookery needs');
    await screen.resize(80, 24);
    await screen.shows('deployer');
    await screen.press('q');
    const left = await screen.shows('code=0');
    expect(left).not.toContain('deployer');
  }, 90_000);

  test('draws nothing but ASCII where it is asked to', async () => {
    const screen = await open({ argv: ['--ascii', '--screen', 'users'] });
    const shown = await screen.shows('Anna ?lv');
    expect(shown).toMatch(/^[\n\u0020-\u007e]*$/);
  }, 60_000);

  test('takes a paste for text, whatever it says', async () => {
    const screen = await open({});
    await screen.shows('Edit shop/prices.ts');
    await screen.paste('q\n2');
    await screen.shows('Pasted text goes into fields only');
    await screen.press('/');
    await screen.paste('whole shop');
    expect(await screen.shows('1 found')).toContain('Build the whole shop');
  }, 60_000);

  test('waits for an API that is not there yet, and says so', async () => {
    const nowhere = { ...env, ROOKERY_URL: 'http://127.0.0.1:59999' };
    const screen = await openScreen({ env: nowhere });
    screens.push(screen);
    await screen.shows('Nothing answers at http://127.0.0.1:59999');
    await screen.press('C-c');
    expect(await screen.shows('code=')).toContain('code=0');
  }, 60_000);

  test('shows who is not let in what is wrong with his access', async () => {
    const screen = await openScreen({
      env: { ...env, ROOKERY_API_KEY: 'rk_wrong_00000000000000000000' },
    });
    screens.push(screen);
    await screen.shows('▸9 Access');
    expect(await screen.shows('e enrol this machine')).toContain('A valid API key is needed');
  }, 60_000);

  test.runIf(existsSync('/proc/self/stat'))(
    'shows its first frame after little work',
    async () => {
      const cache = await mkdtemp(join(tmpdir(), 'rookery-tui-cache-'));
      try {
        // The first start fills the cache of compiled modules.
        const took: number[] = [];
        for (let run = 0; run < 3; run += 1) took.push(await firstFrameCpuMs(cache));
        // CPU, Node itself included: what else this machine does at the moment counts less.
        expect(Math.min(...took.slice(1))).toBeLessThan(2_500);
      } finally {
        await rm(cache, { recursive: true, force: true });
      }
    },
    90_000,
  );
});

/** What the program has used when `Approvals` stands on its screen. */
async function firstFrameCpuMs(cache: string): Promise<number> {
  const pty = spawn(process.execPath, [CHILD, 'tui'], {
    cols: 80,
    rows: 24,
    env: { ...env, XDG_CACHE_HOME: cache, TERM: 'xterm-256color' },
  });
  const exited = new Promise<void>((resolve) => pty.onExit(() => resolve()));
  try {
    return await new Promise<number>((resolve, reject) => {
      let text = '';
      pty.onData((data) => {
        text += data;
        if (text.includes('Approvals')) resolve(cpuMs(pty.pid));
      });
      void exited.then(() => reject(new Error(`It ended: ${text}`)));
    });
  } finally {
    pty.kill('SIGTERM');
    await exited;
  }
}

/** Hundredths of a second, the 14th and 15th field; the name before them may hold blanks. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
