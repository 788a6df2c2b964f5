import type { Agent } from '../resolve.ts';
import type { Key } from './keys.ts';
import type { Ask, Block, Deed, Model, Outcome, PageRef, Values, WorkspaceRef } from './model.ts';
import { SCREEN, SCREENS, type ScreenName } from './screens.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Why something did not work, in words. */
export interface Failure {
  readonly message: string;
  readonly hint: string | null;
  readonly kind: 'missing' | 'denied' | 'away' | 'other';
}

export interface PageState {
  /** Answers for a page that was left are known by it and dropped. */
  readonly id: number;
  readonly ref: PageRef;
  readonly model: Model | null;
  readonly failure: Failure | null;
  readonly isLoading: boolean;
  /** Something happened while it was loading. */
  readonly isStale: boolean;
  readonly loadedAtMs: number;
  /** The row of a table. */
  readonly selected: string | null;
  /** The first row or line that is shown. */
  readonly top: number;
  readonly filter: string;
  /** How far down a person has read. */
  readonly seenTo: number;
}

export interface FormDialog {
  readonly kind: 'form';
  readonly ask: Ask;
  readonly deed: RunDeed;
  readonly pageId: number;
  readonly values: Values;
  /** Index of the field; their number when all that is left is to confirm. */
  readonly at: number;
  /** What was typed to confirm. */
  readonly typed: string;
  readonly problem: string | null;
}

export type Dialog =
  | FormDialog
  | { readonly kind: 'help'; readonly top: number }
  | {
      readonly kind: 'show';
      readonly title: string;
      readonly blocks: readonly Block[];
      readonly top: number;
    };

export interface Notice {
  readonly kind: 'busy' | 'done' | 'failed';
  readonly text: string;
  readonly atMs: number;
}

/** How news come in. */
export type Link =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'polling'; readonly why: string }
  | { readonly kind: 'away'; readonly why: string };

export interface State {
  readonly size: Size;
  readonly screen: ScreenName;
  readonly stacks: Readonly<Record<ScreenName, readonly PageState[]>>;
  readonly nextId: number;
  readonly isFiltering: boolean;
  readonly dialog: Dialog | null;
  readonly notice: Notice | null;
  /** An action is under way: the next one waits for its end. */
  readonly isRunning: boolean;
  readonly link: Link;
  readonly who: string;
  readonly workspace: WorkspaceRef | null;
  readonly openApprovals: number | null;
  readonly nowMs: number;
}

export type Effect =
  | { readonly kind: 'load'; readonly pageId: number; readonly ref: PageRef }
  | {
      readonly kind: 'run';
      readonly pageId: number;
      readonly deed: RunDeed;
      readonly values: Values;
    }
  | { readonly kind: 'attach'; readonly agent: Agent; readonly mode: 'view' | 'type' }
  | { readonly kind: 'count-approvals' }
  | { readonly kind: 'enter-workspace'; readonly workspace: WorkspaceRef }
  | { readonly kind: 'pick-workspace' }
  | { readonly kind: 'quit' };

export type RunDeed = Extract<Deed, { kind: 'run' }>;

export type TuiEvent =
  | { readonly kind: 'resized'; readonly size: Size }
  | { readonly kind: 'tick'; readonly nowMs: number }
  | { readonly kind: 'loaded'; readonly pageId: number; readonly model: Model }
  | { readonly kind: 'load-failed'; readonly pageId: number; readonly failure: Failure }
  | { readonly kind: 'done'; readonly pageId: number; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'happened'; readonly type: string }
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'who'; readonly who: string }
  | { readonly kind: 'open-approvals'; readonly count: number | null }
  | { readonly kind: 'workspace'; readonly workspace: WorkspaceRef | null }
  | { readonly kind: 'workspaces'; readonly workspaces: readonly WorkspaceRef[] }
  | { readonly kind: 'keys'; readonly keys: readonly Key[] }
  | { readonly kind: 'pasted'; readonly text: string }
  | { readonly kind: 'go'; readonly screen: ScreenName }
  | { readonly kind: 'start' };

/** What a reducer answers. */
export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export function freshPage(id: number, ref: PageRef): PageState {
  return {
    id,
    ref,
    model: null,
    failure: null,
    isLoading: false,
    isStale: false,
    loadedAtMs: 0,
    selected: null,
    top: 0,
    filter: '',
    seenTo: 0,
  };
}

export interface Start {
  readonly size: Size;
  readonly screen: ScreenName;
  readonly who: string;
  readonly nowMs: number;
}

function first(name: ScreenName): readonly PageState[] {
  return [freshPage(SCREENS.indexOf(name) + 1, { page: SCREEN[name].page, params: {} })];
}

export function startState({ size, screen, who, nowMs }: Start): State {
  return {
    size,
    screen,
    stacks: {
      approvals: first('approvals'),
      agents: first('agents'),
      workspaces: first('workspaces'),
      users: first('users'),
      pairing: first('pairing'),
      connectors: first('connectors'),
      policy: first('policy'),
      audit: first('audit'),
      access: first('access'),
    },
    nextId: SCREENS.length + 1,
    isFiltering: false,
    dialog: null,
    notice: null,
    isRunning: false,
    link: { kind: 'connecting' },
    who,
    workspace: null,
    openApprovals: null,
    nowMs,
  };
}

export function stackOf(state: State): readonly PageState[] {
  return state.stacks[state.screen];
}

/** The page that is looked at: a stack is never empty. */
export function currentPage(state: State): PageState {
  const page = stackOf(state).at(-1);
  if (page === undefined) throw new Error('A screen without a page.');
  return page;
}

export function withPage(state: State, page: PageState): State {
  const stack = stackOf(state).map((each) => (each.id === page.id ? page : each));
  return { ...state, stacks: { ...state.stacks, [state.screen]: stack } };
}
