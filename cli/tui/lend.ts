import { attach, type Ending } from '../attach/session.ts';
import type { Context } from '../context.ts';
import { plainLine } from '../text.ts';
import { failureOf } from './failure.ts';
import type { RunnerOptions } from './runner.ts';
import type { Effect } from './state.ts';

/** Hands the terminal to the session that `rookery attach` has, and comes back when it ends. */
export async function lendTerminal(
  { context, store, handle, detachKey }: RunnerOptions,
  { agent, mode }: Extract<Effect, { kind: 'attach' }>,
): Promise<void> {
  const lender = handle();
  if (lender === null) return;
  const ended: { words: string; error: unknown } = { words: '', error: null };
  await lender.lend(async () => {
    try {
      ended.words = wordsOf(
        await attach(unpaused(context), { agent, mode, detachKey }),
        agent.name,
      );
    } catch (error) {
      ended.error = error;
    }
  });
  if (ended.error !== null) store.dispatch({ kind: 'failed', failure: failureOf(ended.error) });
  else store.dispatch({ kind: 'done', pageId: 0, outcome: { words: ended.words } });
}

function wordsOf(ending: Ending, name: string): string {
  return ending.kind === 'detached'
    ? `Detached from ${plainLine(name)}; it goes on.`
    : `The session of ${plainLine(name)} ended.`;
}

/**
 * A paused standard input does not go on for who listens to `readable`, as Ink does: Node has stopped the handle and
 * believes that a read is under way. So it is never paused.
 */
function unpaused(context: Context): Context {
  const { stdin } = context.io;
  const lent = new Proxy(stdin, {
    get(target, name): unknown {
      if (name === 'pause') return () => lent;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { ...context, io: { ...context.io, stdin: lent } };
}
