import type { DetachKey } from '../attach/detach-key.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { hasColor } from '../io.ts';
import { painter } from '../text.ts';
import type { Handle } from './app.ts';
import { createRunner } from './runner.ts';
import type { ScreenName } from './screens.ts';
import { startState } from './state.ts';
import { createStore } from './store.ts';

export interface TuiOptions {
  readonly screen: ScreenName;
  readonly isAscii: boolean;
  readonly detachKey: DetachKey;
}

/** The whole program, from the first frame until somebody leaves. */
export async function runTui(context: Context, options: TuiOptions): Promise<void> {
  const { io, signal } = context;
  checkTerminal(context);
  hasten();
  const [{ render }, { App }, { createElement }] = await Promise.all([
    import('ink'),
    import('./app.ts'),
    import('react'),
  ]);
  const { columns = 80 } = io.stdout;
  const rows = 'rows' in io.stdout && typeof io.stdout.rows === 'number' ? io.stdout.rows : 24;
  const { screen } = options;
  const store = createStore(
    startState({ size: { columns, rows }, screen, who: '', nowMs: io.now() }),
  );
  const lent: { handle: Handle | null } = { handle: null };
  const { detachKey, isAscii } = options;
  const runner = createRunner({ context, store, handle: () => lent.handle, detachKey });
  const look = { paint: painter(hasColor(io.stdout, io.env)), isAscii };
  const onHandle = (handle: Handle): void => {
    lent.handle = handle;
  };
  const { stdin, stdout, stderr } = process;
  const app = render(createElement(App, { store, look, onHandle }), {
    stdin,
    stdout,
    stderr,
    alternateScreen: true,
    exitOnCtrlC: false,
    patchConsole: false,
    incrementalRendering: true,
    interactive: true,
  });
  const leave = (): void => app.unmount();
  signal.addEventListener('abort', leave, { once: true });
  try {
    void runner.begin();
    await app.waitUntilExit();
  } finally {
    signal.removeEventListener('abort', leave);
    runner.close();
  }
}

/** Says which commands do the same where no screen can be drawn. */
function checkTerminal({ io, isJson }: Context): void {
  const isTerminal = io.stdin.isTTY === true && io.stdout.isTTY === true;
  const isDumb = io.env['TERM'] === 'dumb';
  if (isTerminal && !isDumb && !isJson) return;
  const why = isJson
    ? 'The terminal UI has no JSON.'
    : isDumb
      ? 'TERM=dumb: this terminal cannot be drawn on.'
      : 'The terminal UI needs a terminal on its input and output.';
  throw new CliError('usage', why, {
    hint: 'The same is done by commands: rookery approvals, approve, deny, agents, attach, workspace, user, role, pairing, connector, policy, audit.',
  });
}

/** React looks at NODE_ENV while it loads: its other build is slower and keeps a record of every frame for ever. */
function hasten(): void {
  // oxlint-disable-next-line node/no-process-env -- a library's own switch, read while it loads
  process.env['NODE_ENV'] = 'production';
}
