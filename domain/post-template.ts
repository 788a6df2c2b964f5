import { AppError } from './error.ts';

/** A document that posts are made from: what is said is the body, with values where it names placeholders. */
export interface PostTemplate {
  readonly body: string;
  /** Name → the most characters its value may have. */
  readonly placeholders: ReadonlyMap<string, number>;
}

const FRONT_MATTER = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/;
const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g;
const NAME = /^([a-z][a-z0-9_]{0,40})(?:\((\d{1,4})\))?$/;
/** What a name, a number or a short sentence takes. */
const VALUE_CHARS = 200;
const PLACEHOLDERS_MAX = 20;
/** Line ends and other controls, and marks that turn the direction of text: a value is one line and looks like one. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/**
 * Parses front matter with a line `placeholders: name, other(40)` and a body that has `{{name}}`. Whatever it names must
 * be said, and nothing else may be. Throws `invalid_input`.
 */
export function parsePostTemplate(text: string): PostTemplate {
  const [, head = null, body = ''] = FRONT_MATTER.exec(text.replaceAll('\r\n', '\n')) ?? [];
  if (head === null) throw bad('begins with front matter between two lines of ---');
  if (body.trim() === '') throw bad('has a text after its front matter');
  const placeholders = placeholdersOf(head);
  const used = new Set([...body.matchAll(PLACEHOLDER)].map(([, name = '']) => name));
  for (const name of used) if (!placeholders.has(name)) throw bad(`lists the placeholder ${name}`);
  for (const name of placeholders.keys()) if (!used.has(name)) throw bad(`uses ${name}`);
  return { body: body.trim(), placeholders };
}

function placeholdersOf(head: string): ReadonlyMap<string, number> {
  const line = head.split('\n').find((each) => each.startsWith('placeholders:')) ?? '';
  const names = line.slice('placeholders:'.length).trim();
  const found = new Map<string, number>();
  if (names === '') return found;
  for (const each of names.split(',')) {
    const [, name = '', chars = String(VALUE_CHARS)] = NAME.exec(each.trim()) ?? [];
    if (name === '') throw bad('names placeholders as `name` or `name(40)`, with commas between');
    if (found.has(name)) throw bad(`names ${name} once`);
    found.set(name, Number(chars));
  }
  if (found.size > PLACEHOLDERS_MAX) throw bad(`has ${PLACEHOLDERS_MAX} placeholders at most`);
  return found;
}

/** Exactly its placeholders get values, each one line; a value that looks like a placeholder stays as it is. */
export function renderPost(
  { body, placeholders }: PostTemplate,
  values: Readonly<Record<string, string>>,
): string {
  for (const name of Object.keys(values)) {
    if (!placeholders.has(name)) throw new AppError('invalid_input', `It has no ${name}.`);
  }
  for (const [name, charsMax] of placeholders) checkValue(name, values[name], charsMax);
  return body.replaceAll(PLACEHOLDER, (_match, name: string) => values[name] ?? '');
}

function checkValue(name: string, value: string | undefined, charsMax: number): void {
  if (value === undefined) throw new AppError('invalid_input', `A value for ${name} is missing.`);
  if (value.length > charsMax)
    throw new AppError('invalid_input', `${name} has ${charsMax} characters at most.`);
  if (UNSEEN.test(value) || !value.isWellFormed())
    throw new AppError('invalid_input', `${name} is one line of characters that can be seen.`);
}

function bad(what: string): AppError {
  return new AppError('invalid_input', `A document that posts are made from ${what}.`);
}
