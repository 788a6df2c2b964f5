import { relative } from '../text.ts';
import { span } from './line.ts';
import type { Line, Row } from './model.ts';
import type { PageState, Size, State } from './state.ts';
import { linesOf } from './wrap.ts';

export const SIDEBAR_WIDTH = 16;
/** From here on a sidebar leaves a page more than 80 columns. */
const SIDEBAR_FROM_COLUMNS = 100;
/** Below this nothing can be drawn that anybody could decide upon. */
export const COLUMNS_MIN = 40;
export const ROWS_MIN = 12;

export function hasSidebar({ columns }: Size): boolean {
  return columns >= SIDEBAR_FROM_COLUMNS;
}

/** What is left for a page between header and footer. */
export function contentSize(size: Size): Size {
  const rows = size.rows - (hasSidebar(size) ? 4 : 5);
  const columns = hasSidebar(size) ? size.columns - SIDEBAR_WIDTH - 3 : size.columns;
  return { columns, rows };
}

export function agoOf(nowMs: number): (iso: string) => string {
  return (iso) => relative(iso, nowMs);
}

/** The lines above a table, or all of a page that is read. */
export function pageLines(page: PageState, state: State): readonly Line[] {
  if (page.model === null) return [];
  const { columns } = contentSize(state.size);
  // Nothing of a text is behind the bar that says how much of it is in view.
  const room = page.model.table === null ? columns - 2 : columns;
  return linesOf(page.model.blocks, room, agoOf(state.nowMs));
}

/** Rows of a table that the filter lets through. */
export function shownRows({ model, filter }: PageState): readonly Row[] {
  const rows = model?.table?.rows ?? [];
  if (filter === '') return rows;
  const wanted = filter.toLowerCase();
  return rows.filter(({ cells }) =>
    cells.some(({ text, at }) => (at ?? text).toLowerCase().includes(wanted)),
  );
}

/** At most half of a page is above its table, so that a row can always be chosen. */
export function headLines(page: PageState, state: State): readonly Line[] {
  const { rows } = contentSize(state.size);
  const lines = pageLines(page, state);
  const most = Math.floor(rows / 2);
  if (lines.length <= most) return lines;
  const more = [span(`… ${lines.length - most + 1} more lines: make the window taller`, 'dim')];
  return [...lines.slice(0, most - 1), more];
}

/** How many rows of a table, or lines of a text, are in view. */
export function viewRows(page: PageState, state: State): number {
  const { rows } = contentSize(state.size);
  if (page.model?.table == null) return rows;
  const above = headLines(page, state).length;
  return Math.max(1, rows - above - (above > 0 ? 1 : 0) - 1);
}

export function selectedIndex(page: PageState): number {
  const index = shownRows(page).findIndex(({ id }) => id === page.selected);
  return Math.max(0, index);
}

export function selectedRow(page: PageState): Row | null {
  return shownRows(page)[selectedIndex(page)] ?? null;
}

/** The first row in view, so that the chosen one is too. */
export function keepInView(top: number, index: number, height: number): number {
  if (index < top) return index;
  return index >= top + height ? index - height + 1 : top;
}

/** How many lines of a text there are, and how far it can be moved. */
export function textExtent(page: PageState, state: State) {
  const total = pageLines(page, state).length;
  const height = viewRows(page, state);
  return { total, height, topMax: Math.max(0, total - height) };
}
