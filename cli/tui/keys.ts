import type { Key as InkKey } from 'ink';

export interface Key {
  /** A named key, `ctrl-x`, or one grapheme that was typed. */
  readonly name: string;
  /** What it writes into a field. */
  readonly text: string;
  /** False where it came together with others: such a key never confirms anything. */
  readonly isAlone: boolean;
}

export type Typed =
  | { readonly kind: 'keys'; readonly keys: readonly Key[] }
  | { readonly kind: 'paste'; readonly text: string };

/** Nobody types so many different keys between two looks of a program; a paste without brackets does. */
const TYPED_TOGETHER_MAX = 24;

const SEGMENTER = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Keys that arrive in one chunk come as one string, and terminals without bracketed paste send pastes the same way. */
export function typedOf(input: string, key: Partial<InkKey>): Typed {
  if (key.eventType === 'release') return { kind: 'keys', keys: [] };
  const name = namedOf(key);
  if (name !== null) return { kind: 'keys', keys: [{ name, text: '', isAlone: true }] };
  if (key.ctrl === true || key.meta === true) {
    const prefix = key.ctrl === true ? 'ctrl' : 'alt';
    return { kind: 'keys', keys: [{ name: `${prefix}-${input}`, text: '', isAlone: true }] };
  }
  const parts = [...SEGMENTER.segment(input)].map(({ segment }) => segment);
  if (isPaste(parts)) return { kind: 'paste', text: input };
  const isAlone = parts.length === 1;
  return { kind: 'keys', keys: parts.map((part) => keyOf(part, isAlone)) };
}

/** Text with a line end inside it, or more than anybody types at once; a key that is held down is no paste. */
function isPaste(parts: readonly string[]): boolean {
  if (parts.length < 2 || parts.every((part) => part === parts[0])) return false;
  return (
    parts.length > TYPED_TOGETHER_MAX || parts.slice(0, -1).some((part) => /[\r\n]/.test(part))
  );
}

const CONTROLS: Readonly<Record<string, string>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\r\n': 'enter',
  '\t': 'tab',
  '\b': 'backspace',
  '\u007f': 'backspace',
  '\u001b': 'escape',
};

function keyOf(part: string, isAlone: boolean): Key {
  const name = CONTROLS[part];
  if (name !== undefined) return { name, text: '', isAlone };
  const code = part.charCodeAt(0);
  if (code < 0x20) {
    return { name: `ctrl-${String.fromCharCode(code + 0x60)}`, text: '', isAlone };
  }
  return { name: part === ' ' ? 'space' : part, text: part, isAlone };
}

function namedOf(key: Partial<InkKey>): string | null {
  if (key.tab === true) return key.shift === true ? 'backtab' : 'tab';
  if (key.upArrow === true) return 'up';
  if (key.downArrow === true) return 'down';
  if (key.leftArrow === true) return 'left';
  if (key.rightArrow === true) return 'right';
  if (key.pageUp === true) return 'pageup';
  if (key.pageDown === true) return 'pagedown';
  if (key.return === true) return 'enter';
  if (key.escape === true) return 'escape';
  if (key.backspace === true) return 'backspace';
  // Many terminals send for the backspace key what others send for delete.
  if (key.delete === true) return 'backspace';
  if (key.home === true) return 'home';
  return key.end === true ? 'end' : null;
}
