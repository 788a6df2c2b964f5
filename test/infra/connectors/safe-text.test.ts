import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  cutText,
  fitSpans,
  plainTextOf,
  visibleText,
} from '../../../infra/connectors/safe-text.ts';

/** Whole Unicode, half characters, marks, and what turns the direction of text. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('\u202e', '\u2066', '\u0301', 'a', '\ud83d', '\u0000', '\u200b', '\n'), {
      maxLength: 40,
    })
    .map((parts) => parts.join('')),
);

test('what cannot be seen is shown, whatever the text', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const shown = visibleText(text);
      expect(shown).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\u061c\ufeff]/);
      expect(shown).not.toMatch(/\p{M}{5}/u);
      // oxlint-disable-next-line no-control-regex -- these must not be there
      expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      expect(shown.isWellFormed()).toBe(true);
      expect(visibleText(shown)).toBe(shown);
    }),
  );
});

test('plain text, other alphabets and emoji stay as they are', () => {
  for (const text of [
    'Hello, "world"!',
    'Здравствуйте',
    'שלום',
    '👩‍💻 👍🏽',
    'Việt Nam',
    'नमस्ते',
    'a\n\tb',
  ]) {
    expect(visibleText(text)).toBe(text);
  }
});

test('an override and a heap of marks are shown as what they are', () => {
  expect(visibleText('run \u202Egnp.exe')).toBe('run [U+202E]gnp.exe');
  expect(visibleText(`z${'\u0336'.repeat(50)}!`)).toBe(`z${'\u0336'.repeat(4)}[+46 marks]!`);
});

test('text is cut between characters, and says that there is more', () => {
  expect(cutText('ab👍', 3)).toBe('ab');
  fc.assert(
    fc.property(
      fc.array(anyText, { maxLength: 5 }),
      fc.integer({ min: 1, max: 50 }),
      (texts, max) => {
        const { spans, isCut } = fitSpans(
          texts.map((text) => ({ text })),
          max,
        );
        const text = plainTextOf(spans);
        expect(text.length).toBeLessThanOrEqual(max);
        expect(text.isWellFormed()).toBe(true);
        expect(isCut ? text.at(-1) : '…').toBe('…');
      },
    ),
  );
});
