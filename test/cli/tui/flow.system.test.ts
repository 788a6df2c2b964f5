import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openAsking, type Asking } from '../../api/asking.ts';
import { callAs } from '../../api/harness.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase } from '../../support/postgres.ts';
import { HAS_TMUX, openScreen, type Screen } from './tmux.ts';
import { EDIT } from './support.ts';
import { idOf, openWorld, TOKEN, WORKSPACE_ID } from './world.ts';

checkLeaks();
const world = await openWorld(await createTestDatabase());
const { api, env, key } = world;
const call = callAs(api.app, key);
const screens: Screen[] = [];
let asking: Asking;

beforeAll(async () => {
  await api.work();
  asking = openAsking(api, { key, workspaceId: WORKSPACE_ID });
});
afterEach(async () => {
  for (const screen of screens.splice(0)) await screen.close();
});
afterAll(() => api.close());

async function open(...argv: readonly string[]): Promise<Screen> {
  const screen = await openScreen({ env, argv });
  screens.push(screen);
  await screen.shows('● live');
  return screen;
}

const Items = z.object({ items: z.array(z.record(z.string(), z.unknown())) });

async function itemsOf(path: string) {
  return Items.parse((await call(path)).body).items;
}

describe.runIf(HAS_TMUX)('by keys in a terminal, against the real API', () => {
  test('an approval comes by itself, is read whole, and is denied with a reason', async () => {
    const screen = await open();
    await screen.shows('Nothing waits for a decision.');
    const agentId = await asking.spawn();
    const asked = await asking.ask(agentId, {
      subject: 'prices.ts',
      text: Array.from({ length: 50 }, (_each, index) => `line ${index + 1} of what it says`).join(
        '\n',
      ),
      hookPayload: EDIT.hookPayload,
    });
    await screen.shows('Approvals (1)');
    await screen.shows('worker: prices.ts');
    await screen.press('Enter');
    expect(await screen.shows('Edit of shop/prices.ts')).toContain('│ -export const VAT = 0.19;');
    await screen.press('G');
    await screen.shows('"text":');
    await screen.press('d');
    await screen.shows('Reason');
    await screen.type('prices are fixed until Monday');
    await screen.press('Enter');
    await screen.shows('Press y to deny it');
    await screen.press('Enter', 'Enter');
    expect((await call(`/v1/approvals/${String(asked['id'])}`)).body['state']).toBe('open');
    await screen.press('y');
    await screen.shows('✓');
    const decided = await asking.approval(asked['id'], 'refused');
    expect(decided['votes']).toMatchObject([
      { verdict: 'refuse', note: 'prices are fixed until Monday', principalId: key.id },
    ]);
    await screen.shows('Nothing waits for a decision.');
  }, 120_000);

  test('one that somebody else decides meanwhile goes away, and says what became of it', async () => {
    const agentId = await asking.spawn();
    const asked = await asking.ask(agentId, { subject: 'npm test' });
    const screen = await open();
    await screen.shows('worker: npm test');
    await screen.press('G', 'Enter');
    await screen.shows(/State +open/);
    const path = `/v1/approvals/${String(asked['id'])}`;
    await call(`${path}/decide`, { body: { verdict: 'grant', digest: asked['digest'] } });
    await screen.shows(/State +granted/);
    expect(await screen.text()).not.toContain('a approve');
  }, 120_000);

  test('somebody is linked by his token, and gets a role', async () => {
    const screen = await open('--screen', 'pairing');
    await screen.shows('4711008');
    await screen.press('e');
    await screen.shows('Token');
    await screen.paste(`${TOKEN}\n`);
    await screen.press('Enter');
    await screen.shows('Compare the number');
    await screen.shows(/Number +4711008/);
    await screen.press('a');
    await screen.shows('somebody new');
    await screen.type('bo');
    await screen.shows('▸ Bo ');
    await screen.press('Enter');
    await screen.type('operator');
    await screen.press('Enter');
    await screen.shows('workspace shop');
    await screen.press('Enter');
    await screen.shows('Type link');
    await screen.press('Enter');
    expect(await itemsOf(`/v1/users/${idOf('user', 2)}/identities`)).toEqual([]);
    await screen.type('link');
    await screen.press('Enter');
    await screen.shows('Linked: it is Bo, operator there.');
    expect(await itemsOf(`/v1/users/${idOf('user', 2)}/identities`)).toMatchObject([
      { kind: 'telegram', subject: '4711008' },
    ]);
  }, 120_000);

  test('a role is given, and revoked only by its word', async () => {
    const path = `/v1/users/${idOf('user', 1)}/role-bindings`;
    const screen = await open('--screen', 'users');
    await screen.shows('Anna');
    await screen.press('Enter');
    await screen.shows('No role');
    await screen.press('g');
    await screen.shows('workspace shop');
    await screen.press('Enter');
    await screen.type('admin');
    await screen.press('Enter', 'y');
    await screen.shows('is admin there now');
    expect(await itemsOf(path)).toMatchObject([{ role: 'admin' }]);
    await screen.press('x');
    await screen.shows('Type revoke');
    await screen.press('y', 'Enter');
    await screen.shows(/Type revoke and press Enter to take it back, or Esc/);
    expect(await itemsOf(path)).toHaveLength(1);
    await screen.type('revoke');
    await screen.press('Enter');
    await screen.shows('is admin no more');
    expect(await itemsOf(path)).toEqual([]);
  }, 120_000);

  test('the terminal of an agent is lent and taken back', async () => {
    const agentId = await asking.spawn();
    const screen = await open('--screen', 'agents');
    await screen.shows('ready');
    await screen.press('/');
    // The newest that is ready is the first of them.
    await screen.type('ready');
    await screen.press('Enter', 'Enter');
    const shown = await screen.shows('Its screen now');
    expect(shown).toContain('worker');
    await screen.press('a');
    await expect.poll(() => api.host.terminals.some(({ isClosed }) => !isClosed)).toBe(true);
    await screen.press('C-]');
    await screen.shows('Detached from worker; it goes on.');
    expect(await screen.text()).toContain('Its screen now');
    await screen.press('x');
    await screen.shows('Type stop');
    await screen.type('stop');
    await screen.press('Enter');
    await asking.until(`/v1/agents/${agentId}`, (body) => body['state'] === 'stopped');
    await screen.shows(/State +stopped/);
  }, 120_000);
});
