import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatSpan } from '../../../../domain/chat.ts';
import { plainTextOf, visibleText } from '../../../../infra/connectors/safe-text.ts';
import { renderMarkdown } from '../../../../infra/connectors/telegram/markdown.ts';
import { MarkupError, parseMarkdownV2 } from '../../../support/chat/telegram-markdown.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom(...'\\_*[]()~`>#+-=|{}.! \nab'.split('')), maxLength: 30 }),
);
const span: fc.Arbitrary<ChatSpan> = fc.oneof(
  text.map((value) => ({ text: value })),
  fc.tuple(text, fc.constantFrom('bold', 'code', 'block')).map(([value, style]): ChatSpan => ({
    text: value,
    style: style === 'bold' || style === 'code' ? style : 'block',
  })),
  fc
    .tuple(text, fc.webUrl({ withQueryParameters: true, withFragments: true }))
    .map(([value, href]) => ({ text: value, href })),
);

test('any text in any style reads as itself, by the rules of the Bot API', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 6 }), (spans) => {
      const shown = spans.map((each) => ({ ...each, text: visibleText(each.text) }));
      expect(parseMarkdownV2(renderMarkdown(shown)).text).toBe(plainTextOf(shown));
    }),
    { numRuns: 2_000 },
  );
});

test('styles are where they were asked for', () => {
  const { entities, text: read } = parseMarkdownV2(
    renderMarkdown([
      { text: 'Run ' },
      { text: 'rm -rf *', style: 'code' },
      { text: '?', style: 'bold' },
      { text: ' docs', href: 'https://example.com/a_(b)' },
    ]),
  );
  expect(read).toBe('Run rm -rf *? docs');
  expect(entities).toEqual([
    { type: 'code', offset: 4, length: 8 },
    { type: 'bold', offset: 12, length: 1 },
    { type: 'text_link', offset: 13, length: 5 },
  ]);
});

test('only links that a browser opens become links', () => {
  // oxlint-disable-next-line no-script-url -- that is what is refused
  for (const href of [
    'javascript:alert(1)',
    'tg://resolve?domain=x',
    'nonsense',
    'data:text/html,x',
  ]) {
    expect(parseMarkdownV2(renderMarkdown([{ text: 'press', href }])).entities).toEqual([]);
  }
});

describe('the reader of the test server refuses what the real one refuses', () => {
  test.each([
    ['a dot', 'Hello.'],
    ['an open bold', '*bold'],
    ['an open code', '`code'],
    ['an open block', '```\ncode``'],
    ['an open link', '[text](https://example.com'],
    ['a dash', '- item'],
  ])('%s', (_what, markup) => {
    expect(() => parseMarkdownV2(markup)).toThrow(MarkupError);
  });

  test('and reads what the real one reads', () => {
    expect(parseMarkdownV2(String.raw`*a* _b_ __c__ ~d~ ||e|| [f](http://x) \. \\`).text).toBe(
      String.raw`a b c d e f . \\`.replace('\\\\', '\\'),
    );
    expect(parseMarkdownV2('```python\nx = 1```').text).toBe('x = 1');
  });
});
