import { visibleText } from '../connectors/safe-text.ts';

/** All of ASCII that means something in some Markdown: CommonMark shows each as it is after a backslash. */
const SPECIAL = /[!#$&()*+\-.:<=>@[\\\]^_`{|}~]/g;

/** One line of text that Markdown shows as it is: no heading, list, link, image, mention, tag or markup comes of it. */
export function literal(text: string): string {
  return visibleText(text)
    .replaceAll(/[\n\t]+/g, ' ')
    .replaceAll(SPECIAL, '\\$&');
}

/** Any text as a quote: line by line, so that nothing of it is at the beginning of one. */
export function quoted(text: string): string {
  return visibleText(text)
    .split('\n')
    .map((line) => (line.trim() === '' ? '>' : `> ${quotedLine(line)}\\`))
    .join('\n')
    .replace(/\\$/, '');
}

/** Spaces at the beginning would make code of it, and at the end a break; Markdown drops both from other text. */
function quotedLine(line: string): string {
  const [, indent = '', rest = ''] = /^([ \t]*)(.*?)[ \t]*$/.exec(line) ?? [];
  const spaces = indent.replaceAll('\t', '    ').replaceAll(' ', '&nbsp;');
  return spaces + rest.replaceAll('\t', ' ').replaceAll(SPECIAL, '\\$&');
}

/** Text in a fence that nothing in it can close: it is longer than every run of backticks in there. */
export function fenced(text: string, language: string): string {
  const runs = text.match(/`+/g) ?? [];
  const longest = runs.reduce((max, run) => Math.max(max, run.length), 2);
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${visibleText(text)}\n${fence}`;
}

/** A value of front matter: JSON's strings are YAML's too. */
export function frontMatterValue(value: string | number | boolean | null): string {
  return typeof value === 'string' ? JSON.stringify(visibleText(value)) : String(value);
}
