import { contentSize } from './layout.ts';
import { fitLine, line, span, widthOfLine } from './line.ts';
import type { Line } from './model.ts';
import { actionsOf } from './reduce-keys.ts';
import { fieldsOf } from './reduce-form.ts';
import { selectedRow } from './layout.ts';
import { SCREEN, SCREENS } from './screens.ts';
import { currentPage, stackOf, type State } from './state.ts';

type KeyHelp = readonly [keys: string, what: string];

const EVERYWHERE: readonly KeyHelp[] = [
  ['1 – 9, Tab', 'another screen'],
  ['↑ ↓, j k', 'up and down'],
  ['PgUp PgDn, b Space', 'a page up and down'],
  ['g G, Home End', 'to the first and the last'],
  ['Enter, →', 'open what is chosen'],
  ['Esc, ←', 'back, or take the filter or a message away'],
  ['/', 'filter the list'],
  ['w', 'another workspace'],
  ['r', 'look again now'],
  ['?', 'this help'],
  ['q', 'back; on the first page: leave'],
  ['Ctrl-C', 'leave at once'],
];

/** All keys: of this page first, then of every page. */
export function drawHelp(state: State): readonly Line[] {
  const { columns } = contentSize(state.size);
  const here = actionsOf(state).map(({ key, label }): KeyHelp => [key, label]);
  const screens = SCREENS.map((name, index): KeyHelp => [
    `${index + 1} ${SCREEN[name].label}`,
    SCREEN[name].about,
  ]);
  const parts: readonly (readonly [string, readonly KeyHelp[]])[] = [
    ...(here.length === 0 ? [] : [['On this page', here] as const]),
    ['Everywhere', EVERYWHERE],
    ['Screens', screens],
    ['In a form', FORM],
  ];
  return parts.flatMap(([title, keys]) => [
    [],
    line(`  ${title}`, 'strong'),
    ...keys.map(([key, what]): Line =>
      fitLine([span('    '), ...fitLine([span(key, 'accent')], 20), span(what)], columns),
    ),
  ]);
}

const FORM: readonly KeyHelp[] = [
  ['Enter, Tab', 'the next field; it never does anything that cannot be undone'],
  ['Shift-Tab, ↑', 'the field before'],
  ['↑ ↓, typing', 'choose from a list, narrow it'],
  ['y, or the word', 'do it: pasted text and bursts of keys are not taken for that'],
  ['Esc', 'leave it; nothing is done'],
];

/** The keys of what is shown now, the most wanted first; what does not fit is in the help. */
export function footerLine(state: State): Line {
  const keys = footerKeys(state);
  const { columns } = state.size;
  const parts: Line[] = [];
  let used = 1;
  for (const [key, what] of keys) {
    const part: Line = [span(key, 'accent'), span(` ${what}  `)];
    if (used + widthOfLine(part) > columns) continue;
    used += widthOfLine(part);
    parts.push(part);
  }
  return [span(' '), ...parts.flat()];
}

function footerKeys(state: State): readonly KeyHelp[] {
  const { dialog, isFiltering } = state;
  if (dialog?.kind === 'form') {
    const isLast = dialog.at >= fieldsOf(dialog).length;
    return isLast
      ? [
          ['Esc', 'leave it'],
          ['Shift-Tab', 'back to the fields'],
        ]
      : [
          ['Enter', 'next'],
          ['Esc', 'leave it'],
          ['Shift-Tab', 'back'],
          ['Ctrl-U', 'empty the field'],
        ];
  }
  if (dialog !== null)
    return [
      ['Esc', 'close'],
      ['↑ ↓', 'scroll'],
    ];
  if (isFiltering)
    return [
      ['type', 'to filter'],
      ['Enter', 'keep it'],
      ['Esc', 'show all'],
    ];
  const page = currentPage(state);
  const isTable = page.model?.table != null;
  const opens = selectedRow(page)?.open !== undefined;
  return [
    ['?', 'help'],
    ['q', stackOf(state).length > 1 ? 'back' : 'quit'],
    ...(opens ? [['Enter', 'open'] as const] : []),
    ...actionsOf(state).map(({ key, label }): KeyHelp => [key, label]),
    ...(isTable ? [['/', 'filter'] as const] : [['Space', 'page down'] as const]),
    ['w', 'workspace'],
  ];
}
