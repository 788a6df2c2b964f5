import { open } from 'node:fs/promises';
import { AppError } from '../../domain/error.ts';
import { errnoOf } from '../errno.ts';

/** A secret or a small file of them; whatever is larger is another file by mistake. */
const FILE_BYTES_MAX = 1024 * 1024;

interface PrivateOptions {
  readonly mayBeRead?: boolean;
  /** Refuses what its group may use, too: for what this program makes and nobody shares. */
  readonly isOwnersOnly?: boolean;
}

/** Throws `invalid_input` for what everybody on this machine may use, unless its reading alone gives nothing away. */
export async function readPrivate(
  path: string,
  { mayBeRead = false, isOwnersOnly = false }: PrivateOptions = {},
): Promise<string> {
  if (!path.startsWith('/'))
    throw new AppError('invalid_input', `The path of a secret is absolute: ${path}.`);
  const file = await open(path, 'r').catch((error: unknown) => {
    const why = errnoOf(error) === 'ENOENT' ? 'does not exist' : 'cannot be read';
    throw new AppError('invalid_input', `The secret file ${path} ${why}.`, { cause: error });
  });
  try {
    // Asked of the open file, so that it is the one that is read.
    const info = await file.stat();
    if (!info.isFile()) throw new AppError('invalid_input', `${path} is not a file.`);
    if (isOwnersOnly && (info.mode & 0o077) !== 0)
      throw new AppError(
        'invalid_input',
        `Others may use the secret file ${path}. Run: chmod 600 '${path}'`,
      );
    if ((info.mode & (mayBeRead ? 0o002 : 0o007)) !== 0)
      throw new AppError(
        'invalid_input',
        `Everybody on this machine may use the secret file ${path}. Run: chmod ${mayBeRead ? 'o-w' : '600'} '${path}'`,
      );
    if (info.size > FILE_BYTES_MAX)
      throw new AppError('invalid_input', `The secret file ${path} is larger than 1 MiB.`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
