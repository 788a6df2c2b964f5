import { constants } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { AppError } from '../../domain/error.ts';
import { errnoOf } from '../errno.ts';
import { notPlain } from './folder.ts';
import { inFolder, type Place } from './text-files.ts';

/** What a file ends with, before something is appended. */
export interface FileTail {
  readonly bytes: Buffer;
  readonly sizeBytes: number;
  /** False where it begins in the middle of the file. */
  readonly isWhole: boolean;
}

/** Files that the runtime writes and people may change meanwhile: nothing that a person wrote is ever written over. */
export interface RecordFiles {
  /**
   * Appends what `decide` makes of the file's end, which is empty for a new file; nothing where that is null. Answers the
   * file's size. It survives a loss of power when this resolves.
   */
  append(path: string, decide: (tail: FileTail) => Promise<Uint8Array | null>): Promise<number>;
  /**
   * Puts a text in the place of one that is `ours`; another one is somebody's, and is kept beside it. `kept`: under that
   * path.
   */
  replace(
    path: string,
    text: string,
    ours: (text: string) => boolean,
  ): Promise<{ readonly kept: string | null }>;
  /** Gives a file another name, unless something has that. False where there is no file, or the name is taken. */
  move(from: string, to: { readonly name: string }): Promise<boolean>;
}

/** Where the end of a file is looked for what was written last. */
const TAIL_BYTES = 1024 * 1024;
const NAMES_MAX = 1_000;

const OPEN_TO_APPEND =
  constants.O_RDWR |
  constants.O_CREAT |
  constants.O_APPEND |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK;
const OPEN_TO_READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `root` is made where it is missing. Paths are ours: plain names with slashes. */
export function openRecordFiles(root: string): RecordFiles {
  const at = async <T>(path: string, act: (place: Place) => Promise<T>): Promise<T> => {
    const done = await inFolder({ root, path, make: true }, async (place) => ({
      value: await act(place),
    }));
    if (done === null) throw new AppError('conflict', 'The folder of a record cannot be made.');
    return done.value;
  };
  return {
    append: (path, decide) => at(path, (place) => appendAt(place, decide)),
    replace: (path, text, ours) => at(path, (place) => replaceAt(place, text, ours)),
    move: (from, to) => at(from, (place) => moveAt(place, to.name)),
  };
}

async function appendAt(
  { folder, name }: Place,
  decide: (tail: FileTail) => Promise<Uint8Array | null>,
): Promise<number> {
  const file = await open(folder.nameOf(name), OPEN_TO_APPEND, 0o600).catch((error: unknown) => {
    throw notPlain(error);
  });
  try {
    const tail = await readTail(file, TAIL_BYTES);
    const more = await decide(tail);
    if (more === null) return tail.sizeBytes;
    await file.appendFile(more);
    await file.sync();
    if (tail.sizeBytes === 0) await folder.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

async function readTail(file: FileHandle, bytesMax: number): Promise<FileTail> {
  const about = await file.stat();
  // A second name of the same file may be a file of somebody else's.
  if (!about.isFile() || about.nlink > 1) {
    throw new AppError('conflict', 'What is in the place of a record is no plain file of its own.');
  }
  const start = Math.max(0, about.size - bytesMax);
  const bytes = Buffer.alloc(about.size - start);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length);
    length += bytesRead;
    if (bytesRead === 0 || length === bytes.length) break;
  }
  return {
    bytes: bytes.subarray(0, length),
    sizeBytes: about.size,
    isWhole: start === 0,
  };
}

/**
 * What is there is moved away before it is looked at, so that nobody writes into it between the look and the end: it is
 * removed if it is ours, and else gets a name. Whoever dies in between leaves it under a name that the next one knows.
 */
async function replaceAt(
  place: Place,
  text: string,
  ours: (text: string) => boolean,
): Promise<{ readonly kept: string | null }> {
  const { folder, name } = place;
  if ((await readWhole(folder.nameOf(name))) === text) return { kept: null };
  const away = `.${name}.replaced`;
  const temporary = `.${name}.new`;
  let kept = await settle(place, away, ours);
  // Left by one that was killed: one process writes at a time.
  await rm(folder.nameOf(temporary), { force: true });
  const file = await open(folder.nameOf(temporary), 'wx', 0o600);
  try {
    await file.writeFile(text, 'utf8');
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // A person may save again and again: each time that is kept, so that this ends.
    for (let tries = 0; tries < NAMES_MAX; tries += 1) {
      if (await renamed(folder.nameOf(name), folder.nameOf(away))) {
        kept = (await settle(place, away, ours)) ?? kept;
      }
      if (!(await linked(folder.nameOf(temporary), folder.nameOf(name)))) continue;
      await folder.sync();
      return { kept };
    }
    throw new AppError('conflict', 'A record is changed all the time.');
  } finally {
    await rm(folder.nameOf(temporary), { force: true });
  }
}

/** Removes what was moved away if it is ours; gives it a name if it is somebody's. Null where nothing was kept. */
async function settle(
  { folder, name }: Place,
  away: string,
  ours: (text: string) => boolean,
): Promise<string | null> {
  const text = await readWhole(folder.nameOf(away));
  if (text === null) return null;
  if (ours(text)) {
    await rm(folder.nameOf(away), { force: true });
    return null;
  }
  const stem = name.replace(/\.md$/, '');
  for (let number = 1; number <= NAMES_MAX; number += 1) {
    const free = `${stem}.edited-${number}.md`;
    if (await moveAt({ folder, name: away }, free)) return free;
  }
  throw new AppError('conflict', 'There are too many edited copies of a record.');
}

/** Null where there is none. What is no plain file of ours is somebody's, whatever it is. */
async function readWhole(path: string): Promise<string | null> {
  let file: FileHandle;
  try {
    file = await open(path, OPEN_TO_READ);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    return '';
  }
  try {
    const about = await file.stat();
    return about.isFile() && about.nlink === 1 ? await file.readFile('utf8') : '';
  } finally {
    await file.close();
  }
}

/** A name is taken by making an empty file of it, which fails where there is one; a rename alone would write over it. */
async function moveAt({ folder, name }: Place, to: string): Promise<boolean> {
  const placeholder = await open(folder.nameOf(to), 'wx', 0o600).catch((error: unknown) => {
    if (errnoOf(error) === 'EEXIST') return null;
    throw notPlain(error);
  });
  if (placeholder === null) return false;
  await placeholder.close();
  const isMoved = await renamed(folder.nameOf(name), folder.nameOf(to));
  if (!isMoved) await rm(folder.nameOf(to), { force: true });
  await folder.sync();
  return isMoved;
}

/** False where the first is missing or the second is there. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOENT') return false;
    throw notPlain(error);
  }
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw notPlain(error);
  }
}
