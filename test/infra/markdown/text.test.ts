import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { visibleText } from '../../../infra/connectors/safe-text.ts';
import { fenced, frontMatterValue, literal, quoted } from '../../../infra/markdown/text.ts';

const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        '\n',
        '\n---\nstate: granted\n---\n',
        '\n# Approved\n',
        '![x](https://evil.example/beacon.png)',
        '[click](javascript:x)',
        '<img src=x>',
        '<!-- rookery:99 -->',
        '```',
        '~~~',
        '    code',
        '\t',
        '1. one',
        '- [x] done',
        '| a | b |',
        'www.evil.example https://evil.example',
        '&lt;',
        '[[wiki]] #tag ^ref $x$ :smile: @ada',
        '\u202e\u2066',
        '\\',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** What a reader of Markdown sees of a line that is all literal; throws where something in it means anything. */
function readLine(line: string): string {
  let read = '';
  for (let index = 0; index < line.length; index += 1) {
    const character = line[index] ?? '';
    if (character === '\\') {
      index += 1;
      read += line[index] ?? '';
    } else if (/[!#$&()*+\-.:<=>@[\]^_`{|}~]/.test(character)) {
      throw new Error(`Markup: ${line}`);
    } else read += character;
  }
  return read;
}

function readQuote(markdown: string): string {
  const lines = markdown.split('\n');
  return lines
    .map((line, index) => {
      if (line === '>') return '';
      expect(line.startsWith('> ')).toBe(true);
      const [, indent = '', rest = ''] = /^> ((?:&nbsp;)*)(.*)$/.exec(line) ?? [];
      const isLast = index === lines.length - 1;
      // The break at the end of each line but the last.
      const text = !isLast && rest.endsWith('\\') ? rest.slice(0, -1) : rest;
      return indent.replaceAll('&nbsp;', ' ') + readLine(text);
    })
    .join('\n');
}

function asShown(text: string): string {
  return visibleText(text)
    .split('\n')
    .map((line) => {
      const [, indent = '', rest = ''] = /^([ \t]*)(.*?)[ \t]*$/.exec(line) ?? [];
      return rest.trim() === '' ? '' : indent.replaceAll('\t', '    ') + rest.replaceAll('\t', ' ');
    })
    .join('\n');
}

describe('text in Markdown', () => {
  test('any text is a quote that reads as it is, and nothing in it means anything', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(readQuote(quoted(text))).toBe(asShown(text));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a name is one line, without markup', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const line = literal(text);
        expect(line).not.toContain('\n');
        expect(readLine(line)).toBe(visibleText(text).replaceAll(/[\n\t]+/g, ' '));
      }),
    );
  });

  test('nothing gets out of a fence or of a value of front matter', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const lines = fenced(text, 'json').split('\n');
        const fence = lines.at(-1) ?? '';
        expect(fence).toMatch(/^`{3,}$/);
        expect(lines[0]).toBe(`${fence}json`);
        for (const line of lines.slice(1, -1)) expect(line).not.toContain(fence);
        const field = frontMatterValue(text);
        expect(field).not.toContain('\n');
        expect(JSON.parse(field)).toBe(visibleText(text));
      }),
    );
  });
});
