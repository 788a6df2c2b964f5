import { keepInView, selectedIndex, shownRows, textExtent, viewRows } from './layout.ts';
import type { WorkspaceRef } from './model.ts';
import { SCREEN, SCREENS, type ScreenName } from './screens.ts';
import {
  currentPage,
  freshPage,
  withPage,
  type Effect,
  type PageState,
  type State,
  type Step,
} from './state.ts';

export function still(state: State): Step {
  return { state, effects: [] };
}

export function withEffect({ state, effects }: Step, effect: Effect): Step {
  return { state, effects: [...effects, effect] };
}

/** Looks at the current page again; once more afterwards where that is under way. */
export function loadCurrent(state: State): Step {
  const page = currentPage(state);
  if (page.isLoading) return still(withPage(state, { ...page, isStale: true }));
  const { id: pageId, ref } = page;
  return {
    state: withPage(state, { ...page, isLoading: true, isStale: false }),
    effects: [{ kind: 'load', pageId, ref }],
  };
}

/** After another size or other contents: the chosen row is in view, and no text is moved beyond its end. */
export function inView(state: State): State {
  const page = currentPage(state);
  const height = viewRows(page, state);
  if (page.model === null) return state;
  if (page.model.table !== null) {
    const { length } = shownRows(page);
    const top = Math.min(page.top, Math.max(0, length - height));
    return withPage(state, { ...page, top: keepInView(top, selectedIndex(page), height) });
  }
  const top = Math.min(page.top, textExtent(page, state).topMax);
  return withPage(state, { ...page, top, seenTo: Math.max(page.seenTo, top + height) });
}

export function goBack(state: State): State {
  const stack = state.stacks[state.screen];
  if (stack.length <= 1) return state;
  return { ...state, stacks: { ...state.stacks, [state.screen]: stack.slice(0, -1) } };
}

export function openPage(state: State, ref: PageState['ref']): Step {
  const stack = [...state.stacks[state.screen], freshPage(state.nextId, ref)];
  const stacks = { ...state.stacks, [state.screen]: stack };
  return loadCurrent({ ...state, stacks, nextId: state.nextId + 1 });
}

/** Going back to a screen that was seen shows what was there, and looks again. */
export function goToScreen(state: State, screen: ScreenName): Step {
  const notice = state.notice?.kind === 'busy' ? state.notice : null;
  return loadCurrent({ ...state, screen, notice, isFiltering: false });
}

/** Everything that was seen was of another workspace. */
export function enterWorkspace(state: State, workspace: WorkspaceRef): Step {
  const renumbered = { ...state.stacks };
  let nextId = state.nextId;
  for (const name of SCREENS) {
    renumbered[name] = [freshPage(nextId, { page: SCREEN[name].page, params: {} })];
    nextId += 1;
  }
  const next = { ...state, workspace, stacks: renumbered, nextId, openApprovals: null };
  const { state: loading, effects } = loadCurrent(next);
  return {
    state: loading,
    effects: [{ kind: 'enter-workspace', workspace }, ...effects, { kind: 'count-approvals' }],
  };
}
