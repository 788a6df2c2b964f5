import { render } from 'ink-testing-library';
import { createElement } from 'react';
import { afterEach, describe, expect, test } from 'vitest';
import { App, type Handle } from '../../../cli/tui/app.ts';
import { approvalModel } from '../../../cli/tui/pages/approval.ts';
import { approvalsModel } from '../../../cli/tui/pages/approvals.ts';
import { currentPage, type Effect } from '../../../cli/tui/state.ts';
import { createStore } from '../../../cli/tui/store.ts';
import { approvalOf, PLAIN, start } from './support.ts';

const mounted: { unmount(): void }[] = [];
afterEach(() => {
  for (const each of mounted.splice(0)) each.unmount();
});

const APPROVAL = approvalOf({ kind: 'permission', text: 'rm -rf build' });

/** The program with a page that was loaded, and what it wants done. */
function open() {
  const store = createStore(start());
  const effects: Effect[] = [];
  store.perform((effect) => effects.push(effect));
  const handles: Handle[] = [];
  const look = PLAIN;
  const onHandle = (handle: Handle): void => void handles.push(handle);
  const app = render(createElement(App, { store, look, onHandle }));
  mounted.push(app);
  const load = (model: ReturnType<typeof approvalsModel>): void =>
    store.dispatch({ kind: 'loaded', pageId: currentPage(store.state()).id, model });
  load(approvalsModel([APPROVAL]));
  const shown = (): string => app.lastFrame() ?? '';
  return { app, store, effects, handles, load, shown };
}

describe('the terminal UI in Ink', () => {
  test('shows what was loaded, in the width of the window', async () => {
    const { shown } = open();
    await expect.poll(shown).toContain('K7M2QX');
    expect(shown()).toContain('▸1 Approvals');
    // 100 columns: what Ink's test terminal has.
    await expect.poll(() => shown().split('\n')[1]?.length).toBe(100);
  });

  test('takes keys, also several in one chunk', async () => {
    const { app, effects, store, load, shown } = open();
    await expect.poll(shown).toContain('K7M2QX');
    app.stdin.write('jk\r');
    await expect
      .poll(() => effects.at(-1))
      .toMatchObject({ kind: 'load', ref: { page: 'approval' } });
    load(approvalModel(APPROVAL));
    await expect.poll(shown).toContain('rm -rf build');
    app.stdin.write('d');
    await expect.poll(shown).toContain('Deny K7M2QX');
    app.stdin.write('not now');
    await expect.poll(shown).toContain('not now█');
    app.stdin.write('\r');
    await expect.poll(shown).toContain('Press y to deny it');
    app.stdin.write('\r');
    await expect
      .poll(() => store.state().dialog)
      .toMatchObject({ problem: expect.stringContaining('Press y') });
    app.stdin.write('y');
    await expect
      .poll(() => effects.at(-1))
      .toMatchObject({ kind: 'run', values: { note: 'not now' } });
  });

  test('takes a bracketed paste as text, never as keys', async () => {
    const { app, effects, store, shown } = open();
    await expect.poll(shown).toContain('K7M2QX');
    const before = effects.length;
    app.stdin.write('\u001b[200~q\r2yy\u001b[201~');
    await expect.poll(shown).toContain('Pasted text goes into fields only');
    expect(effects).toHaveLength(before);
    expect(store.state().screen).toBe('approvals');
    app.stdin.write('/');
    await expect.poll(() => store.state().isFiltering).toBe(true);
    app.stdin.write('\u001b[200~K7M2\u001b[201~');
    await expect.poll(shown).toContain('/K7M2█');
  });

  test('takes arrows and Esc', async () => {
    const { app, store, shown } = open();
    await expect.poll(shown).toContain('K7M2QX');
    app.stdin.write('\u001b[C');
    await expect.poll(() => store.state().stacks.approvals.length).toBe(2);
    app.stdin.write('\u001b');
    await expect.poll(() => store.state().stacks.approvals.length).toBe(1);
  });

  test('asks to be ended by Ctrl-C', async () => {
    const { app, effects, shown } = open();
    await expect.poll(shown).toContain('K7M2QX');
    app.stdin.write('\u0003');
    await expect.poll(() => effects.at(-1)).toEqual({ kind: 'quit' });
  });
});
