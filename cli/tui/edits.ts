import { structuredPatch } from 'diff';
import { z } from 'zod';
import { parseJson } from '../../domain/json.ts';
import { plainLine } from '../text.ts';
import type { Block } from './model.ts';

/** What a tool that edits files calls the text that is there, and the text that is to be there. */
const NAMES: readonly (readonly [before: string, after: string])[] = [
  ['old_string', 'new_string'],
  ['oldString', 'newString'],
  ['old_str', 'new_str'],
  ['old_text', 'new_text'],
];
const FILE_NAMES = ['file_path', 'filePath', 'absolute_path', 'path', 'notebook_path'];
/** Comparing takes time that grows with the product of both. */
const COMPARED_CHARS_MAX = 200_000;
const COMPARE_TIMEOUT_MS = 100;
const DEPTH_MAX = 6;
const EDITS_MAX = 20;

const Fields = z.record(z.string(), z.unknown());
const HookPayload = z.object({ hookPayload: z.string() });

interface Edit {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** The edits of files that a payload is about, as differences; nothing where it is about something else. */
export function editBlocks(payload: unknown): readonly Block[] {
  const hook = HookPayload.safeParse(payload);
  const root = hook.success ? parseJson(hook.data.hookPayload) : payload;
  const edits = editsIn(root, { file: '', depth: 0 }).slice(0, EDITS_MAX);
  return edits.flatMap((edit): readonly Block[] => {
    const file = edit.file === '' ? '' : ` of ${plainLine(edit.file)}`;
    const lines = differenceLines(edit.before, edit.after);
    const heading: Block = { kind: 'heading', text: `Edit${file}` };
    if (lines !== null) return [heading, { kind: 'diff', lines }];
    return [heading, { kind: 'words', text: 'Too large to compare: read both texts below.' }];
  });
}

/** Lines of a unified difference; null where it is too large to be made at once. */
function differenceLines(before: string, after: string): readonly string[] | null {
  if (before.length + after.length > COMPARED_CHARS_MAX) return null;
  const options = { context: 3, timeout: COMPARE_TIMEOUT_MS };
  const patch = structuredPatch('', '', before, after, '', '', options);
  if (patch === undefined) return null;
  return patch.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`,
    ...lines,
  ]);
}

function editsIn(
  value: unknown,
  { file, depth }: { readonly file: string; readonly depth: number },
): readonly Edit[] {
  if (depth > DEPTH_MAX) return [];
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.slice(0, EDITS_MAX).flatMap((item) => editsIn(item, { file, depth: depth + 1 }));
  }
  const parsed = Fields.safeParse(value);
  if (!parsed.success) return [];
  const fields = parsed.data;
  const named = FILE_NAMES.map((name) => fields[name]).find((each) => typeof each === 'string');
  const here = typeof named === 'string' ? named : file;
  for (const [first, second] of NAMES) {
    const [before, after] = [fields[first], fields[second]];
    if (typeof before === 'string' && typeof after === 'string') {
      return [{ file: here, before, after }];
    }
  }
  return Object.values(fields).flatMap((inner) => editsIn(inner, { file: here, depth: depth + 1 }));
}
