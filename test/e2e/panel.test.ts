import { mkdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PanelLinkSchema } from '../../domain/schema/panel.ts';
import { hasBrowser, openBrowser, openPage, type WatchedPage } from '../support/browser.ts';
import { startRookery, type TestRookery } from '../support/rookery.ts';
import { spawnOne, untilState } from './agent.ts';
import { eventually, stopAgent } from './asker.ts';

const COMMAND = 'echo decided-in-a-browser > decided.txt && cat decided.txt';
const HOSTILE = '<script>pwned=1</script>"><img src=x onerror=pwned=2>';
const CHECKS = join(import.meta.dirname, 'panel-checks.js');
const PAGES = ['agents', 'approvals', 'usage', 'events', 'audit', 'hosting', 'limits', 'keys'];

let rookery: TestRookery;
let browser: Browser;

beforeAll(async () => {
  rookery = await startRookery({
    script: [
      {
        toolCalls: [{ kind: 'shell', command: COMMAND, description: 'The thing' }],
        text: 'THE THING IS DONE',
        refusedText: 'REFUSED',
      },
    ],
  });
  if (hasBrowser) browser = await openBrowser();
}, 90_000);

afterAll(async () => {
  await browser?.close();
  await rookery.dispose();
}, 60_000);

/** By a link as `rookery panel --admin` prints it. */
async function signIn(options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const { body } = await rookery.callAdmin('POST', '/v1/panel/links', {});
  const opened = await openPage(browser, options);
  await opened.page.goto(`${rookery.adminUrl}/panel/login#${PanelLinkSchema.parse(body).token}`);
  await opened.page.waitForURL('**/agents');
  return opened;
}

async function check(
  { page }: WatchedPage,
  name: 'names' | 'width' | 'contrast',
): Promise<readonly string[]> {
  await page.evaluate(await readFile(CHECKS, 'utf8'));
  const found: unknown = await page.evaluate(`panelChecks.${name}()`);
  return Array.isArray(found) ? found.map(String) : ['the check did not run'];
}

describe.skipIf(!hasBrowser)(`in Chromium${hasBrowser ? '' : ' — SKIPPED: not installed'}`, () => {
  test(
    'a person signs in and starts an agent by keyboard alone',
    { timeout: 120_000 },
    async () => {
      const { page, faults } = await openPage(browser);
      await page.goto(rookery.url);
      // A browser gives a field its focus with the first frame, which may come after the page was loaded.
      await page.locator('input:focus').waitFor();
      await page.keyboard.type(rookery.apiKey);
      await page.keyboard.press('Enter');
      await page.waitForURL('**/agents');
      await page.keyboard.press('?');
      const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
      await help.waitFor();
      await page.keyboard.press('Escape');
      // A key that comes while the dialog is closing is the dialog's.
      await help.waitFor({ state: 'hidden' });
      await page.keyboard.press('n');
      await page.getByRole('dialog', { name: 'New agents' }).waitFor();
      await page.keyboard.type('custom');
      for (const text of ['1', '', 'by-keyboard', '', '', 'bash\n--norc\n-i']) {
        await page.keyboard.press('Tab');
        await page.keyboard.press('ControlOrMeta+A');
        if (text !== '') await page.keyboard.type(text);
      }
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      const card = page.getByRole('article').filter({ hasText: 'by-keyboard' }).first();
      await card.getByText('ready', { exact: true }).waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      // Loaded: the heading is there before the script that reads the next keys.
      await page.waitForURL('**/panel/agents/*');
      await page.getByRole('heading', { level: 1, name: 'by-keyboard' }).waitFor();
      await page.keyboard.press('g');
      await page.keyboard.press('p');
      await page.waitForURL('**/approvals');
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  test(
    'agents come, change and show their screens while one looks',
    { timeout: 120_000 },
    async () => {
      const { page, faults } = await signIn();
      await page.evaluate('window.sameDocument = true');
      const script = `echo '${HOSTILE}'; read line; exit 0`;
      const id = await spawnOne(rookery, {
        type: 'custom',
        name: HOSTILE,
        command: ['bash', '-c', script],
      });
      const card = page.locator(`#${id}`);
      await card.waitFor();
      await card.locator('pre').getByText('onerror=pwned=2').waitFor();
      expect(await card.locator('h2').textContent()).toContain(HOSTILE);
      await card.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Yes' }).click();
      // Stopped, or gone already: the list is of those that live.
      await page.locator(`#${id}[data-state="busy"]`).waitFor({ state: 'detached' });
      expect(await page.evaluate('[window.sameDocument, window.pwned]')).toEqual([true, undefined]);
      await untilState(rookery, id, ({ state }) => state === 'stopped');
      await page.goto(`${rookery.adminUrl}/panel/w/default/agents?show=ended`);
      expect(await card.getAttribute('data-state')).toBe('stopped');
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  test('a terminal is looked at, typed into and left', { timeout: 120_000 }, async () => {
    const id = await spawnOne(rookery, {
      type: 'custom',
      name: 'typed-into',
      command: ['bash', '--norc', '-i'],
    });
    await untilState(rookery, id, ({ state }) => state === 'ready');
    const { page, faults } = await signIn();
    await page.goto(`${rookery.adminUrl}/panel/agents/${id}`);
    await page.getByRole('button', { name: 'Attach' }).click();
    await page.getByText('looking on').waitFor();
    await page.getByRole('button', { name: 'Type', exact: true }).click();
    await page.getByText('you type', { exact: true }).waitFor();
    await page.keyboard.type('echo $((6 * 7))-typed; stty size\n');
    await page.locator('.xterm-rows').getByText('42-typed', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Fit to window' }).click();
    await page.keyboard.press('Control+]');
    await expect
      .poll(() => page.evaluate('document.activeElement.textContent'), { timeout: 30_000 })
      .toBe('Type');
    await page.keyboard.type('nobody reads this');
    await page.getByRole('button', { name: 'Detach' }).click();
    await page.getByText('not attached').waitFor();
    const { body } = await rookery.call('GET', `/v1/agents/${id}/screen`);
    expect(JSON.stringify(body)).not.toContain('nobody reads this');
    expect(faults).toEqual([]);
    await stopAgent(rookery, id);
    await page.context().close();
  });

  test('an approval is announced, read and granted', { timeout: 180_000 }, async () => {
    const workDir = join(await realpath(rookery.workRoot), 'panel');
    await mkdir(workDir);
    const opened = await signIn();
    const { page, faults } = opened;
    const id = await spawnOne(rookery, { type: 'gemini', task: 'do the thing', workDir });
    await page.locator('#approvals-badge', { hasText: '1' }).waitFor({ timeout: 120_000 });
    await page.getByRole('link', { name: 'Approvals' }).click();
    await page.getByRole('link', { name: 'decided-in-a-browser' }).click();
    await page.getByText(COMMAND).first().waitFor();
    expect(await check(opened, 'names')).toEqual([]);
    await page.getByLabel('Note').fill('Looks right.');
    await page.getByRole('button', { name: 'Grant' }).click();
    await page.getByText('Looks right.').waitFor();
    await page.locator('.badges').getByText('granted', { exact: true }).waitFor();
    await eventually(
      'the command',
      () => readFile(join(workDir, 'decided.txt'), 'utf8').catch(() => null),
      60_000,
    );
    expect(faults).toEqual([]);
    await stopAgent(rookery, id);
    await page.context().close();
  });

  test.each(['light', 'dark'] as const)(
    'every page has names, a width that fits a phone and contrast: %s',
    { timeout: 120_000 },
    async (colorScheme) => {
      const opened = await signIn({ colorScheme, viewport: { width: 360, height: 740 } });
      const { page, faults } = opened;
      for (const name of PAGES) {
        await page.goto(`${rookery.adminUrl}/panel/w/default/${name}`);
        for (const what of ['names', 'width', 'contrast'] as const) {
          expect([name, what, await check(opened, what)]).toEqual([name, what, []]);
        }
      }
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  test('a page elsewhere cannot use a session that is open', { timeout: 60_000 }, async () => {
    const { page } = await signIn();
    // Another port of this machine is another origin, and yet the same site: the cookie goes there and comes from there.
    await page.goto(`${rookery.url}/healthz`);
    const tried: unknown = await page.evaluate(`(async () => {
      const to = ${JSON.stringify(rookery.adminUrl)};
      const options = { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' };
      const asked = await fetch(to + '/v1/keys', options).then(() => 'sent', () => 'refused');
      const socket = new WebSocket(to.replace('http', 'ws') + '/v1/agents/x/terminal');
      const opened = await new Promise((done) => {
        socket.onopen = () => done('opened');
        socket.onerror = () => done('refused');
      });
      return [asked, opened];
    })()`);
    expect(tried).toEqual([expect.any(String), 'refused']);
    const { body } = await rookery.callAdmin('GET', '/v1/keys');
    expect(body).toMatchObject({ items: [{ name: 'bootstrap' }] });
    await page.context().close();
  });
});
