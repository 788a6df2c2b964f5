import type { ChatSpan } from '../../domain/chat.ts';

/**
 * Characters that change how the text around them looks, or cannot be seen: direction overrides and isolates, invisible
 * spaces and operators, tags, C1 controls. What somebody is asked to approve must not read otherwise than it is.
 * Joiners (U+200C, U+200D) and variation selectors stay: words and emoji are made of them.
 */
const DECEPTIVE =
  /[\u0080-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
/** Languages that are written with marks need two or three on one letter; more only bury the lines around them. */
const MARKS_MAX = 4;
const MARKS = new RegExp(`(\\p{M}{${MARKS_MAX}})(\\p{M}+)`, 'gu');

/** Text as a network may show it: the same, with what cannot be seen made visible. Doing it twice changes nothing. */
export function visibleText(text: string): string {
  return (
    text
      .toWellFormed()
      .replaceAll(/\r\n?/g, '\n')
      // oxlint-disable-next-line no-control-regex -- these are what is looked for
      .replaceAll(/[\u0000-\u0008\u000b-\u001f]/g, (control) =>
        String.fromCodePoint(0x24_00 + (control.codePointAt(0) ?? 0)),
      )
      .replaceAll('\u007f', '\u2421')
      .replaceAll(DECEPTIVE, codeOf)
      .replaceAll(
        MARKS,
        (_all, kept: string, more: string) => `${kept}[+${Array.from(more).length} marks]`,
      )
  );
}

function codeOf(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `[U+${code}]`;
}

export function plainTextOf(spans: readonly ChatSpan[]): string {
  return spans.map(({ text }) => text).join('');
}

/** The first `lengthMax` UTF-16 units of it; never half of a character. */
export function cutText(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const cut = text.slice(0, Math.max(0, lengthMax));
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}

/** Spans whose text is visible and at most `lengthMax` long together; one that is cut ends in `…`. */
export function fitSpans(
  spans: readonly ChatSpan[],
  lengthMax: number,
): { readonly spans: readonly ChatSpan[]; readonly isCut: boolean } {
  const visible = spans.map((span) => ({ ...span, text: visibleText(span.text) }));
  if (plainTextOf(visible).length <= lengthMax) return { spans: visible, isCut: false };
  const fitting: ChatSpan[] = [];
  // A character for what says that there is more.
  let left = lengthMax - 1;
  for (const span of visible) {
    const text = cutText(span.text, left);
    if (text !== '') fitting.push({ ...span, text });
    left -= text.length;
    if (text.length < span.text.length) break;
  }
  return { spans: [...fitting, { text: '…' }], isCut: true };
}
