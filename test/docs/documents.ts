import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface Document {
  /** From the root of the checkout. */
  readonly path: string;
  readonly text: string;
}

/** What a reader gets: the documents beside the code, and everything under `docs/`. */
export function readDocuments(): readonly Document[] {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort();
  return ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', 'CHANGELOG.md', ...inDocs].map((path) => ({
    path,
    text: readFileSync(join(ROOT, path), 'utf8'),
  }));
}

/** Text outside fenced code: a link shown in code is no link. */
export function prose(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

export interface CommandBlock {
  readonly path: string;
  readonly line: number;
  readonly code: string;
  /** Why a test does not run it; null where one does. */
  readonly notRun: string | null;
}

const BLOCK = /^```sh\n([\s\S]*?)^```\n(?:\n<!-- not run here: ([\s\S]*?) -->)?/gm;

/** Every ```sh block, with the comment below it where it has one. */
export function commandBlocks({ path, text }: Document): readonly CommandBlock[] {
  return [...text.matchAll(BLOCK)].map(({ 1: code = '', 2: notRun, index }) => ({
    path,
    line: text.slice(0, index).split('\n').length,
    code,
    notRun: notRun ?? null,
  }));
}

/** Documents whose blocks another test runs or parses, and which. */
export const TESTED_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['docs/admin.md', 'test/main/admin-docs.system.test.ts'],
  ['docs/cli.md', 'test/cli/docs.test.ts'],
  ['docs/operations.md', 'test/main/docs.system.test.ts'],
]);

/** Blocks that `commands.system.test.ts` has to run, in the order of reading. */
export function blocksToRun(): readonly CommandBlock[] {
  return readDocuments()
    .filter(({ path }) => !TESTED_ELSEWHERE.has(path))
    .flatMap(commandBlocks)
    .filter(({ notRun }) => notRun === null);
}
