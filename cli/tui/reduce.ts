import { selectedIndex, shownRows } from './layout.ts';
import type { Model, Outcome } from './model.ts';
import {
  enterWorkspace,
  goBack,
  goToScreen,
  inView,
  loadCurrent,
  openPage,
  still,
  withEffect,
} from './navigate.ts';
import { PAGE } from './pages/index.ts';
import { reduceKey, reducePaste } from './reduce-keys.ts';
import { SCREENS } from './screens.ts';
import {
  currentPage,
  type Dialog,
  type Failure,
  type PageState,
  type State,
  type Step,
  type TuiEvent,
} from './state.ts';
import { pickWorkspace } from './workspace-picker.ts';

/** While nothing tells of news, somebody has to ask. */
const POLL_MS = 5_000;
/** Good news is read in this time; bad news stays. */
const DONE_SHOWN_MS = 8_000;

/** The whole program: what is, and what happens, give what is then, and what is to be done about it. */
export function reduce(state: State, event: TuiEvent): Step {
  switch (event.kind) {
    case 'start':
      return withEffect(loadCurrent(state), { kind: 'count-approvals' });
    case 'go':
      return goToScreen(state, event.screen);
    case 'keys':
      return event.keys.reduce(
        (step, key) => {
          const next = reduceKey(step.state, key);
          return { state: next.state, effects: [...step.effects, ...next.effects] };
        },
        { state, effects: [] } as Step,
      );
    case 'pasted':
      return still(reducePaste(state, event.text));
    case 'resized':
      return still(inView({ ...state, size: event.size }));
    case 'tick':
      return ticked({ ...state, nowMs: event.nowMs });
    case 'loaded':
      return loaded(state, event.pageId, event.model);
    case 'load-failed':
      return changePage(state, event.pageId, (page) => ({
        ...page,
        isLoading: false,
        loadedAtMs: state.nowMs,
        failure: event.failure,
      }));
    case 'done':
      return done(state, event.outcome);
    case 'failed':
      return still(failed(state, event.failure));
    case 'happened':
      return happened(state, event.type);
    case 'link':
      return linked(state, event.link);
    case 'who':
      return still({ ...state, who: event.who });
    case 'open-approvals':
      return still({ ...state, openApprovals: event.count });
    case 'workspace':
      return still({ ...state, workspace: event.workspace });
    case 'workspaces':
      return still(pickWorkspace(state, event.workspaces));
  }
}

/** On whatever screen it is now; a page that was left is forgotten. */
function changePage(state: State, pageId: number, change: (page: PageState) => PageState): Step {
  const stacks = { ...state.stacks };
  for (const name of SCREENS) {
    if (!stacks[name].some(({ id }) => id === pageId)) continue;
    stacks[name] = stacks[name].map((page) => (page.id === pageId ? change(page) : page));
  }
  return still({ ...state, stacks });
}

function loaded(state: State, pageId: number, model: Model): Step {
  const { state: next } = changePage(state, pageId, (page) => {
    const before = selectedIndex(page);
    const fresh = {
      ...page,
      model,
      failure: null,
      isLoading: false,
      loadedAtMs: state.nowMs,
    };
    const rows = shownRows(fresh);
    const isThere = rows.some(({ id }) => id === page.selected);
    // What was chosen is gone: its neighbour takes its place.
    const selected = isThere
      ? page.selected
      : (rows[Math.min(before, rows.length - 1)]?.id ?? null);
    return { ...fresh, selected };
  });
  const page = currentPage(next);
  const isStale = page.id === pageId && page.isStale;
  return isStale ? loadCurrent(inView(next)) : still(inView(next));
}

function ticked(state: State): Step {
  const { notice, nowMs, link } = state;
  const isOld = notice?.kind === 'done' && nowMs - notice.atMs > DONE_SHOWN_MS;
  const next = isOld ? { ...state, notice: null } : state;
  const page = currentPage(next);
  const { pollMs } = PAGE[page.ref.page];
  const everyMs = link.kind === 'live' && page.failure === null ? pollMs : POLL_MS;
  const ownMs = pollMs === 0 ? everyMs : Math.min(pollMs, everyMs);
  const isDue = ownMs > 0 && !page.isLoading && nowMs - page.loadedAtMs >= ownMs;
  const isHopeless = page.failure !== null && page.failure.kind !== 'away';
  return isDue && !isHopeless ? loadCurrent(next) : still(next);
}

function happened(state: State, type: string): Step {
  const page = currentPage(state);
  const isWanted = PAGE[page.ref.page].events.some((start) => type.startsWith(start));
  const step = isWanted ? loadCurrent(state) : still(state);
  return type.startsWith('approval.') ? withEffect(step, { kind: 'count-approvals' }) : step;
}

function linked(state: State, link: State['link']): Step {
  const isBack = link.kind === 'live' && state.link.kind !== 'live';
  const next = { ...state, link };
  // What happened while the line was down is in no event that follows.
  return isBack ? withEffect(loadCurrent(next), { kind: 'count-approvals' }) : still(next);
}

function failed(state: State, { message, hint }: Failure): State {
  const text = hint === null ? message : `${message} ${hint}`;
  return { ...state, isRunning: false, notice: { kind: 'failed', text, atMs: state.nowMs } };
}

function done(state: State, { words, next: onward, show }: Outcome): Step {
  const dialog: Dialog | null =
    show === undefined ? state.dialog : { kind: 'show', top: 0, ...show };
  const notice = words === '' ? null : { kind: 'done' as const, text: words, atMs: state.nowMs };
  const next: State = { ...state, dialog, notice, isRunning: false };
  if (onward === undefined) return loadCurrent(next);
  if (onward === 'back') return loadCurrent(goBack(next));
  if ('open' in onward) return openPage(next, onward.open);
  return enterWorkspace(next, onward.workspace);
}
