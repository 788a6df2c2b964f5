import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatSpan } from '../../../../domain/chat.ts';
import { renderSpans } from '../../../../infra/connectors/discord/text.ts';
import { visibleText } from '../../../../infra/connectors/safe-text.ts';
import { readDiscord } from '../../../support/chat/discord-markdown.ts';

/** Text made of what means something to Discord, with some that does not. */
const hostile = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc
    .array(
      fc.constantFrom(
        ...Array.from('*_~|`<>#+-.()[]@:\\ \n1aZ/!&'),
        '```',
        '**',
        '||',
        '@everyone',
        '<@1>',
        '<@&2>',
        '<#3>',
        '<t:0:R>',
        'https://evil.example/x',
        '[a](https://evil.example)',
        ':smile:',
        '\u202e',
        '\u200b',
        'z\u0300\u0301\u0302\u0303\u0304\u0305\u0306',
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join('')),
);
/** Spaces alone are no block for Discord, and show as three backticks. */
const written = hostile.filter((text) => text.trim() !== '');
const styled: fc.Arbitrary<ChatSpan> = fc.oneof(
  hostile.map((text) => ({ text })),
  hostile.map((text) => ({ text, style: 'bold' as const })),
  hostile.map((text) => ({ text, href: 'https://rookery.example/a?b=(c)>' })),
);

function renderLink(href: string): string {
  return renderSpans([{ text: 'here', href }], 2_000).markdown;
}

describe('what is said on Discord', () => {
  test('any text reads as it is, and is no markup, mention or link', () => {
    fc.assert(
      fc.property(fc.array(styled, { maxLength: 5 }), (spans) => {
        const { markdown, isWhole } = renderSpans(spans, 100_000);
        expect(isWhole).toBe(true);
        expect(readDiscord(markdown)).toBe(spans.map(({ text }) => visibleText(text)).join(''));
      }),
      { numRuns: 500 },
    );
  });

  test('nothing gets out of code: no text in it ends it', () => {
    fc.assert(
      fc.property(written, fc.constantFrom('code', 'block'), (text, style) => {
        const { markdown } = renderSpans(
          [{ text: 'a' }, { text, style: style === 'code' ? 'code' : 'block' }, { text: 'b' }],
          100_000,
        );
        const read = readDiscord(markdown).replaceAll(/\s+/g, '');
        const inside = visibleText(text).replaceAll(/\s+/g, '');
        expect(read).toBe(`a${inside}b`);
      }),
      { numRuns: 500 },
    );
  });

  test('what is too long is cut within its style, and says that there is more', () => {
    fc.assert(
      fc.property(written, fc.constantFrom('code', 'block', 'bold', undefined), (part, style) => {
        const text = part.repeat(Math.ceil(3_000 / part.length));
        const span = style === undefined ? { text } : { text, style };
        const { markdown, isWhole } = renderSpans([{ text: 'first ' }, span], 2_000);
        expect(isWhole).toBe(false);
        expect(markdown.length).toBeLessThanOrEqual(2_000);
        expect(markdown).toMatch(/attached\*$/);
      }),
      { numRuns: 200 },
    );
  });

  test('a link opens only what a browser opens', () => {
    expect(renderLink('https://example.com/a b>(c)')).toBe(
      '[here](<https://example.com/a%20b%3E%28c%29>)',
    );
    expect(renderLink('javascript:alert(1)')).toBe('here');
    expect(renderLink('discord://open')).toBe('here');
    expect(renderLink('no address')).toBe('here');
  });

  test('a megabyte is cut quickly', () => {
    const began = performance.now();
    renderSpans([{ text: '`*_'.repeat(350_000) }], 2_000);
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});
