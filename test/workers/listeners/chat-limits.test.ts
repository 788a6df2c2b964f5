import { expect, test } from 'vitest';
import { createLimits } from '../../../workers/listeners/chat-limits.ts';

function limitsAt() {
  const clock = { ms: 0 };
  return { clock, limits: createLimits(() => clock.ms) };
}

test('a chat waits with its threads, the others do not', () => {
  const { clock, limits } = limitsAt();
  limits.limit('-1/7', { ms: 1_000, scope: 'chat' });
  expect(['-1', '-1/8', '-2'].map((place) => limits.isLimited(place))).toEqual([true, true, false]);
  expect(limits.chats()).toEqual(['-1']);
  clock.ms = 1_000;
  expect(limits.isLimited('-1')).toBe(false);
});

test('when two chats have to wait at once it is the bot that is too fast', () => {
  const { clock, limits } = limitsAt();
  limits.limit('-1', { ms: 1_000, scope: 'chat' });
  expect(limits.isAllLimited()).toBe(false);
  limits.limit('-2', { ms: 5_000, scope: 'chat' });
  expect(limits.isAllLimited()).toBe(true);
  clock.ms = 4_999;
  expect(limits.isLimited('-3')).toBe(true);
  clock.ms = 5_000;
  expect(limits.isLimited('-3')).toBe(false);
});

test('what is said of the whole bot holds everything', () => {
  const { limits } = limitsAt();
  limits.limit('-1', { ms: 1_000, scope: 'all' });
  expect(limits.isAllLimited()).toBe(true);
});
