import { Box, Text, useApp, useInput, usePaste, useWindowSize } from 'ink';
import { createElement as h, useEffect, useSyncExternalStore, type ReactElement } from 'react';
import { drawFrame } from './draw-frame.ts';
import { typedOf } from './keys.ts';
import { paintLine, type Look } from './line.ts';
import type { State } from './state.ts';
import type { Store } from './store.ts';

/** What a component may ask of the terminal, for what happens outside of it. */
export interface Handle {
  exit(): void;
  /** Lends the terminal to somebody else until the promise settles. */
  lend(use: () => Promise<void>): Promise<void>;
}

interface AppProps {
  readonly store: Store;
  readonly look: Look;
  readonly onHandle: (handle: Handle) => void;
}

export function App({ store, look, onHandle }: AppProps): ReactElement {
  const state = useSyncExternalStore(store.subscribe, store.state);
  const { exit, suspendTerminal } = useApp();
  const { columns, rows } = useWindowSize();
  useInput((input, key) => {
    const typed = typedOf(input, key);
    if (typed.kind === 'paste') store.dispatch({ kind: 'pasted', text: typed.text });
    else store.dispatch({ kind: 'keys', keys: typed.keys });
  });
  usePaste((text) => store.dispatch({ kind: 'pasted', text }));
  useEffect(() => {
    onHandle({ exit, lend: (use) => suspendTerminal(use) });
  }, [exit, suspendTerminal, onHandle]);
  useEffect(() => {
    store.dispatch({ kind: 'resized', size: { columns, rows } });
  }, [store, columns, rows]);
  return h(Screen, { state, look });
}

/** A line is a line: nothing wraps, nothing is measured again. */
function Screen({ state, look }: { readonly state: State; readonly look: Look }) {
  const lines = drawFrame(state).map((line) => paintLine(line, look));
  return h(
    Box,
    { flexDirection: 'column', width: state.size.columns },
    lines.map((text, index) => h(Text, { key: index, wrap: 'truncate-end' }, text)),
  );
}
