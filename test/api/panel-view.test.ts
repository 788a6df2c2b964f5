import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { columnChart } from '../../api/panel/chart.ts';
import { editsIn } from '../../api/panel/edits.ts';
import { html, line, textOf, verbatim } from '../../api/panel/markup.ts';
import { payloadView } from '../../api/panel/payload.ts';
import { safeNext } from '../../api/panel/respond.ts';
import { dollars, duration, shortCount } from '../../api/panel/words.ts';
import { EVENT_TYPES } from '../../domain/event.ts';

describe('text of others', () => {
  test.each([
    ['<b>&"\'</b>', '&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;'],
    ['a\tb\nc', 'a\tb\nc'],
    ['a\u001b[31mb', 'a<span class="unseen">U+001B</span>[31mb'],
    ['safe\u202Etxt.exe', 'safe<span class="unseen">U+202E</span>txt.exe'],
    ['x\u200b\u200b\u200by', 'x<span class="unseen">U+200B×3</span>y'],
    ['\u{e0041}', '<span class="unseen">U+E0041</span>'],
    ['häß 漢字 🪺', 'häß 漢字 🪺'],
  ])('%j shows all there is', (text, expected) => {
    expect(textOf(verbatim(text))).toBe(expected);
  });

  test('a name is one line, and is text in an attribute too', () => {
    expect(textOf(line('a\n\n b'))).toBe('a b');
    const name = '" onfocus="alert(1)';
    expect(textOf(html`<i title="${name}"></i>`)).toBe(
      '<i title="&quot; onfocus=&quot;alert(1)"></i>',
    );
  });

  test('half a million characters that do not show is shown in a moment', () => {
    const startedAt = performance.now();
    const text = textOf(verbatim('\u200b\u200c'.repeat(250_000)));
    expect(text.endsWith('U+200C</span>')).toBe(true);
    // Idle it takes a tenth of this.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

function hook(input: unknown): string {
  return JSON.stringify({ tool: 'Edit', input });
}

/** Texts that have little in common, which take long to compare. */
function textFrom(seed: number): string {
  return Array.from({ length: 8_000 }, (_, index) => `${(index * seed) % 7_919}\n`).join('');
}

describe('edits', () => {
  test.each([
    ['Claude Code', { file_path: '/a.ts', old_string: 'one\n', new_string: 'two\n' }],
    ['MultiEdit', { file_path: '/a.ts', edits: [{ old_string: 'one\n', new_string: 'two\n' }] }],
    ['an editor of text', { path: '/a.ts', old_str: 'one\n', new_str: 'two\n' }],
  ])('of %s are a difference with the path', (_name, input) => {
    const [edit, ...others] = editsIn(hook(input));
    expect(others).toEqual([]);
    expect(edit?.path).toBe('/a.ts');
    expect(edit?.hunks?.[0]?.lines).toEqual(['-one', '+two']);
  });

  test.each([
    ['no JSON', 'rm -rf /'],
    ['a command', hook({ command: 'make' })],
    ['half of one', hook({ old_string: 'x' })],
    ['no texts', hook({ old_string: 1, new_string: {} })],
    ['nothing', 'null'],
    ['a well without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('are none in %s', (_name, payload) => {
    expect(editsIn(payload)).toEqual([]);
  });

  test('that are too large, or too many to compare in time, say so', () => {
    const large = { old_string: 'a\n'.repeat(200_000), new_string: 'b\n' };
    expect(editsIn(hook(large))).toEqual([{ path: null, hunks: null }]);
    const edits = Array.from({ length: 60 }, () => ({
      old_string: textFrom(3),
      new_string: textFrom(5),
    }));
    const startedAt = performance.now();
    const found = editsIn(hook({ edits }));
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect([found.length, found.at(-1)?.hunks]).toEqual([50, null]);
  });
});

describe('a payload', () => {
  test('that is no JSON is shown as it is', () => {
    expect(textOf(payloadView('<not json>'))).toContain('&lt;not json&gt;');
  });

  test('keeps in sight what an edit has beside its texts', () => {
    const input = {
      file_path: '/a',
      old_string: 'x'.repeat(100),
      new_string: 'y'.repeat(100),
      replace_all: true,
      comment: 'z'.repeat(200),
    };
    const hookPayload = JSON.stringify({ tool: 'Edit', input });
    const text = textOf(payloadView(JSON.stringify({ kind: 'permission', hookPayload })));
    const [before = ''] = text.split('<details>');
    for (const words of ['replace_all', 'z'.repeat(200), '/a']) expect(before).toContain(words);
  });

  test('nested without end is shown whole all the same', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const hookPayload = `{"tool":"x","input":{"deep":${deep}}}`;
    const text = textOf(payloadView(JSON.stringify({ kind: 'permission', hookPayload })));
    expect(text).toContain(deep);
  });
});

test('numbers are short and say their unit', () => {
  expect([0, 999, 61_000, 7_200_000, 172_800_000].map(duration)).toEqual([
    '0 s',
    '0 s',
    '1 min',
    '2 h',
    '2 d',
  ]);
  expect([0, 1_234, 1_234_567].map(dollars)).toEqual(['$0.00', '$0.0012', '$1.23']);
  expect(shortCount(1_250_000)).toBe('1.3m');
});

test('a chart of nothing is drawn, and one of much stays in its frame', () => {
  expect(textOf(columnChart('None', []))).toContain('<svg');
  const bars = [0, 5, 1e15].map((value) => ({ label: 'x', value, words: String(value) }));
  const heights = [...textOf(columnChart('Much', bars)).matchAll(/height="([\d.]+)"/g)];
  expect(heights.map(([, height]) => Number(height))).toEqual([0, 0, 148]);
});

test.each([
  ['/', '/'],
  ['/panel/w/default/agents?show=all&q=a', '/panel/w/default/agents?show=all&q=a'],
  ['/panel/../v1/keys', '/'],
  ['/panel/login', '/'],
  ['//x', '/'],
  ['/\\x', '/'],
  ['/panel/x\ny', '/'],
])('after signing in, %j leads to %j', (next, expected) => {
  expect(safeNext(next)).toBe(expected);
});

test('the page listens to kinds of events that there are', async () => {
  const path = join(import.meta.dirname, '..', '..', 'api', 'panel', 'public', 'live.js');
  const list = /const TYPES = \[([^\]]+)\]/.exec(await readFile(path, 'utf8'))?.[1] ?? '';
  const types = [...list.matchAll(/'([^']+)'/g)].map(([, type]) => type);
  expect(types.length).toBeGreaterThan(20);
  expect(types.filter((type) => !EVENT_TYPES.some((known) => known === type))).toEqual([]);
});
