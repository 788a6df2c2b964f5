import { reduce } from './reduce.ts';
import type { Effect, State, TuiEvent } from './state.ts';

export interface Store {
  readonly state: () => State;
  readonly dispatch: (event: TuiEvent) => void;
  readonly subscribe: (listener: () => void) => () => void;
  /** Who does what the reducer wants done. */
  readonly perform: (run: (effect: Effect) => void) => void;
}

/** Holds the state; everything that happens goes through the reducer, one event after the other. */
export function createStore(initial: State): Store {
  let state = initial;
  let run: ((effect: Effect) => void) | null = null;
  const listeners = new Set<() => void>();
  return {
    state: () => state,
    dispatch(event) {
      const { state: next, effects } = reduce(state, event);
      const isSame = next === state;
      state = next;
      if (!isSame) for (const listener of listeners) listener();
      for (const effect of effects) run?.(effect);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    perform(perform) {
      run = perform;
    },
  };
}
