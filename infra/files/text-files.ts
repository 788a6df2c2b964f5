import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { AppError } from '../../domain/error.ts';
import { sha256Hex } from '../digest.ts';
import { errnoOf } from '../errno.ts';
import { Folder, notPlain } from './folder.ts';

export interface TextFile {
  readonly text: string;
  /** Hex SHA-256 of the text. */
  readonly etag: string;
  readonly sizeBytes: number;
}

/** Never waits for the other end of a FIFO, never follows a link. */
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface TextFiles {
  /** Null where there is none. Throws `conflict` for anything but a plain text file of its own. */
  read(path: string): Promise<TextFile | null>;
  /** Replaces it in one step, folders and all. */
  write(path: string, text: string): Promise<void>;
  /** False where there was none. Folders stay. */
  remove(path: string): Promise<boolean>;
}

/**
 * Text files below one folder. Paths are as `parseDocumentPath` made them; what this adds is that no link, hard link,
 * device or race with somebody who has the same folder leads a read or a write anywhere else.
 */
export function openTextFiles(root: string, limits: { readonly bytesMax: number }): TextFiles {
  return {
    read: (path) =>
      inFolder({ root, path, make: false }, (place) => readAt(place, limits.bytesMax)),
    write: async (path, text) => {
      await inFolder({ root, path, make: true }, (place) => writeAt(place, text));
    },
    remove: async (path) => (await inFolder({ root, path, make: false }, removeAt)) ?? false,
  };
}

/** A file by its name in a folder that is held open. */
export interface Place {
  readonly folder: Folder;
  readonly name: string;
}

/** Walks down with each folder held open, and closes them whatever happens. Null where a folder is missing. */
export async function inFolder<T>(
  { root, path, make }: { readonly root: string; readonly path: string; readonly make: boolean },
  act: (place: Place) => Promise<T>,
): Promise<T | null> {
  const names = path.split('/');
  const name = names.pop() ?? '';
  const opened = [await Folder.openRoot(root)];
  try {
    for (const part of names) {
      const next = (await opened.at(-1)?.enter(part, { make })) ?? null;
      if (next === null) return null;
      opened.push(next);
    }
    const folder = opened.at(-1);
    return folder === undefined ? null : await act({ folder, name });
  } finally {
    for (const folder of opened) await folder.close();
  }
}

async function readAt({ folder, name }: Place, bytesMax: number): Promise<TextFile | null> {
  const file = await open(folder.nameOf(name), OPEN_FILE).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null;
    throw notPlain(error);
  });
  if (file === null) return null;
  try {
    const about = await file.stat();
    // A second name of the same file may be a file of somebody else's.
    if (!about.isFile() || about.nlink > 1) {
      throw new AppError('conflict', 'What is at this path is no plain document of its own.');
    }
    const bytes = Buffer.alloc(Math.min(about.size, bytesMax) + 1);
    let sizeBytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, sizeBytes, bytes.length - sizeBytes);
      sizeBytes += bytesRead;
      if (bytesRead === 0 || sizeBytes === bytes.length) break;
    }
    if (sizeBytes > bytesMax || sizeBytes === bytes.length) {
      throw new AppError('conflict', `The document is larger than ${bytesMax} bytes, or grows.`);
    }
    const text = decode(bytes.subarray(0, sizeBytes));
    return { text, etag: sha256Hex(text), sizeBytes };
  } finally {
    await file.close();
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AppError('conflict', 'The document is not text in UTF-8.', { cause });
  }
}

/** Readers see the old text or the new one, never half of it, also after a loss of power. */
async function writeAt({ folder, name }: Place, text: string): Promise<void> {
  // No document's name begins with a dot, so none is ever in the way.
  const temporary = folder.nameOf(`.${randomUUID()}`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text, 'utf8');
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, folder.nameOf(name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw notPlain(error);
  }
  await folder.sync();
}

async function removeAt({ folder, name }: Place): Promise<boolean> {
  try {
    await rm(folder.nameOf(name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    // What node says where a folder is in the place of the file.
    if (errnoOf(error) === 'ERR_FS_EISDIR') throw new AppError('conflict', 'This is a folder.');
    throw notPlain(error);
  }
  await folder.sync();
  return true;
}
