import { describe, expect, test } from 'vitest';
import { createProgram } from '../../../cli/program.ts';
import { processIo } from '../../../cli/io.ts';
import { runCli } from '../run-cli.ts';

const url = 'http://127.0.0.1:59999';

describe('where no screen can be drawn', () => {
  test.each([
    { where: 'a pipe', flags: [], env: {}, why: 'needs a terminal' },
    { where: 'a dumb terminal', flags: [], env: { TERM: 'dumb' }, why: 'TERM=dumb' },
    { where: 'a program', flags: ['--json'], env: {}, why: 'no JSON' },
  ])('$where is told which commands do the same', async ({ flags, env, why }) => {
    const { code, err, out } = await runCli(['tui', ...flags], { url, env });
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(why);
    expect(err).toContain('rookery approvals');
  });

  test('every command that is named there is one', async () => {
    const { err } = await runCli(['tui'], { url });
    const [, named = ''] = /commands: rookery ([a-z, ]+)\./.exec(err) ?? [];
    const names = createProgram(processIo()).commands.map((command) => command.name());
    for (const name of named.split(', ')) expect(names).toContain(name);
  });

  test('a screen that there is not is refused with those that there are', async () => {
    const { code, err } = await runCli(['tui', '--screen', 'tasks'], { url });
    expect(code).toBe(2);
    expect(err).toContain('approvals, agents');
  });
});
