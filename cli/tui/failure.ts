import { CliError } from '../exit.ts';
import type { Failure } from './state.ts';

/** Words for whatever was thrown; what is no failure of ours to foresee is told as a bug, and nothing ends by it. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof CliError)) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { message: `Something is wrong in this program: ${message}`, hint: null, kind: 'other' };
  }
  const hint = error.details.hint ?? null;
  return { message: error.message, hint, kind: kindOf(error) };
}

function kindOf({ exit }: CliError): Failure['kind'] {
  if (exit === 'not_found') return 'missing';
  if (exit === 'denied') return 'denied';
  return exit === 'unavailable' || exit === 'limited' ? 'away' : 'other';
}
