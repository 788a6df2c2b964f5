import type { Key } from './keys.ts';
import {
  selectedIndex,
  selectedRow,
  shownRows,
  textExtent,
  viewRows,
  keepInView,
} from './layout.ts';
import { shortened } from './line.ts';
import type { Action } from './model.ts';
import { goBack, goToScreen, loadCurrent, openPage, still } from './navigate.ts';
import { openForm, pasteIntoForm, reduceForm } from './reduce-form.ts';
import { SCREENS } from './screens.ts';
import { currentPage, stackOf, withPage, type Dialog, type State, type Step } from './state.ts';

export function reduceKey(state: State, key: Key): Step {
  if (key.name === 'ctrl-c') return { state, effects: [{ kind: 'quit' }] };
  const { dialog } = state;
  if (dialog?.kind === 'form') return reduceForm(state, dialog, key);
  if (dialog !== null) return still(scrollDialog(state, dialog, key));
  if (state.isFiltering) return still(filterKey(state, key));
  return globalKey(state, key) ?? still(moveKey(state, key));
}

/** What is pasted is text and nothing else: it goes into a field, or nowhere. */
export function reducePaste(state: State, text: string): State {
  const { dialog } = state;
  if (dialog?.kind === 'form') return { ...state, dialog: pasteIntoForm(dialog, text) };
  if (dialog === null && state.isFiltering) {
    return filterTo(state, currentPage(state).filter + oneLine(text));
  }
  return {
    ...state,
    notice: {
      kind: 'failed',
      text: 'Pasted text goes into fields only; nothing was done with it.',
      atMs: state.nowMs,
    },
  };
}

const FILTER_LENGTH_MAX = 80;

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

function globalKey(state: State, key: Key): Step | null {
  const number = /^[1-9]$/.test(key.name) ? Number(key.name) - 1 : -1;
  const numbered = SCREENS[number];
  if (numbered !== undefined) return goToScreen(state, numbered);
  switch (key.name) {
    case 'tab':
    case 'backtab': {
      const turn = key.name === 'tab' ? 1 : SCREENS.length - 1;
      const next = SCREENS[(SCREENS.indexOf(state.screen) + turn) % SCREENS.length];
      return next === undefined ? null : goToScreen(state, next);
    }
    case '?':
      return still({ ...state, dialog: { kind: 'help', top: 0 } });
    case '/':
      return still(beginFilter(state));
    case 'w':
      return { state, effects: [{ kind: 'pick-workspace' }] };
    case 'r':
      return loadCurrent({ ...state, notice: null });
    case 'q':
      return stackOf(state).length > 1
        ? loadCurrent(goBack({ ...state, notice: null }))
        : { state, effects: [{ kind: 'quit' }] };
    case 'escape':
    case 'left':
      return escape(state);
    case 'enter':
    case 'right':
      return openSelected(state);
    default:
      return actionKey(state, key);
  }
}

/** Takes back one thing at a time, and never leaves the program. */
function escape(state: State): Step {
  if (state.notice?.kind === 'failed') return still({ ...state, notice: null });
  const page = currentPage(state);
  if (page.filter !== '') return still(filterTo(state, ''));
  return stackOf(state).length > 1 ? loadCurrent(goBack(state)) : still(state);
}

function openSelected(state: State): Step {
  const ref = selectedRow(currentPage(state))?.open;
  return ref === undefined ? still(state) : openPage({ ...state, notice: null }, ref);
}

/** What can be done here: by the chosen row first, then by the page. */
export function actionsOf(state: State): readonly Action[] {
  const page = currentPage(state);
  return [...(selectedRow(page)?.actions ?? []), ...(page.model?.actions ?? [])];
}

function actionKey(state: State, key: Key): Step | null {
  const action = actionsOf(state).find((each) => each.key === key.name);
  if (action === undefined) return null;
  const { deed } = action;
  if (deed.kind === 'open') return openPage({ ...state, notice: null }, deed.ref);
  if (deed.kind === 'attach') {
    return { state, effects: [{ kind: 'attach', agent: deed.agent, mode: deed.mode }] };
  }
  return openForm(state, deed);
}

function beginFilter(state: State): State {
  if (currentPage(state).model?.table == null) return state;
  return { ...state, isFiltering: true };
}

function filterKey(state: State, key: Key): State {
  const { filter } = currentPage(state);
  if (key.name === 'enter') return { ...state, isFiltering: false };
  if (key.name === 'escape') return filterTo({ ...state, isFiltering: false }, '');
  if (key.name === 'backspace') return filterTo(state, shortened(filter));
  if (key.name === 'ctrl-u') return filterTo(state, '');
  if (key.text === '') return moveKey(state, key);
  return filterTo(state, filter + key.text);
}

function filterTo(state: State, filter: string): State {
  const page = { ...currentPage(state), filter: filter.slice(0, FILTER_LENGTH_MAX), top: 0 };
  const rows = shownRows(page);
  const isThere = rows.some(({ id }) => id === page.selected);
  return withPage(state, { ...page, selected: isThere ? page.selected : (rows[0]?.id ?? null) });
}

function moveKey(state: State, key: Key): State {
  const page = currentPage(state);
  if (page.model === null) return state;
  return page.model.table === null ? scrollText(state, key) : moveRow(state, key);
}

/** By how many rows or lines a key moves; infinite for the ends. */
function distanceOf({ name }: Key, height: number): number {
  switch (name) {
    case 'up':
    case 'k':
      return -1;
    case 'down':
    case 'j':
      return 1;
    case 'pageup':
    case 'b':
      return -Math.max(1, height - 1);
    case 'pagedown':
    case 'space':
      return Math.max(1, height - 1);
    case 'home':
    case 'g':
      return Number.NEGATIVE_INFINITY;
    case 'end':
    case 'G':
      return Number.POSITIVE_INFINITY;
    default:
      return 0;
  }
}

function moveRow(state: State, key: Key): State {
  const page = currentPage(state);
  const rows = shownRows(page);
  const height = viewRows(page, state);
  const distance = distanceOf(key, height);
  if (distance === 0 || rows.length === 0) return state;
  const index = Math.min(rows.length - 1, Math.max(0, selectedIndex(page) + distance));
  const selected = rows[index]?.id ?? null;
  return withPage(state, { ...page, selected, top: keepInView(page.top, index, height) });
}

function scrollText(state: State, key: Key): State {
  const page = currentPage(state);
  const { height, topMax } = textExtent(page, state);
  const top = Math.min(topMax, Math.max(0, page.top + distanceOf(key, height)));
  return withPage(state, { ...page, top, seenTo: Math.max(page.seenTo, top + height) });
}

/** `show` and `help` go away by Esc, `q` or Enter: they ask nothing. */
function scrollDialog(state: State, dialog: Exclude<Dialog, { kind: 'form' }>, key: Key): State {
  if (['escape', 'q', 'enter', '?'].includes(key.name)) return { ...state, dialog: null };
  const distance = distanceOf(key, state.size.rows - 6);
  if (!Number.isFinite(distance)) {
    return { ...state, dialog: { ...dialog, top: distance < 0 ? 0 : DIALOG_TOP_MAX } };
  }
  const top = Math.min(DIALOG_TOP_MAX, Math.max(0, dialog.top + distance));
  return { ...state, dialog: { ...dialog, top } };
}

/** Drawing knows how long it is; here it only has to be a number. */
const DIALOG_TOP_MAX = 10_000;
