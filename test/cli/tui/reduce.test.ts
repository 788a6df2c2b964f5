import { describe, expect, test } from 'vitest';
import type { Field, Model, Row } from '../../../cli/tui/model.ts';
import { selectedRow } from '../../../cli/tui/layout.ts';
import { currentPage, type State } from '../../../cli/tui/state.ts';
import { doing, PRESS, to, typing } from '../../../cli/tui/pages/part.ts';
import { frame, key, loaded, NOW, press, run, start, typed } from './support.ts';

function rows(count: number): readonly Row[] {
  return Array.from({ length: count }, (_each, index) => ({
    id: `row-${index}`,
    cells: [{ text: `name-${index}` }, { text: index % 2 === 0 ? 'even' : 'odd' }],
    open: to('approval', { id: `row-${index}` }),
  }));
}

function listOf(count: number, actions: Model['actions'] = []): Model {
  const columns = [{ title: 'NAME', cut: true }, { title: 'PARITY' }];
  return {
    title: 'List',
    blocks: [],
    table: { columns, rows: rows(count), empty: ['None.'] },
    actions,
  };
}

function textOf(lines: number, actions: Model['actions'] = []): Model {
  const text = Array.from({ length: lines }, (_each, index) => `line ${index + 1}`).join('\n');
  return { title: 'Text', blocks: [{ kind: 'quote', text }], table: null, actions };
}

function action(confirm: typeof PRESS | ReturnType<typeof typing>, needsReading = false) {
  return doing({
    key: 'x',
    label: 'do it',
    needsReading,
    ask: { title: 'Really', words: [], fields: [], confirm, verb: 'do it' },
    busy: 'Doing',
    run: async () => ({ words: 'Done.' }),
  });
}

function isRun(state: State, ...names: readonly string[]): boolean {
  return press(state, ...names).effects.some(({ kind }) => kind === 'run');
}

describe('moving', () => {
  test('goes down, up, by pages and to both ends, and stays inside', () => {
    const state = loaded(start(), listOf(100));
    const chosen = (...names: string[]) =>
      selectedRow(currentPage(press(state, ...names).state))?.id;
    expect(chosen('j', 'j', 'k')).toBe('row-1');
    expect(chosen('up')).toBe('row-0');
    expect(chosen('G', 'down')).toBe('row-99');
    expect(chosen('pagedown')).toBe('row-17');
    expect(chosen('end', 'g')).toBe('row-0');
  });

  test('keeps the chosen row in view, also in a smaller window', () => {
    const state = press(loaded(start(), listOf(100)), 'G').state;
    expect(frame(state)).toContain('▸ name-99');
    const small = run(state, { kind: 'resized', size: { columns: 60, rows: 14 } }).state;
    expect(frame(small)).toContain('▸ name-99');
    expect(frame(small).split('\n')).toHaveLength(14);
  });

  test('stays with what was chosen when the list changes, and goes to its neighbour when that is gone', () => {
    const state = press(loaded(start(), listOf(10)), 'j', 'j').state;
    const [first, ...rest] = rows(10);
    const model = listOf(10);
    if (model.table === null || first === undefined) throw new Error('A table.');
    const moved = { ...model, table: { ...model.table, rows: [...rest, first] } };
    expect(selectedRow(currentPage(loaded(state, moved)))?.id).toBe('row-2');
    const without = rest.filter(({ id }) => id !== 'row-2');
    const gone = { ...model, table: { ...model.table, rows: [first, ...without] } };
    expect(selectedRow(currentPage(loaded(state, gone)))?.id).toBe('row-3');
  });
});

describe('pages', () => {
  test('are opened and left, and an answer for one that was left is dropped', () => {
    const list = loaded(start(), listOf(3));
    const opened = press(list, 'enter');
    expect(opened.effects).toMatchObject([
      { kind: 'load', ref: { page: 'approval', params: { id: 'row-0' } } },
    ]);
    const pageId = currentPage(opened.state).id;
    const back = press(opened.state, 'q').state;
    const late = run(back, { kind: 'loaded', pageId, model: textOf(1) }).state;
    expect(currentPage(late).model?.title).toBe('List');
  });

  test('are looked at again when something happens to them, once more if that is while they load', () => {
    const state = loaded(start(), listOf(1));
    const happened = { kind: 'happened', type: 'approval.decided' } as const;
    const first = run(state, happened);
    expect(first.effects.map(({ kind }) => kind)).toEqual(['load', 'count-approvals']);
    const second = run(first.state, happened);
    expect(second.effects.map(({ kind }) => kind)).toEqual(['count-approvals']);
    const pageId = currentPage(state).id;
    expect(run(second.state, { kind: 'loaded', pageId, model: listOf(2) }).effects).toMatchObject([
      { kind: 'load' },
    ]);
    expect(run(state, { kind: 'happened', type: 'model.budget_reached' }).effects).toEqual([]);
  });

  test('are asked again and again only while nothing tells of news', () => {
    const state = loaded(start(), listOf(1));
    const later = { kind: 'tick', nowMs: NOW + 6_000 } as const;
    const live = run(state, { kind: 'link', link: { kind: 'live' } }).state;
    const settled = loaded(live, listOf(1));
    expect(run(settled, later).effects).toEqual([]);
    const polling = run(settled, {
      kind: 'link',
      link: { kind: 'polling', why: 'No stream.' },
    }).state;
    expect(run(polling, later).effects).toMatchObject([{ kind: 'load' }]);
  });

  test('that cannot be had say so in kind words', () => {
    const failure = { message: 'Not found.', hint: null, kind: 'missing' } as const;
    const state = start('users');
    const pageId = currentPage(state).id;
    const shown = frame(run(state, { kind: 'load-failed', pageId, failure }).state);
    expect(shown).toContain('Users is on the admin listener only');
    expect(shown).not.toContain('Not found.');
  });

  test('keep what was seen where a later look fails', () => {
    const state = loaded(start(), listOf(2));
    const failure = { message: 'Nothing answers.', hint: null, kind: 'away' } as const;
    const pageId = currentPage(state).id;
    const shown = frame(run(state, { kind: 'load-failed', pageId, failure }).state);
    expect(shown).toContain('Not up to date: Nothing answers.');
    expect(shown).toContain('name-1');
  });
});

describe('the filter', () => {
  test('narrows while it is typed, and Esc shows all again', () => {
    const state = typed(press(loaded(start(), listOf(20)), '/').state, 'name-1');
    expect(frame(state)).toContain('11 found');
    const kept = press(state, 'enter').state;
    expect(frame(kept)).toContain('Esc shows all');
    expect(currentPage(press(kept, 'escape').state).filter).toBe('');
  });

  test('takes letters that are keys elsewhere, and a paste, as text', () => {
    const state = typed(press(loaded(start(), listOf(3)), '/').state, 'qx');
    expect(currentPage(state).filter).toBe('qx');
    const pasted = run(state, { kind: 'pasted', text: ' y\nz ' }).state;
    expect(currentPage(pasted).filter).toBe('qxy z');
  });
});

describe('what changes something', () => {
  test('is done by y, and by nothing that is pressed by habit', () => {
    const state = loaded(start(), textOf(3, [action(PRESS)]));
    expect(isRun(state, 'x', 'enter', 'enter', 'space')).toBe(false);
    expect(isRun(state, 'x', 'escape', 'y')).toBe(false);
    expect(isRun(state, 'x', 'n', 'y')).toBe(false);
    expect(isRun(state, 'x', 'y')).toBe(true);
  });

  test('and cannot be undone wants its word, letter by letter', () => {
    const state = loaded(start(), textOf(3, [action(typing('stop'))]));
    expect(isRun(state, 'x', 'y')).toBe(false);
    expect(isRun(state, 'x', 'enter')).toBe(false);
    expect(isRun(state, 'x', 's', 't', 'o', 'enter')).toBe(false);
    expect(isRun(state, 'x', 's', 't', 'o', 'p', 'enter')).toBe(true);
  });

  test('is never done by a paste, nor by keys that came in one chunk', () => {
    const state = loaded(start(), textOf(3, [action(PRESS)]));
    expect(run(state, { kind: 'pasted', text: 'x' }).state.dialog).toBeNull();
    const asked = press(state, 'x').state;
    expect(run(asked, { kind: 'pasted', text: 'y' }).effects).toEqual([]);
    const burst = run(asked, { kind: 'keys', keys: [key('y', false), key('y', false)] });
    expect(burst.effects).toEqual([]);
    const word = press(loaded(start(), textOf(3, [action(typing('stop'))])), 'x').state;
    expect(run(word, { kind: 'pasted', text: 'stop' }).state.dialog).toMatchObject({ typed: '' });
  });

  test('waits for the end of what is being done', () => {
    const state = press(loaded(start(), textOf(3, [action(PRESS)])), 'x', 'y').state;
    expect(frame(state)).toContain('Doing…');
    expect(isRun(state, 'x', 'y')).toBe(false);
    const outcome = { words: 'Done.' };
    const after = run(state, { kind: 'done', pageId: 1, outcome });
    expect(frame(after.state)).toContain('✓ Done.');
    expect(after.effects).toMatchObject([{ kind: 'load' }]);
    expect(isRun(after.state, 'x', 'y')).toBe(true);
  });

  test('says the words of the problem where it fails', () => {
    const state = press(loaded(start(), textOf(3, [action(PRESS)])), 'x', 'y').state;
    const failure = { message: 'You may not.', hint: 'Ask an admin.', kind: 'denied' } as const;
    expect(frame(run(state, { kind: 'failed', failure }).state)).toContain(
      '✗ You may not. Ask an admin.',
    );
  });

  test('says them whole, over the end of the page where they are long', () => {
    const state = loaded(start(), listOf(100));
    const message = `${'The network refused the token, and it said why. '.repeat(4)}END`;
    const failure = { message, hint: null, kind: 'other' } as const;
    const text = frame(run(state, { kind: 'failed', failure }).state);
    expect(text).toContain('END');
    expect(text.split('\n')).toHaveLength(24);
    expect(text).toContain('? help');
  });

  test('tells who did not read on that there is more', () => {
    const state = loaded(start(), textOf(60, [action(PRESS, true)]));
    expect(frame(press(state, 'x').state)).toContain('You have seen 19 of its 60 lines.');
    expect(frame(press(state, 'G', 'x').state)).not.toContain('You have seen');
  });
});

describe('a form', () => {
  const fields = [
    {
      name: 'role',
      label: 'Role',
      kind: 'choice',
      options: ['viewer', 'operator', 'admin'].map((value) => ({ value, label: value })),
    },
    { name: 'secret', label: 'Secret', kind: 'secret' },
    { name: 'why', label: 'Why', kind: 'text', unless: ({ role = '' }) => role === 'viewer' },
  ] as const satisfies readonly Field[];
  const model = textOf(1, [
    doing({
      key: 'x',
      label: 'do it',
      ask: { title: 'Form', words: [], fields, confirm: PRESS, verb: 'do it' },
      busy: 'Doing',
      run: async () => ({ words: '' }),
    }),
  ]);

  test('chooses by arrows and by typing, and leaves out what does not apply', () => {
    const opened = press(loaded(start(), model), 'x').state;
    expect(press(opened, 'down').state.dialog).toMatchObject({ values: { role: 'operator' } });
    const narrowed = typed(opened, 'adm');
    expect(narrowed.dialog).toMatchObject({ values: { role: 'admin' } });
    expect(frame(narrowed)).not.toContain('operator');
    expect(frame(opened)).not.toContain('Why');
    expect(frame(narrowed)).toContain('Why');
  });

  test('hides a secret, also when it is pasted, and takes the line end off it', () => {
    const at = press(loaded(start(), model), 'x', 'enter').state;
    const filled = run(at, { kind: 'pasted', text: 'hunter2-token\n' }).state;
    expect(filled.dialog).toMatchObject({ values: { secret: 'hunter2-token' } });
    expect(frame(filled)).not.toContain('hunter2');
    expect(frame(press(filled, 'enter').state)).not.toContain('hunter2');
  });

  test('does not go on with an empty field, and goes back to the one before', () => {
    const at = press(loaded(start(), model), 'x', 'enter', 'enter').state;
    expect(at.dialog).toMatchObject({ at: 1, problem: 'It cannot be empty.' });
    expect(press(at, 'backtab').state.dialog).toMatchObject({ at: 0 });
  });

  test('sends what was answered', () => {
    const state = typed(press(loaded(start(), model), 'x', 'down', 'enter').state, 's3');
    const done = press(typed(press(state, 'enter').state, 'me'), 'enter', 'y');
    expect(done.effects).toMatchObject([
      { kind: 'run', values: { role: 'operator', secret: 's3', why: 'me' } },
    ]);
  });
});

describe('the program', () => {
  test('is left by q on a first page and by Ctrl-C everywhere', () => {
    const state = loaded(start(), listOf(1));
    expect(press(state, 'q').effects).toEqual([{ kind: 'quit' }]);
    expect(press(state, '?', 'ctrl-c').effects).toEqual([{ kind: 'quit' }]);
  });

  test('goes to screens by number and Tab', () => {
    expect(press(start(), '2').state.screen).toBe('agents');
    expect(press(start(), 'tab', 'tab').state.screen).toBe('workspaces');
    expect(press(start(), 'backtab').state.screen).toBe('access');
  });

  test('forgets what it saw when it goes to another workspace', () => {
    const state = loaded(start(), listOf(5));
    const outcome = { words: '', next: { workspace: { id: 'wsp_2', slug: 'lab', name: 'Lab' } } };
    const step = run(state, { kind: 'done', pageId: 1, outcome });
    expect(step.effects.map(({ kind }) => kind)).toEqual([
      'enter-workspace',
      'load',
      'count-approvals',
    ]);
    expect(currentPage(step.state).model).toBeNull();
    expect(frame(step.state)).toContain('lab');
  });
});
