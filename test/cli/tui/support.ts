import { makeId } from '../../../domain/id.ts';
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../domain/canonical.ts';
import type { Key } from '../../../cli/tui/keys.ts';
import { drawFrame } from '../../../cli/tui/draw-frame.ts';
import { paintLine } from '../../../cli/tui/line.ts';
import type { Model } from '../../../cli/tui/model.ts';
import { reduce } from '../../../cli/tui/reduce.ts';
import type { ScreenName } from '../../../cli/tui/screens.ts';
import {
  currentPage,
  startState,
  type Effect,
  type Size,
  type State,
  type TuiEvent,
} from '../../../cli/tui/state.ts';
import type { Approval } from '../../../cli/resolve.ts';
import { painter } from '../../../cli/text.ts';

export const NOW = Date.parse('2026-11-21T12:00:00.000Z');
export const PLAIN = { paint: painter(false), isAscii: false };

export function start(screen: ScreenName = 'approvals', size: Size = { columns: 80, rows: 24 }) {
  return startState({ size, screen, who: 'anna (admin)', nowMs: NOW });
}

/** One event after the other, and all that is to be done about them. */
export function run(state: State, ...events: readonly TuiEvent[]) {
  const effects: Effect[] = [];
  let current = state;
  for (const event of events) {
    const step = reduce(current, event);
    current = step.state;
    effects.push(...step.effects);
  }
  return { state: current, effects };
}

/** As `loaded` tells it of the page that is looked at. */
export function loaded(state: State, model: Model): State {
  return run(state, { kind: 'loaded', pageId: currentPage(state).id, model }).state;
}

export function key(name: string, isAlone = true): Key {
  const text = name === 'space' ? ' ' : name.length === 1 ? name : '';
  return { name, text, isAlone };
}

/** Keys that were pressed one by one. */
export function press(state: State, ...names: readonly string[]) {
  return run(state, ...names.map((name): TuiEvent => ({ kind: 'keys', keys: [key(name)] })));
}

export function typed(state: State, text: string): State {
  return press(state, ...Array.from(text, (each) => (each === ' ' ? 'space' : each))).state;
}

export function frame(state: State, look = PLAIN): string {
  return drawFrame(state)
    .map((line) => paintLine(line, look).trimEnd())
    .join('\n');
}

export function testId<K extends Parameters<typeof makeId>[0]>(kind: K, number: number) {
  return makeId(kind, `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`);
}

export function approvalOf(payload: unknown, fields: Partial<Approval> = {}): Approval {
  return {
    id: testId('approval', 1),
    workspaceId: testId('workspace', 1),
    title: 'Run make',
    askerKind: 'agent',
    askerId: testId('agent', 1),
    risk: 'medium',
    roleNeeded: 'operator',
    state: 'open',
    code: 'K7M2QX',
    digest: createHash('sha256').update(canonicalJson(payload)).digest('hex'),
    quorum: 1,
    requestedBy: testId('agent', 1),
    requestedAt: '2026-11-21T11:55:00.000Z',
    expiresAt: '2026-11-22T11:55:00.000Z',
    decidedAt: null,
    payload,
    options: [],
    votes: [],
    delivery: null,
    contextId: null,
    gate: null,
    mayStand: true,
    recipients: [],
    ...fields,
  };
}

/** As a hook of a CLI describes an edit of a file. */
export const EDIT = {
  kind: 'permission',
  text: 'Allow this edit?',
  subject: 'prices.ts',
  hookPayload: JSON.stringify({
    tool: 'replace',
    input: {
      file_path: 'shop/prices.ts',
      old_string: 'export const VAT = 0.19;\nexport const ROUND = 2;\n',
      new_string: 'export const VAT = 0.21;\nexport const ROUND = 2;\nexport const LIMIT = 100;\n',
    },
  }),
};
