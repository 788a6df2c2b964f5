import { plain } from '../text.ts';
import { head, isNarrow, SEGMENTER, span, widthOfSegment, widthOfText } from './line.ts';
import type { Block, Line, Tone } from './model.ts';

/** Below this a label and its text stand under each other. */
const LABEL_ROOM_MAX = 16;

interface Wrapped {
  readonly width: number;
  readonly room: number;
  readonly lines: readonly Line[];
}

/** A large payload is wrapped once for each width, not for each key that is pressed. */
const wrapped = new WeakMap<Block, Wrapped>();

/** All lines of the blocks for so many columns. */
export function linesOf(
  blocks: readonly Block[],
  width: number,
  ago: (iso: string) => string,
): readonly Line[] {
  const room = labelRoom(blocks);
  return blocks.flatMap((block) => {
    const known = wrapped.get(block);
    if (known !== undefined && known.width === width && known.room === room) return known.lines;
    const lines = blockLines(block, { width, room, ago });
    // A time is another one at each look.
    if (!('at' in block)) wrapped.set(block, { width, room, lines });
    return lines;
  });
}

interface Room {
  readonly width: number;
  readonly room: number;
  readonly ago: (iso: string) => string;
}

function labelRoom(blocks: readonly Block[]): number {
  const labels = blocks.flatMap((block) => (block.kind === 'fact' ? [block.label.length] : []));
  return Math.min(LABEL_ROOM_MAX, Math.max(0, ...labels)) + 2;
}

function blockLines(block: Block, { width, room, ago }: Room): readonly Line[] {
  switch (block.kind) {
    case 'words':
      return wrapWords(block.text, width).map((text) => [span(text, block.tone ?? 'plain')]);
    case 'heading':
      return [[], [span(block.text, 'strong')]];
    case 'fact': {
      const text = 'at' in block ? `${ago(block.at)} (${block.at})` : block.text;
      const tone: Tone = 'at' in block ? 'plain' : (block.tone ?? 'plain');
      return wrapWords(text, width - room).map((part, index) => [
        span((index === 0 ? block.label : '').padEnd(room), 'dim'),
        span(part, tone),
      ]);
    }
    case 'quote':
      return hardLines(block.text, width - 2).map((text) => [span('│ ', 'dim'), span(text)]);
    case 'diff':
      return block.lines.flatMap((text) =>
        hardLines(text, width - 2).map((part): Line => [
          span('│ ', 'dim'),
          span(part, diffTone(text)),
        ]),
      );
    case 'screen':
      return block.lines.map((text) => [span('│ ', 'dim'), span(text)]);
  }
}

function diffTone(text: string): Tone {
  if (text.startsWith('@@')) return 'accent';
  if (text.startsWith('+')) return 'good';
  return text.startsWith('-') ? 'bad' : 'plain';
}

/** At blanks where there are any, so that words stay whole; the indentation of a line is kept. */
export function wrapWords(text: string, width: number): readonly string[] {
  return plain(text)
    .split('\n')
    .flatMap((given) => wrapLine(given.replaceAll('\t', '  '), Math.max(8, width)));
}

function wrapLine(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  while (widthOfText(rest) > width) {
    const part = head(rest, width) || (rest[0] ?? '');
    const space = rest[part.length] === ' ' ? part.length : part.lastIndexOf(' ');
    const end = space > 0 && part.slice(0, space).trim() !== '' ? space : part.length;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

/** Every character stays where it is: for what is decided about. Goes through the text once, however long it is. */
function hardLines(text: string, width: number): readonly string[] {
  const room = Math.max(8, width);
  return plain(text)
    .split('\n')
    .flatMap((given) => hardLine(given.replaceAll('\t', '    '), room));
}

function hardLine(text: string, room: number): readonly string[] {
  if (isNarrow(text)) return slices(text, room);
  const lines: string[] = [];
  let current = '';
  let used = 0;
  for (const { segment } of SEGMENTER.segment(text)) {
    const size = widthOfSegment(segment);
    if (used + size > room) {
      lines.push(current);
      current = '';
      used = 0;
    }
    current += segment;
    used += size;
  }
  return [...lines, current];
}

function slices(text: string, room: number): readonly string[] {
  const count = Math.max(1, Math.ceil(text.length / room));
  return Array.from({ length: count }, (_each, index) =>
    text.slice(index * room, (index + 1) * room),
  );
}
