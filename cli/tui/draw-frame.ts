import { PAGE } from './pages/index.ts';
import { drawForm } from './draw-form.ts';
import { drawHelp, footerLine } from './draw-help.ts';
import { drawPage } from './draw-page.ts';
import { COLUMNS_MIN, contentSize, hasSidebar, ROWS_MIN, SIDEBAR_WIDTH } from './layout.ts';
import { fitLine, line, span, spread, widthOfLine } from './line.ts';
import type { Line, Span } from './model.ts';
import { SCREEN, SCREENS, type ScreenName } from './screens.ts';
import { currentPage, stackOf, type Link, type Notice, type State } from './state.ts';
import { linesOf, wrapWords } from './wrap.ts';

/** The whole screen, exactly as large as the window. */
export function drawFrame(state: State): readonly Line[] {
  const { columns, rows } = state.size;
  if (columns < COLUMNS_MIN || rows < ROWS_MIN) {
    const words = `Rookery needs ${COLUMNS_MIN}×${ROWS_MIN}; this window is ${columns}×${rows}. q leaves.`;
    return padTo([line(words)], rows).map((each) => fitLine(each, columns));
  }
  const content = drawContent(state);
  const body = hasSidebar(state.size) ? beside(state, content) : content;
  const tabs = hasSidebar(state.size) ? [] : [tabLine(state)];
  const notice = noticeLines(state);
  return [
    headerLine(state),
    ...tabs,
    rule(state),
    // Words that do not fit into one line are read over the end of the page.
    ...body.slice(0, body.length + 1 - notice.length),
    ...notice,
    footerLine(state),
  ].map((each) => fitLine(each, columns));
}

function drawContent(state: State): readonly Line[] {
  const { columns, rows } = contentSize(state.size);
  const { dialog } = state;
  const lines =
    dialog === null
      ? drawPage(state)
      : dialog.kind === 'form'
        ? drawForm(state, dialog)
        : scrolled(
            dialog.kind === 'help' ? drawHelp(state) : linesOf(dialog.blocks, columns, () => ''),
            { top: dialog.top, rows },
          );
  return padTo(lines.slice(0, rows), rows);
}

function scrolled(
  lines: readonly Line[],
  { top, rows }: { readonly top: number; readonly rows: number },
): readonly Line[] {
  const first = Math.min(top, Math.max(0, lines.length - rows));
  return lines.slice(first, first + rows);
}

function padTo(lines: readonly Line[], rows: number): readonly Line[] {
  return [...lines, ...Array.from({ length: Math.max(0, rows - lines.length) }, (): Line => [])];
}

function headerLine(state: State): Line {
  const { who, workspace, link, size } = state;
  const right: Line = [span(who), span('  '), ...linkSpans(link), span(' ')];
  const place = workspace === null ? 'no workspace' : workspace.slug;
  const left: Line = [span(' Rookery ', 'title'), span('  '), span(place, 'strong')];
  return spread(left, right, size.columns);
}

function linkSpans(link: Link): Line {
  switch (link.kind) {
    case 'live':
      return [span('● ', 'good'), span('live')];
    case 'connecting':
      return [span('○ ', 'dim'), span('connecting')];
    case 'polling':
      return [span('○ ', 'warn'), span('polling')];
    case 'away':
      return [span('✗ ', 'bad'), span('no connection', 'bad')];
  }
}

function labelOf(state: State, name: ScreenName): string {
  const { label } = SCREEN[name];
  const waiting = name === 'approvals' ? (state.openApprovals ?? 0) : 0;
  return waiting > 0 ? `${label} (${waiting})` : label;
}

/** As many as fit, from the first on, as long as the one that is shown is among them. */
function tabLine(state: State): Line {
  const tabs = SCREENS.map((name, index): Line => {
    const isHere = name === state.screen;
    const text = `${index + 1} ${labelOf(state, name)}`;
    return [span(isHere ? `▸${text} ` : ` ${text} `, isHere ? 'strong' : 'plain')];
  });
  const here = SCREENS.indexOf(state.screen);
  const room = state.size.columns - 2;
  const width = (from: number, to: number): number =>
    tabs.slice(from, to + 1).reduce((sum, tab) => sum + widthOfLine(tab), 0);
  let [first, last] = [0, here];
  while (first < here && width(first, last) > room) first += 1;
  while (last < tabs.length - 1 && width(first, last + 1) <= room) last += 1;
  return [
    span(first > 0 ? '‹' : ' ', 'dim'),
    ...tabs.slice(first, last + 1).flat(),
    span(last < tabs.length - 1 ? '›' : '', 'dim'),
  ];
}

/** Where this is: the pages that lead here. */
function rule(state: State): Line {
  const { columns } = state.size;
  const trail = stackOf(state)
    .map(({ model, ref }) => model?.title ?? PAGE[ref.page].title)
    .join(' › ');
  const page = currentPage(state);
  const about = page.isLoading && page.model === null ? ' loading ' : '';
  const lead: Span = span(hasSidebar(state.size) ? '─'.repeat(SIDEBAR_WIDTH + 2) : '─', 'dim');
  const title = dialogTitle(state) ?? trail;
  const left: Line = [lead, span(` ${title} `, 'strong')];
  const used = widthOfLine(left) + about.length;
  return [...left, span('─'.repeat(Math.max(0, columns - used)), 'dim'), span(about, 'dim')];
}

function dialogTitle({ dialog }: State): string | null {
  if (dialog === null) return null;
  if (dialog.kind === 'help') return 'Help';
  return dialog.kind === 'show' ? dialog.title : dialog.ask.title;
}

function beside(state: State, content: readonly Line[]): readonly Line[] {
  return content.map((each, index) => {
    const name = SCREENS[index];
    const isHere = name === state.screen;
    const text = name === undefined ? '' : `${index + 1} ${labelOf(state, name)}`;
    const entry: Line = [span(isHere ? '▸' : ' '), span(text, isHere ? 'strong' : 'plain')];
    return [...fitLine(entry, SIDEBAR_WIDTH), span(' │ ', 'dim'), ...each];
  });
}

const NOTICE_LINES_MAX = 5;
const MARKS = {
  busy: { mark: '…', tone: 'accent' },
  done: { mark: '✓', tone: 'good' },
  failed: { mark: '✗', tone: 'bad' },
} as const;

function noticeLines({ notice, link, size }: State): readonly Line[] {
  const said = notice ?? noticeOf(link);
  if (said === null) return [[]];
  const { mark, tone } = MARKS[said.kind];
  const words = wrapWords(said.text.replaceAll(/\s+/g, ' '), size.columns - 4);
  return words
    .slice(0, NOTICE_LINES_MAX)
    .map((text, index): Line => [
      span(index === 0 ? ` ${mark} ` : '   ', tone),
      span(text, said.kind === 'failed' ? 'bad' : 'plain'),
    ]);
}

function noticeOf(link: Link): Pick<Notice, 'kind' | 'text'> | null {
  if (link.kind === 'away') return { kind: 'failed', text: link.why };
  return link.kind === 'polling' ? { kind: 'busy', text: link.why } : null;
}
