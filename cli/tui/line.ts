import stringWidth from 'string-width';
import { plainLine, type Paint, type Style } from '../text.ts';
import type { Line, Span, Tone } from './model.ts';

export interface Look {
  readonly paint: Paint;
  /** Nothing but ASCII is drawn. */
  readonly isAscii: boolean;
}

const STYLES: Readonly<Record<Tone, Style | null>> = {
  plain: null,
  dim: 'dim',
  strong: 'bold',
  good: 'green',
  warn: 'yellow',
  bad: 'red',
  accent: 'cyan',
  title: ['bold', 'inverse'],
};

export const SEGMENTER = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

export function widthOfText(text: string): number {
  return isNarrow(text) ? text.length : stringWidth(text);
}

/**
 * Latin, Greek and Cyrillic letters and lines of boxes: one column each, none of them joined to another. Measuring any
 * other text takes a hundred times as long.
 */
export function isNarrow(text: string): boolean {
  return /^[\u0020-\u007e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2500-\u257f]*$/.test(
    text,
  );
}

const measured = new Map<string, number>();
const MEASURED_MAX = 20_000;

/** Of one grapheme; a text has few different ones, and looking up is faster than measuring. */
export function widthOfSegment(segment: string): number {
  const known = measured.get(segment);
  if (known !== undefined) return known;
  if (measured.size >= MEASURED_MAX) measured.clear();
  const width = stringWidth(segment);
  measured.set(segment, width);
  return width;
}

export function widthOfLine(spans: Line): number {
  return spans.reduce((sum, { text }) => sum + widthOfText(text), 0);
}

export function span(text: string, tone: Tone = 'plain'): Span {
  return { text: plainLine(text), tone };
}

export function line(text: string, tone: Tone = 'plain'): Line {
  return [span(text, tone)];
}

/** Exactly so many columns: cut with an ellipsis, or filled up with blanks. */
export function fitLine(given: Line, width: number): Line {
  const safe = given.map(({ text, tone = 'plain' }) => span(text, tone));
  const total = widthOfLine(safe);
  if (total <= width) return [...safe, { text: ' '.repeat(width - total) }];
  const kept: Span[] = [];
  let left = width - 1;
  for (const part of safe) {
    const text = head(part.text, left);
    left -= widthOfText(text);
    if (text !== '') kept.push({ ...part, text });
    if (text !== part.text) break;
  }
  return [...kept, { text: '…' }, { text: ' '.repeat(Math.max(0, left)) }];
}

/** As much of the beginning as fits into so many columns. */
export function head(text: string, width: number): string {
  if (width <= 0) return '';
  if (isNarrow(text)) return text.slice(0, width);
  let used = 0;
  let taken = '';
  for (const { segment } of SEGMENTER.segment(text)) {
    used += widthOfSegment(segment);
    if (used > width) break;
    taken += segment;
  }
  return taken;
}

/** Without its last character, as a person counts them. */
export function shortened(text: string): string {
  return [...SEGMENTER.segment(text)]
    .slice(0, -1)
    .map(({ segment }) => segment)
    .join('');
}

/** A line and another at the right edge; the right one stays whole. */
export function spread(left: Line, right: Line, width: number): Line {
  const room = Math.max(0, width - widthOfLine(right));
  return [...fitLine(left, room), ...fitLine(right, Math.min(width, widthOfLine(right)))];
}

/** The line as bytes for a terminal; as wide as it was. */
export function paintLine(given: Line, { paint, isAscii: isPlain }: Look): string {
  return given
    .map(({ text, tone = 'plain' }) => {
      const safe = isPlain ? asciiOf(plainLine(text)) : plainLine(text);
      const style = STYLES[tone];
      return style === null ? safe : paint(style, safe);
    })
    .join('');
}

const ASCII: Readonly<Record<string, string>> = {
  '…': '~',
  '│': '|',
  '─': '-',
  '▸': '>',
  '›': '>',
  '‹': '<',
  '●': '*',
  '○': 'o',
  '✓': '+',
  '✗': 'x',
  '·': '.',
  '–': '-',
  '—': '-',
  '⏎': '/',
  '•': '*',
  '→': '>',
  '←': '<',
  '↑': '^',
  '↓': 'v',
  '×': 'x',
  '█': '_',
  '“': '"',
  '”': '"',
  '’': "'",
};

function isAscii(text: string): boolean {
  return /^[\u0020-\u007e]*$/.test(text);
}

/** Of the same width, so that columns stay where they are. */
function asciiOf(text: string): string {
  if (isAscii(text)) return text;
  let out = '';
  for (const { segment } of SEGMENTER.segment(text)) {
    const known = ASCII[segment];
    out += known ?? (isAscii(segment) ? segment : '?'.repeat(stringWidth(segment)));
  }
  return out;
}
