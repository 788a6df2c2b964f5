/** Where markup does something that the reader of a test would not see in the text. */
const MARK = '⟦markup⟧';

type Rule = readonly [RegExp, (match: RegExpExecArray) => string];

/** Discord's rules as its clients have them, as far as they change what is read. The first that fits wins. */
const RULES: readonly Rule[] = [
  [/^\\([^0-9A-Za-z\s])/, (match) => match[1] ?? ''],
  [/^```(?:[a-z0-9_+\-.#]+?\n)?\n*([^\n][\s\S]*?)\n*```/i, (match) => match[1] ?? ''],
  [/^(`+)([\s\S]*?[^`])\1(?!`)/, (match) => (match[2] ?? '').replace(/^ (?=`)|(?<=`) $/g, '')],
  [/^\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)/, (match) => readDiscord(match[1] ?? '')],
  [/^\[((?:\\[\s\S]|[^\\\]])+)\]\(<(https?:[^\s<>]+)>\)/, (match) => readDiscord(match[1] ?? '')],
  [/^\*((?:\\[\s\S]|[^\\*])+?)\*/, () => MARK],
  [/^_((?:\\[\s\S]|[^\\])+?)_/, () => MARK],
  [/^~~[\s\S]+?~~/, () => MARK],
  [/^\|\|[\s\S]+?\|\|/, () => MARK],
  [/^<(?:@[!&]?|#|t:|a?:|\/|id:|https?:)[^>\n]*>/, () => MARK],
  [/^@(?:everyone|here)/, () => MARK],
  [/^https?:\/\/[^\s<]+/, () => MARK],
  [/^:[a-z0-9_+-]+:/i, () => MARK],
];
/** Only at the beginning of a line. */
const LINE_RULES: readonly RegExp[] = [/^ *(?:>>>|>) /, /^ *-?#{1,3} /, /^ *[-*] /, /^ *\d+\. /];

/** What a person reads of a message's content. */
export function readDiscord(markdown: string): string {
  let read = '';
  let rest = markdown;
  let isLineStart = true;
  while (rest !== '') {
    const atLine = isLineStart ? LINE_RULES.some((rule) => rule.test(rest)) : false;
    if (atLine) read += MARK;
    const [length, text] = readOne(rest);
    isLineStart = text.endsWith('\n') && length === 1;
    read += text;
    rest = rest.slice(length);
  }
  // What keeps styles and quotes apart is not seen.
  return read.replaceAll('\u200b', '');
}

function readOne(rest: string): readonly [number, string] {
  for (const [pattern, act] of RULES) {
    const match = pattern.exec(rest);
    if (match !== null) return [match[0].length, act(match)];
  }
  return [1, rest[0] ?? ''];
}
