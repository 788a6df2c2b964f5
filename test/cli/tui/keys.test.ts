import { describe, expect, test } from 'vitest';
import { typedOf } from '../../../cli/tui/keys.ts';

function namesOf(input: string, key = {}): readonly string[] | string {
  const typed = typedOf(input, key);
  return typed.kind === 'paste' ? `paste ${typed.text}` : typed.keys.map(({ name }) => name);
}

describe('keys that arrive in one chunk', () => {
  test('are told apart', () => {
    expect(namesOf('jj')).toEqual(['j', 'j']);
    expect(namesOf('jk\r')).toEqual(['j', 'k', 'enter']);
    expect(namesOf('a b')).toEqual(['a', 'space', 'b']);
    expect(namesOf('é👩‍👩‍👧')).toEqual(['é', '👩‍👩‍👧']);
  });

  test('are known to have come together, so that none of them confirms', () => {
    const typed = typedOf('yy', {});
    expect(typed.kind === 'keys' && typed.keys.every(({ isAlone }) => !isAlone)).toBe(true);
    const single = typedOf('y', {});
    expect(single.kind === 'keys' && single.keys[0]?.isAlone).toBe(true);
  });

  test('of a key that is held down are keys, however many', () => {
    expect(namesOf('j'.repeat(200))).toHaveLength(200);
  });

  test('are a paste where a terminal without brackets sends one', () => {
    expect(namesOf('y\rq\r')).toBe('paste y\rq\r');
    expect(namesOf('the quick brown fox jumps over')).toMatch(/^paste/);
  });
});

describe('named keys', () => {
  test.each([
    [{ upArrow: true }, 'up'],
    [{ return: true }, 'enter'],
    [{ tab: true, shift: true }, 'backtab'],
    [{ delete: true }, 'backspace'],
    [{ escape: true }, 'escape'],
    [{ end: true }, 'end'],
  ])('%o is %s', (flags, name) => {
    expect(namesOf('', flags)).toEqual([name]);
  });

  test('with Ctrl write nothing', () => {
    const typed = typedOf('c', { ctrl: true });
    expect(typed).toEqual({ kind: 'keys', keys: [{ name: 'ctrl-c', text: '', isAlone: true }] });
  });

  test('that are let go again are nothing', () => {
    expect(namesOf('j', { eventType: 'release' })).toEqual([]);
  });
});
