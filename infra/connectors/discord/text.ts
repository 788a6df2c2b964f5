import type { ChatSpan } from '../../../domain/chat.ts';
import { visibleText } from '../safe-text.ts';

/** Everything that begins markup, a mention, an emoji, a timestamp, a list, a heading or a link. */
const SPECIAL = /[\\*_~|`<>#+\-.()[\]@:]/g;

/** Discord shows a character after a backslash as it is, and takes it for nothing else. */
function escapeMarkdown(text: string): string {
  return text.replaceAll(SPECIAL, '\\$&');
}

const ZERO_WIDTH_SPACE = '\u200b';

/** Discord has no escape inside code, so what would end it is taken apart. */
function insideCode(text: string): string {
  return text.replaceAll(/`(?=`)/g, `\`${ZERO_WIDTH_SPACE}`);
}

function code(text: string): string {
  return text.includes('`') ? `\`\` ${insideCode(text)} \`\`` : `\`${text}\``;
}

/** Always begun with a line of its own: a first line would be taken for a language. */
function block(text: string): string {
  return `\`\`\`\n${insideCode(text)}\n\`\`\``;
}

/** With its link, where it has one that can be opened: in angle brackets, which nothing in it can close. */
function linked(text: string, href: string | undefined): string {
  const url = href !== undefined && URL.canParse(href) ? new URL(href) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return text;
  const address = url.href.replaceAll(/[<>()\\\s]/g, percentEncoded);
  return `[${text}](<${address}>)`;
}

function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** One span as Discord's Markdown; empty for an empty one. `text` is visible already. */
function renderSpan(span: ChatSpan, text: string): string {
  if (text === '') return '';
  switch (span.style) {
    case 'block':
      return block(text);
    case 'code':
      return code(text);
    case 'bold':
      return linked(`**${escapeMarkdown(text)}**`, span.href);
    case undefined:
    default:
      return linked(escapeMarkdown(text), span.href);
  }
}

export interface Rendered {
  readonly markdown: string;
  /** False where it had to be cut: the rest belongs into a file. */
  readonly isWhole: boolean;
}

/** Said at the end of what was cut. */
const REST = '\n… *the whole text is attached*';

/** As much of the spans as fits into `max` characters. Nothing is cut within an escape or outside of its style. */
export function renderSpans(spans: readonly ChatSpan[], max: number): Rendered {
  let whole = '';
  let cut = '';
  let isCut = false;
  for (const span of spans) {
    const text = visibleText(span.text.slice(0, max * 2));
    const isShortened = span.text.length > max * 2;
    const next = join(whole, renderSpan(span, text));
    if (!isCut && (next + REST).length > max) {
      cut = join(whole, longestThatFits(span, text, max - whole.length - REST.length));
      isCut = true;
    }
    if (next.length > max || isShortened) {
      return { markdown: (isCut ? cut : next) + REST, isWhole: false };
    }
    whole = next;
  }
  return { markdown: whole, isWhole: true };
}

/** Two styles that touch would be read as one. */
function join(before: string, after: string): string {
  const touches = before !== '' && after !== '' && before.at(-1) === after[0];
  return touches && /[*`]/.test(after[0] ?? '')
    ? before + ZERO_WIDTH_SPACE + after
    : before + after;
}

/** The longest beginning of a span that is not longer than `max` when it is rendered. */
function longestThatFits(span: ChatSpan, text: string, max: number): string {
  const characters = Array.from(text);
  let low = 0;
  let high = characters.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (renderSpan(span, characters.slice(0, middle).join('')).length < max) low = middle;
    else high = middle - 1;
  }
  return renderSpan(span, characters.slice(0, low).join(''));
}
