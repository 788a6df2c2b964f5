import type { ChatSpan } from '../../domain/chat.ts';

/** What turns the direction of text, or is not seen at all: a name made of it reads as another one. */
const UNSEEN = /[\p{Cf}\p{Cc}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** More marks on one letter than any language needs climb over the lines around it. */
const PILES = /(\p{M}{2})\p{M}+/gu;
/** The longest name or title that is shown in one line. */
const LINE_CHARS_MAX = 200;

/** One line for people, of a text that somebody else wrote: no control characters, turned directions or piled marks. */
export function cleanLine(text: string, lengthMax = LINE_CHARS_MAX): string {
  const line = text
    .slice(0, 4 * lengthMax)
    .toWellFormed()
    .normalize('NFC')
    .replaceAll(/[\t\n\r\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(UNSEEN, '')
    .replaceAll(PILES, '$1')
    .replaceAll(/ {2,}/g, ' ')
    .trim();
  return cut(line, lengthMax);
}

/** Several lines, cleaned in the same way. */
export function cleanText(text: string, lengthMax: number): string {
  const lines = text
    .slice(0, lengthMax + 1)
    .toWellFormed()
    .split(/\r\n|[\n\r\p{Zl}\p{Zp}]/u)
    .map((line) =>
      line.replaceAll('\t', '  ').normalize('NFC').replaceAll(UNSEEN, '').replaceAll(PILES, '$1'),
    );
  return cut(lines.join('\n').trim(), lengthMax);
}

/**
 * For payloads: nothing is left out, since people decide about all of it. What cannot be seen, or turns what can, is
 * shown by its number as in JSON.
 */
export function visibleText(text: string): string {
  return text
    .replaceAll(/[^\n\t\P{C}]|[\p{Zl}\p{Zp}]/gu, escaped)
    .replaceAll(/(?<=\p{M}{2})\p{M}/gu, escaped);
}

function escaped(character: string): string {
  let text = '';
  for (let index = 0; index < character.length; index += 1) {
    text += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }
  return text;
}

/** Counted and cut by whole characters, as a half of one is not text. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text.slice(0, lengthMax - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Longer than any run of backticks in it, so that a text cannot end its own block. */
export function fenced(text: string): string {
  const runs = text.match(/`+/g) ?? [];
  const fence = '`'.repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
  return `${fence}\n${text}\n${fence}`;
}

export function plain(text: string): ChatSpan {
  return { text };
}

export function bold(text: string): ChatSpan {
  return { text, style: 'bold' };
}

export function code(text: string): ChatSpan {
  return { text, style: 'code' };
}

export function block(text: string): ChatSpan {
  return { text, style: 'block' };
}

/** How it reads without styles, for records. */
export function wordsOf(spans: readonly ChatSpan[]): string {
  return spans.map(({ text }) => text).join('');
}
