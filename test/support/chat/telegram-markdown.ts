/** What a message reads as, and where its styles are. */
export interface ParsedMarkup {
  readonly text: string;
  readonly entities: readonly {
    readonly type: string;
    readonly offset: number;
    readonly length: number;
  }[];
}

/** What Telegram answers to markup that it cannot read. */
export class MarkupError extends Error {
  override readonly name = 'MarkupError';
}

const RESERVED = '_*[]()~`>#+-=|{}.!';
const MARKS = {
  '*': 'bold',
  _: 'italic',
  __: 'underline',
  '~': 'strikethrough',
  '||': 'spoiler',
  '`': 'code',
  '```': 'pre',
  '[': 'text_link',
} as const;
type Mark = keyof typeof MARKS;

interface Open {
  readonly mark: Mark;
  /** In the text without markup. */
  readonly offset: number;
  /** Bytes of the markup before it, as the real server counts. */
  readonly at: number;
}

/**
 * Reads MarkdownV2 by the rules of the Bot API ("MarkdownV2 style"): a backslash makes any ASCII character plain, every
 * reserved one must be escaped, in code only the backtick ends it, and what was opened must be closed.
 */
export function parseMarkdownV2(markup: string): ParsedMarkup {
  const open: Open[] = [];
  const entities: { type: string; offset: number; length: number }[] = [];
  let text = '';
  let index = 0;
  const bytesBefore = (): number => Buffer.byteLength(markup.slice(0, index));
  const close = (mark: Mark): void => {
    const opened = open.pop();
    if (opened === undefined) return;
    const length = text.length - opened.offset;
    if (length > 0) entities.push({ type: MARKS[mark], offset: opened.offset, length });
  };

  while (index < markup.length) {
    const character = markup.charAt(index);
    const inner = open.at(-1)?.mark ?? null;
    const next = markup.charCodeAt(index + 1);
    if (character === '\\' && next >= 1 && next <= 126) {
      text += markup.charAt(index + 1);
      index += 2;
      continue;
    }
    if (inner === '`' || inner === '```') {
      if (markup.startsWith(inner, index)) {
        close(inner);
        index += inner.length;
      } else {
        text += character;
        index += 1;
      }
      continue;
    }
    if (!RESERVED.includes(character)) {
      text += character;
      index += 1;
      continue;
    }
    if (character === ']' && inner === '[') {
      close('[');
      index = afterUrl(markup, index + 1);
      continue;
    }
    const mark = markAt(markup, index);
    if (mark === null) {
      throw new MarkupError(
        `can't parse entities: Character '${character}' is reserved and must be escaped with the preceding '\\'`,
      );
    }
    if (inner === mark) {
      close(mark);
      index += mark.length;
      continue;
    }
    open.push({ mark, offset: text.length, at: bytesBefore() });
    index += mark.length;
    if (mark === '```') index = afterLanguage(markup, index);
  }
  const left = open.at(-1);
  if (left !== undefined) {
    const name = MARKS[left.mark];
    throw new MarkupError(
      `can't parse entities: Can't find end of ${name} entity at byte offset ${left.at}`,
    );
  }
  return { text, entities };
}

function markAt(markup: string, index: number): Mark | null {
  for (const mark of ['```', '`', '||', '__', '_', '*', '~', '['] as const) {
    if (markup.startsWith(mark, index)) return mark;
  }
  return null;
}

/** A block may name its language; the first line break is not part of it. */
function afterLanguage(markup: string, start: number): number {
  let index = start;
  while (index < markup.length && !/[\s`]/.test(markup.charAt(index))) index += 1;
  // What is followed by the end of the block was its text.
  if (index >= markup.length || markup.charAt(index) === '`') index = start;
  if (!/[\r\n]/.test(markup.charAt(index))) return index;
  const isPair = /\r\n|\n\r/.test(markup.slice(index, index + 2));
  return index + (isPair ? 2 : 1);
}

function afterUrl(markup: string, start: number): number {
  if (markup.charAt(start) !== '(') return start;
  for (let index = start + 1; index < markup.length; index += 1) {
    if (markup.charAt(index) === '\\') index += 1;
    else if (markup.charAt(index) === ')') return index + 1;
  }
  const at = Buffer.byteLength(markup.slice(0, start));
  throw new MarkupError(`can't parse entities: Can't find end of a URL at byte offset ${at}`);
}
