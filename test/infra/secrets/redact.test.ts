import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { CENSOR, REDACT_PATHS, createRedactor } from '../../../infra/secrets/redact.ts';

test('known values go, longest first, wherever they stand', () => {
  const redact = createRedactor(['hunter22', 'hunter22-and-more', '$&$1', 'short']);
  expect(redact('a hunter22-and-more b hunter22 c')).toBe(`a ${CENSOR} b ${CENSOR} c`);
  expect(redact('too short to be secret')).toBe('too short to be secret');
});

test.each([
  ['sk-ant-api03-abcdefghijklmnop1234', 'sk-'],
  ['sk-proj-abcdefghijklmnop1234', 'sk-'],
  ['AIzaSyA1234567890abcdefghijklmnopqrstuv', 'AIza'],
  ['ghp_abcdefghijklmnopqrstuvwxyz0123456789', 'ghp_'],
  ['xoxb-1234567890-abcdefghij', 'xoxb-'],
  ['AKIAIOSFODNN7EXAMPLE', 'AKIA'],
  [`rkb_${'0123456789ab'.repeat(5)}_${'c'.repeat(64)}`, 'rkb_'],
  ['eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF', 'eyJ'],
  ['Bearer abcdefgh12345678', 'Bearer '],
])('%s is recognised', (secret, kept) => {
  expect(createRedactor([])(`before ${secret} after`)).toBe(`before ${kept}${CENSOR} after`);
});

test('a password in a URL goes, the rest stays', () => {
  const redact = createRedactor([]);
  expect(redact('postgres://ada:hunter22@db:5432/x')).toBe(`postgres://ada:${CENSOR}@db:5432/x`);
  expect(redact('https://example.com:8080/a@b')).toBe('https://example.com:8080/a@b');
});

test('a hostile line is done in no time', () => {
  const startedAt = performance.now();
  createRedactor([])('eyJ'.repeat(20_000) + 'a://'.repeat(20_000) + ':'.repeat(20_000));
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test('pino writes none of the names that hold secrets', () => {
  let written = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      written += chunk.toString();
      callback();
    },
  });
  const log = pino({ redact: { paths: [...REDACT_PATHS], censor: CENSOR } }, stream);
  log.info({ token: 'hunter22', request: { headers: { authorization: 'hunter22' } } }, 'hello');
  log.info({ spec: { password: 'hunter22' }, databaseUrl: 'hunter22', kept: 'visible' }, 'hello');
  expect(written).not.toContain('hunter22');
  expect(written).toContain('visible');
  expect(written.split(CENSOR)).toHaveLength(5);
});
