import type { TableColumn } from './model.ts';

export interface Fitted {
  readonly index: number;
  readonly width: number;
}

export const COLUMN_GAP = 2;
/** Less of a text than this says nothing: rather another column goes. */
const CUT_WIDTH_WANTED = 24;
const CUT_WIDTH_MIN = 6;

/** Which columns fit, and how wide each is then: what matters least is left out, then what may be cut is cut. */
export function fitColumns(
  columns: readonly TableColumn[],
  widths: readonly number[],
  room: number,
): readonly Fitted[] {
  let shown = columns.map(({ title }, index) => ({
    index,
    width: Math.max(title.length, widths[index] ?? 0),
  }));
  const canCut = (index: number): boolean => columns[index]?.cut === true;
  const leastOf = ({ index, width }: Fitted): number =>
    canCut(index) ? Math.min(width, CUT_WIDTH_WANTED) : width;
  const gaps = (): number => COLUMN_GAP * (shown.length - 1);
  const least = (): number => shown.reduce((sum, each) => sum + leastOf(each), gaps());
  while (least() > room) {
    const next = leastImportant(columns, shown);
    if (next === null) break;
    shown = shown.filter(({ index }) => index !== next);
  }
  for (;;) {
    const excess = shown.reduce((sum, { width }) => sum + width, gaps()) - room;
    const widest = shown
      .filter(({ index, width }) => canCut(index) && width > CUT_WIDTH_MIN)
      .toSorted((left, right) => right.width - left.width)[0];
    if (excess <= 0 || widest === undefined) return shown;
    const second = shown.reduce(
      (most, { index, width }) =>
        canCut(index) && index !== widest.index ? Math.max(most, width) : most,
      CUT_WIDTH_MIN,
    );
    // Down to the next widest at once, then in turns: both lose the same in the end.
    widest.width -= Math.max(1, Math.min(excess, widest.width - second));
  }
}

function leastImportant(columns: readonly TableColumn[], shown: readonly Fitted[]): number | null {
  const droppable = shown
    .flatMap(({ index }) => {
      const drop = columns[index]?.drop;
      return drop === undefined ? [] : [{ index, drop }];
    })
    .toSorted((left, right) => left.drop - right.drop);
  return droppable[0]?.index ?? null;
}
