import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { agentsModel } from '../../../cli/tui/pages/agents.ts';
import { approvalModel } from '../../../cli/tui/pages/approval.ts';
import { approvalsModel } from '../../../cli/tui/pages/approvals.ts';
import { fitColumns } from '../../../cli/tui/fit-columns.ts';
import { drawFrame } from '../../../cli/tui/draw-frame.ts';
import { paintLine } from '../../../cli/tui/line.ts';
import { AgentSchema } from '../../../domain/schema/agent.ts';
import { agent } from '../server.ts';
import { painter } from '../../../cli/text.ts';
import { approvalOf, frame, loaded, PLAIN, press, run, start } from './support.ts';

const EVIL = 'rm\u001b[2J\u001b]0;pwned\u0007 \u202ereversed\u202c 日本語 \u009b31m';

function agents(count: number) {
  return Array.from({ length: count }, (_each, index) =>
    AgentSchema.parse(
      agent(index + 1, {
        name: index === 0 ? EVIL : `gemini-${index + 1}`,
        state: index % 3 === 0 ? 'blocked' : 'ready',
        stateDetail: '日本語のエージェント',
      }),
    ),
  );
}

describe('a frame', () => {
  test.each([
    [80, 24],
    [120, 40],
    [40, 12],
    [99, 30],
    [100, 30],
    [200, 60],
    [20, 5],
  ])('is exactly %i by %i', (columns, rows) => {
    const state = loaded(start('agents', { columns, rows }), agentsModel(agents(50)));
    for (const shown of [state, press(state, '?').state, press(state, 'x').state]) {
      const lines = drawFrame(shown).map((line) => paintLine(line, PLAIN));
      expect(lines).toHaveLength(rows);
      expect(lines.map((line) => stringWidth(line))).toEqual(lines.map(() => columns));
    }
  });

  test('holds no control character, escape sequence or turned text of anybody', () => {
    const evil = approvalOf({ kind: 'permission', text: EVIL, subject: EVIL }, { title: EVIL });
    const list = loaded(start(), approvalsModel([evil]));
    const page = loaded(press(list, 'enter').state, approvalModel(evil));
    const named = loaded(start('agents'), agentsModel(agents(1)));
    const failure = { message: EVIL, hint: EVIL, kind: 'other' } as const;
    const failed = run(list, { kind: 'failed', failure }).state;
    for (const state of [
      list,
      page,
      press(page, 'a').state,
      named,
      press(named, 'x').state,
      failed,
    ]) {
      const text = frame(state);
      expect(text).not.toMatch(
        // oxlint-disable-next-line no-control-regex -- they are what is looked for
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/,
      );
    }
    expect(frame(page)).toContain('\\e[2J');
    expect(frame(page)).toContain('\\u{202e}');
  });

  test('says by words and marks what colours say', () => {
    const state = loaded(start('agents'), agentsModel(agents(3)));
    const colored = frame(state, { paint: painter(true), isAscii: false });
    expect(colored).toContain('\u001b[33mblocked');
    expect(frame(state)).toMatch(/▸ \S+.*blocked/);
    // oxlint-disable-next-line no-control-regex -- it is what is looked for
    expect(frame(state)).not.toMatch(/\u001b/);
  });

  test('in ASCII is ASCII, and as wide', () => {
    const state = loaded(start('agents'), agentsModel(agents(3)));
    const lines = drawFrame(state).map((line) => paintLine(line, { ...PLAIN, isAscii: true }));
    expect(lines.join('')).toMatch(/^[\u0020-\u007e]*$/);
    expect(lines.map(({ length }) => length)).toEqual(lines.map(() => 80));
    expect(lines.join('\n')).toContain('> ');
  });

  test('too small to decide anything in says how large it must be', () => {
    expect(frame(start('agents', { columns: 30, rows: 8 }))).toContain('Rookery needs 40×12');
  });
});

describe('a page that is read', () => {
  test('shows an edit as a difference, then everything the digest covers', () => {
    const input = { file_path: 'a.ts', old_string: 'one\ntwo\n', new_string: 'one\nthree\n' };
    const hookPayload = JSON.stringify({ tool: 'replace', input });
    const approval = approvalOf({ kind: 'permission', text: 'Allow?', hookPayload });
    const text = frame(
      loaded(start('approvals', { columns: 80, rows: 60 }), approvalModel(approval)),
    );
    expect(text).toContain('Edit of a.ts');
    expect(text).toMatch(/│ -two *\n│ \+three/);
    expect(text).toContain('The whole payload, as the digest covers it');
    expect(text).toContain('"hookPayload"');
  });

  test('offers no decision where the digest is not that of what is shown', () => {
    const model = approvalModel(approvalOf({ command: 'make' }, { digest: '0'.repeat(64) }));
    expect(model.actions).toEqual([]);
    expect(frame(loaded(start(), model))).toContain('nothing can be decided here');
  });

  test('offers none where it is decided', () => {
    const payload = { command: 'make' };
    expect(approvalModel(approvalOf(payload, { state: 'granted' })).actions).toEqual([]);
    expect(approvalModel(approvalOf(payload)).actions.map(({ key }) => key)).toEqual([
      'a',
      'd',
      'f',
    ]);
  });

  test('loses no character of a long line, whatever it is made of, while one scrolls through it', () => {
    const command = `${'日本'.repeat(600)}${'x'.repeat(2_000)}END`;
    const approval = approvalOf({ kind: 'permission', text: command });
    let state = loaded(start(), approvalModel(approval));
    const seen: string[] = [];
    for (let step = 0; step < 120; step += 1) {
      const lines = frame(state).split('\n').slice(3, -2);
      seen.push((lines[0] ?? '').replace(/\s*[│█]$/, ''));
      state = press(state, 'j').state;
    }
    const quoted = seen.flatMap((line) => (line.startsWith('│ ') ? [line.slice(2)] : [])).join('');
    expect(quoted).toContain(command);
  });
});

describe('columns', () => {
  const columns = [
    { title: 'CODE' },
    { title: 'WHAT', cut: true },
    { title: 'WHO', drop: 0 },
    { title: 'WHEN', drop: 1 },
  ];

  test('that matter least go before others are cut to nothing', () => {
    expect(fitColumns(columns, [6, 60, 30, 10], 60)).toEqual([
      { index: 0, width: 6 },
      { index: 1, width: 40 },
      { index: 3, width: 10 },
    ]);
  });

  test('keep their width where there is room, and never more than there is', () => {
    expect(fitColumns(columns, [6, 10, 8, 10], 80).map(({ width }) => width)).toEqual([
      6, 10, 8, 10,
    ]);
    for (const room of [10, 20, 33, 50, 79]) {
      const fitted = fitColumns(columns, [6, 90, 30, 10], room);
      const used = fitted.reduce((sum, { width }) => sum + width, 2 * (fitted.length - 1));
      expect(used).toBeLessThanOrEqual(Math.max(room, 14));
    }
  });
});

test('a thousand agents are moved through without anybody waiting', () => {
  const model = agentsModel(agents(1_000));
  let state = loaded(start('agents', { columns: 120, rows: 40 }), model);
  frame(state);
  const began = performance.now();
  for (let step = 0; step < 100; step += 1) {
    state = press(state, 'j').state;
    frame(state);
  }
  // A key is answered in a few milliseconds; a busy machine takes many times as long.
  expect((performance.now() - began) / 100).toBeLessThan(60);
});

test('a payload of a megabyte on one line is shown and moved through', () => {
  const approval = approvalOf({ kind: 'permission', text: '日'.repeat(300_000) });
  const began = performance.now();
  const state = press(loaded(start(), approvalModel(approval)), 'G', 'g', 'G').state;
  expect(frame(state)).toContain('日日');
  expect(performance.now() - began).toBeLessThan(10_000);
});
