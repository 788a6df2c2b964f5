import { expect, test } from 'vitest';
import { parsePostTemplate, renderPost } from '../../domain/post-template.ts';

const text = '---\nname: release\nplaceholders: version(8), who\n---\n{{version}} by {{ who }}.\n';

test('exactly its placeholders get values', () => {
  const template = parsePostTemplate(text);
  expect(renderPost(template, { version: '1.0', who: 'Ada' })).toBe('1.0 by Ada.');
  // A value is no template, and `$&` means nothing.
  expect(renderPost(template, { version: '$&', who: '{{version}}' })).toBe('$& by {{version}}.');
});

test.each([
  ['one missing', { version: '1.0' }],
  ['one too many', { version: '1.0', who: 'Ada', more: 'x' }],
  ['one too long', { version: '123456789', who: 'Ada' }],
  ['a second line', { version: '1.0', who: 'Ada\nBuy now' }],
  ['a mark that turns the text', { version: '1.0', who: '\u202eadA' }],
  ['half a character', { version: '1.0', who: '\ud800' }],
])('values with %s are refused', (_what, values) => {
  expect(() => renderPost(parsePostTemplate(text), values)).toThrow(
    expect.objectContaining({ code: 'invalid_input' }),
  );
});

test.each([
  ['no front matter', 'Hello.'],
  ['no body', '---\nplaceholders:\n---\n'],
  ['a placeholder nobody named', '---\na: b\n---\nHello {{who}}.'],
  ['a placeholder nobody uses', '---\nplaceholders: who\n---\nHello.'],
  ['a name twice', '---\nplaceholders: who, who\n---\nHello {{who}}.'],
  ['a strange name', '---\nplaceholders: __proto__\n---\nHello {{__proto__}}.'],
])('a document with %s is no template', (_what, document) => {
  expect(() => parsePostTemplate(document)).toThrow(
    expect.objectContaining({ code: 'invalid_input' }),
  );
});
