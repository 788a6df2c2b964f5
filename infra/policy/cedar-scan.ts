/** One statement of a policy's text: from its first annotation to its semicolon. */
export interface Statement {
  readonly text: string;
  /** In characters, of the whole text. */
  readonly start: number;
}

/**
 * Cuts a text into its statements, in their order. Cedar's own way of doing that sorts them by name and forgets where
 * they were. Semicolons in texts and comments end nothing. What follows the last semicolon is a statement too, so that
 * Cedar says what it lacks.
 */
export function statementsOf(text: string): Statement[] {
  const statements: Statement[] = [];
  let start = skipBlank(text, 0);
  let at = start;
  while (at < text.length) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else if (text.startsWith('//', at)) at = endOfLine(text, at);
    else at += 1;
    if (char !== ';') continue;
    statements.push({ text: text.slice(start, at), start });
    start = skipBlank(text, at);
    at = start;
  }
  if (start < text.length) statements.push({ text: text.slice(start), start });
  return statements;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    if (text.startsWith('//', at)) at = endOfLine(text, at);
    else if (/\s/.test(text.charAt(at))) at += 1;
    else break;
  }
  return at;
}

function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end + 1;
}

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Of a character; both begin at 1. */
export function positionOf(text: string, at: number): Position {
  const lines = text.slice(0, at).split('\n');
  const last = lines.at(-1) ?? '';
  return { line: lines.length, column: Array.from(last).length + 1 };
}

/** Cedar counts bytes of UTF-8. */
export function characterAt(text: string, byte: number): number {
  return Buffer.from(text).subarray(0, byte).toString().length;
}
