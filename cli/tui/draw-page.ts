import { COLUMN_GAP, fitColumns, type Fitted } from './fit-columns.ts';
import {
  agoOf,
  contentSize,
  headLines,
  pageLines,
  selectedIndex,
  shownRows,
  viewRows,
} from './layout.ts';
import { fitLine, line, span, widthOfText } from './line.ts';
import type { Cell, Line, Row, Span, Table, TableColumn } from './model.ts';
import { PAGE } from './pages/index.ts';
import { currentPage, type Failure, type PageState, type State } from './state.ts';
import { wrapWords } from './wrap.ts';

export function drawPage(state: State): readonly Line[] {
  const page = currentPage(state);
  const { columns } = contentSize(state.size);
  if (page.model === null) {
    if (page.failure !== null) return failureLines(page, columns);
    return [[], line(`  Loading ${PAGE[page.ref.page].title.toLowerCase()} …`, 'dim')];
  }
  const stale = page.failure === null ? [] : [staleLine(page.failure)];
  const { table } = page.model;
  if (table === null) return [...stale, ...textView(page, state)];
  const above = headLines(page, state);
  const blank: readonly Line[] = above.length > 0 ? [[]] : [];
  return [...stale, ...above, ...blank, ...tableView(table, page, state)];
}

function staleLine({ message }: Failure): Line {
  return line(`! Not up to date: ${message}`, 'warn');
}

/** Kind words where a page cannot be had from here. */
function failureLines({ failure, ref }: PageState, columns: number): readonly Line[] {
  if (failure === null) return [];
  const { listener, title } = PAGE[ref.page];
  const isElsewhere = failure.kind === 'missing' && listener === 'admin';
  const words = isElsewhere
    ? [
        `${title} is on the admin listener only, and what answers here has no such page.`,
        '',
        'Start with --admin-url <url>, or run this on the machine of the runtime, where the admin listener is found by itself.',
      ]
    : [
        failure.message,
        '',
        ...(failure.hint === null ? [] : [failure.hint]),
        ...ADVICE[failure.kind],
      ];
  const tone = isElsewhere ? 'plain' : 'bad';
  return [
    [],
    ...words.flatMap((text, index) =>
      wrapWords(text, columns - 4).map((part) => line(`  ${part}`, index === 0 ? tone : 'plain')),
    ),
    [],
    line('  r tries again.', 'dim'),
  ];
}

const ADVICE: Readonly<Record<Failure['kind'], readonly string[]>> = {
  missing: [],
  denied: ['Your role or your key does not allow this; an admin can change that under Users.'],
  away: ['It is tried again by itself.'],
  other: [],
};

function textView(page: PageState, state: State): readonly Line[] {
  const lines = pageLines(page, state);
  const height = viewRows(page, state);
  const { columns } = contentSize(state.size);
  const shown = lines.slice(page.top, page.top + height);
  if (lines.length <= height) return shown;
  // At the right edge, so that not a line of the text is lost to it.
  const thumb = Math.round((page.top / Math.max(1, lines.length - height)) * (height - 1));
  return shown.map((each, index) => [
    ...fitLine(each, columns - 1),
    span(index === thumb ? '█' : '│', 'dim'),
  ]);
}

function tableView(table: Table, page: PageState, state: State): readonly Line[] {
  const rows = shownRows(page);
  const filter = filterLine(page, state);
  if (rows.length === 0) {
    const words =
      table.rows.length === 0
        ? table.empty
        : [`None of ${table.rows.length} contains “${page.filter}”.`, 'Esc takes the filter away.'];
    const { columns } = contentSize(state.size);
    return [
      ...(filter === null ? [] : [filter]),
      ...(page.model?.blocks.length === 0 ? [[]] : []),
      ...words.flatMap((text, index) =>
        wrapWords(text, columns - 4).map((part) =>
          line(`  ${part}`, index === 0 ? 'plain' : 'dim'),
        ),
      ),
    ];
  }
  const { columns } = contentSize(state.size);
  const fitted = fittedOf(table, columns - 2);
  const height = viewRows(page, state);
  const chosen = selectedIndex(page);
  const ago = agoOf(state.nowMs);
  const count = rows.length > height ? `  ${chosen + 1} of ${rows.length}` : '';
  const head = filter ?? headLine(table.columns, fitted, { count, columns });
  const body = rows
    .slice(page.top, page.top + height)
    .map((row, index) => rowLine(row, fitted, { isChosen: page.top + index === chosen, ago }));
  return [head, ...body];
}

function filterLine(page: PageState, { isFiltering }: State): Line | null {
  if (!isFiltering && page.filter === '') return null;
  const found = shownRows(page).length;
  const cursor = isFiltering ? '█' : '';
  return [
    span('/', 'accent'),
    span(`${page.filter}${cursor}`, 'strong'),
    span(`  ${found} found${isFiltering ? '' : ', Esc shows all'}`, 'dim'),
  ];
}

const natural = new WeakMap<Table, readonly number[]>();
/** As wide as "59 min ago". */
const TIME_WIDTH = 10;

/** By the widest of all rows, so that columns stay where they are while one moves through a long list. */
function fittedOf(table: Table, width: number): readonly Fitted[] {
  const widths = natural.get(table) ?? widthsOf(table);
  natural.set(table, widths);
  return fitColumns(table.columns, widths, width);
}

const CELL_WIDTH_MAX = 400;

function widthsOf({ columns, rows }: Table): readonly number[] {
  return columns.map((_column, index) =>
    rows.reduce((widest, { cells }) => {
      const cell = cells[index];
      if (cell === undefined) return widest;
      const width = cell.at === undefined ? widthOfText(cell.text) : TIME_WIDTH;
      return Math.max(widest, Math.min(width, CELL_WIDTH_MAX));
    }, 0),
  );
}

function headLine(
  columns: readonly TableColumn[],
  fitted: readonly Fitted[],
  { count, columns: width }: { readonly count: string; readonly columns: number },
): Line {
  const titles = fitted.flatMap(({ index, width: room }, place): Line => [
    ...fitLine([span(columns[index]?.title ?? '', 'dim')], room),
    gap(place === fitted.length - 1),
  ]);
  const left = fitLine([span('  '), ...titles], width - widthOfText(count));
  return [...left, span(count, 'dim')];
}

interface RowLook {
  readonly isChosen: boolean;
  readonly ago: (iso: string) => string;
}

function rowLine({ cells }: Row, fitted: readonly Fitted[], { isChosen, ago }: RowLook): Line {
  const shown = fitted.flatMap(({ index, width }, place): Line => {
    const cell: Cell = cells[index] ?? { text: '' };
    const text = cell.at === undefined ? cell.text : ago(cell.at);
    const tone = cell.tone ?? (isChosen ? 'strong' : 'plain');
    return [...fitLine([span(text, tone)], width), gap(place === fitted.length - 1)];
  });
  return [span(isChosen ? '▸ ' : '  ', 'accent'), ...shown];
}

function gap(isLast: boolean): Span {
  return span(' '.repeat(isLast ? 0 : COLUMN_GAP));
}
