import { link, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { openRecordFiles, type RecordFiles } from '../../../infra/files/record-files.ts';
import { testFolder } from '../../support/folder.ts';

const CONFLICT = { name: 'AppError', code: 'conflict' };
const isOurs = (text: string): boolean => text.startsWith('ours');
const more = (text: string) => () => Promise.resolve(Buffer.from(text));

describe('records', () => {
  let home: string;
  let root: string;
  let files: RecordFiles;

  beforeEach(async () => {
    home = testFolder();
    root = join(home, 'records');
    files = openRecordFiles(root);
    await mkdir(join(home, 'outside'));
    await writeFile(join(home, 'outside', 'secret.md'), 'secret');
  });

  test('a record is replaced where it is ours, and kept where somebody changed it', async () => {
    expect(await files.replace('a/r.md', 'ours 1', isOurs)).toEqual({ kept: null });
    expect(await files.replace('a/r.md', 'ours 2', isOurs)).toEqual({ kept: null });
    await writeFile(join(root, 'a', 'r.md'), 'mine');
    expect(await files.replace('a/r.md', 'ours 3', isOurs)).toEqual({ kept: 'r.edited-1.md' });
    await writeFile(join(root, 'a', 'r.md'), 'mine again');
    expect(await files.replace('a/r.md', 'ours 4', isOurs)).toEqual({ kept: 'r.edited-2.md' });
    expect(await readdir(join(root, 'a'))).toEqual(['r.edited-1.md', 'r.edited-2.md', 'r.md']);
    expect(await readFile(join(root, 'a', 'r.edited-1.md'), 'utf8')).toBe('mine');
    expect(await readFile(join(root, 'a', 'r.md'), 'utf8')).toBe('ours 4');
  });

  test('what was moved away when the process ended is settled by the next one', async () => {
    await mkdir(join(root, 'a'), { recursive: true });
    await writeFile(join(root, 'a', '.r.md.replaced'), 'mine');
    expect(await files.replace('a/r.md', 'ours', isOurs)).toEqual({ kept: 'r.edited-1.md' });
    await writeFile(join(root, 'a', '.r.md.replaced'), 'ours before');
    await writeFile(join(root, 'a', '.r.md.new'), 'ours n');
    expect(await files.replace('a/r.md', 'ours now', isOurs)).toEqual({ kept: null });
    expect(await readdir(join(root, 'a'))).toEqual(['r.edited-1.md', 'r.md']);
  });

  test('somebody who saves again and again loses nothing', async () => {
    const path = join(root, 'r.md');
    await files.replace('r.md', 'ours 0', isOurs);
    const over = new AbortController();
    const saved: string[] = [];
    const person = (async () => {
      for (let count = 0; !over.signal.aborted; count += 1) {
        const text = `mine ${count}`;
        // As an editor that makes a file only where there is none, so that each save is one.
        const isSaved = await writeFile(path, text, { flag: 'wx' }).then(
          () => true,
          () => false,
        );
        if (isSaved) saved.push(text);
        await sleep(5);
      }
    })();
    for (let count = 1; count <= 15; count += 1)
      await files.replace('r.md', `ours ${count}`, isOurs);
    over.abort();
    await person;
    const texts = await Promise.all(
      (await readdir(root)).map((name) => readFile(join(root, name), 'utf8')),
    );
    expect(saved.length).toBeGreaterThan(0);
    for (const text of saved) expect(texts).toContain(text);
    expect(await readFile(path, 'utf8')).toBe('ours 15');
  });

  test('links, second names, folders and devices in the place of a record are not written through', async () => {
    const outside = join(home, 'outside', 'secret.md');
    await mkdir(join(root, 'logs'), { recursive: true });
    await symlink(outside, join(root, 'logs', 'link.md'));
    await symlink(join(home, 'outside'), join(root, 'folder'));
    await link(outside, join(root, 'logs', 'second.md'));
    await mkdir(join(root, 'logs', 'directory.md'));
    for (const path of [
      'logs/link.md',
      'folder/secret.md',
      'logs/second.md',
      'logs/directory.md',
    ]) {
      await expect(files.append(path, more('x'))).rejects.toMatchObject(CONFLICT);
    }
    await expect(files.replace('folder/secret.md', 'ours', isOurs)).rejects.toMatchObject(CONFLICT);
    expect(await files.replace('logs/link.md', 'ours', isOurs)).toEqual({
      kept: 'link.edited-1.md',
    });
    expect(await files.replace('logs/second.md', 'ours', isOurs)).toEqual({
      kept: 'second.edited-1.md',
    });
    expect(await readFile(outside, 'utf8')).toBe('secret');
    expect(await readFile(join(root, 'logs', 'second.md'), 'utf8')).toBe('ours');
  });

  test('a file is moved only to a name that is free', async () => {
    await files.append('a.md', more('one'));
    expect(await files.move('a.md', { name: 'a.1.md' })).toBe(true);
    await files.append('a.md', more('two'));
    expect(await files.move('a.md', { name: 'a.1.md' })).toBe(false);
    expect(await files.move('b.md', { name: 'b.1.md' })).toBe(false);
    expect(await readdir(root)).toEqual(['a.1.md', 'a.md']);
    expect(await readFile(join(root, 'a.1.md'), 'utf8')).toBe('one');
  });
});
