import { readFileSync, statSync } from 'node:fs';
import { CliError } from './exit.ts';

/** A file that others may write could send us anywhere; one that others may read is no place for a key. */
export function readOwn(path: string): string | null {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return null;
  const uid = process.getuid?.() ?? status.uid;
  if (status.uid !== uid && uid !== 0) {
    throw new CliError('denied', `${path} belongs to another user.`, {
      hint: 'Ask for a key of your own (`rookery key create`) and give --url and --key.',
    });
  }
  if (process.platform !== 'win32' && (status.mode & 0o077) !== 0) {
    throw new CliError('denied', `${path} is open to other users, so it is not used.`, {
      hint: `If it is yours: chmod 600 ${path}`,
    });
  }
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CliError('denied', `${path} cannot be read.`, { cause });
  }
}
