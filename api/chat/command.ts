import type { Action } from '../../domain/action.ts';
import { AppError } from '../../domain/error.ts';
import type { KnownTurn, Reply } from './turn.ts';

/** One thing that can be asked for in a chat. A command joins by being listed in `registry.ts`. */
export interface ChatCommand {
  /** Without its slash. */
  readonly name: string;
  /** After the name. */
  readonly usage: string;
  /** In one line, for lists and for what networks offer while somebody types. */
  readonly help: string;
  /** The least that it takes, by the action it asks for; null for what is about oneself. */
  readonly action: Action | null;
  /** `staff`: only in an admin hub or in a direct chat. */
  readonly where: 'anywhere' | 'staff' | 'direct';
  /** Throws `AppError` for what is to be said in a line, `UsageError` with the usage below it. */
  run(turn: KnownTurn, args: string): Promise<Reply>;
}

/** Wrong arguments: what was wrong is told with how it goes. */
export class UsageError extends AppError {
  constructor(message: string) {
    super('invalid_input', message);
  }
}

/** The first word, and what follows it as it was written. */
export function firstWord(args: string): { readonly word: string; readonly rest: string } {
  const [, word = '', rest = ''] = /^\s*(\S*)\s*([^]*)$/.exec(args) ?? [];
  return { word, rest: rest.trimEnd() };
}

/** Throws where words are left over: a mistyped command does not do half of what was meant. */
export function nothingMore(rest: string): void {
  if (rest.trim() !== '')
    throw new UsageError(`It takes nothing after that: "${rest.slice(0, 40).toWellFormed()}".`);
}
