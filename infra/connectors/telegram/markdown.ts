import type { ChatSpan } from '../../../domain/chat.ts';

/** Of the Bot API's MarkdownV2: everything that means something there, and the backslash itself. */
const SPECIAL = /[\\_*[\]()~`>#+\-=|{}.!]/g;
/** Inside code only these end it. */
const SPECIAL_IN_CODE = /[\\`]/g;
const SPECIAL_IN_URL = /[\\)]/g;

/** MarkdownV2 of spans. Whatever is in their text stays text. */
export function renderMarkdown(spans: readonly ChatSpan[]): string {
  return joined(spans).map(renderSpan).join('');
}

/** Neighbours of one style become one, since the end of one and the beginning of the next would read as another mark. */
function joined(spans: readonly ChatSpan[]): readonly ChatSpan[] {
  const result: ChatSpan[] = [];
  for (const span of spans) {
    if (span.text === '') continue;
    const last = result.at(-1);
    if (last !== undefined && last.style === span.style && last.href === span.href)
      result[result.length - 1] = { ...last, text: last.text + span.text };
    else result.push(span);
  }
  return result;
}

function renderSpan({ text, style, href }: ChatSpan): string {
  // Code has no links in it.
  if (style === 'code') return `\`${text.replaceAll(SPECIAL_IN_CODE, escaped)}\``;
  if (style === 'block') return `\`\`\`\n${text.replaceAll(SPECIAL_IN_CODE, escaped)}\`\`\``;
  const plain = text.replaceAll(SPECIAL, escaped);
  const shown = style === 'bold' ? `*${plain}*` : plain;
  const url = href === undefined ? null : linkTo(href);
  return url === null ? shown : `[${shown}](${url.replaceAll(SPECIAL_IN_URL, escaped)})`;
}

function escaped(character: string): string {
  return `\\${character}`;
}

/** Only links that a browser opens: others are what attackers make people press. */
function linkTo(href: string): string | null {
  const url = URL.parse(href);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : null;
}
