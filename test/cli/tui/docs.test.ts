import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { AgentSchema } from '../../../domain/schema/agent.ts';
import type { AgentState } from '../../../domain/agent.ts';
import { drawFrame } from '../../../cli/tui/draw-frame.ts';
import { agentsModel } from '../../../cli/tui/pages/agents.ts';
import { approvalModel } from '../../../cli/tui/pages/approval.ts';
import { approvalsModel } from '../../../cli/tui/pages/approvals.ts';
import { SCREEN, SCREENS } from '../../../cli/tui/screens.ts';
import { agent } from '../server.ts';
import { approvalOf, EDIT, loaded, press, run, start, testId } from './support.ts';
import { svgOf } from './svg.ts';

const SIZE = { columns: 110, rows: 32 };

function live(screen: 'approvals' | 'agents') {
  const workspace = { id: testId('workspace', 1), slug: 'shop', name: 'Shop' };
  return run(
    start(screen, SIZE),
    { kind: 'workspace', workspace },
    { kind: 'link', link: { kind: 'live' } },
    { kind: 'open-approvals', count: 2 },
  ).state;
}

test('the pictures of the document show what is drawn', async () => {
  const approval = approvalOf(EDIT, { title: 'writer: Edit shop/prices.ts', mayStand: true });
  const list = loaded(live('approvals'), approvalsModel([approval]));
  const read = loaded(press(list, 'enter').state, approvalModel(approval));
  const title = 'rookery tui';
  await expect(svgOf(drawFrame(read), { title, columns: SIZE.columns })).toMatchFileSnapshot(
    '../../../docs/images/tui-approval.svg',
  );
  const agents: readonly (readonly [string, AgentState, string])[] = [
    ['reviewer', 'blocked', 'asks to run a command'],
    ['writer', 'busy', 'turn 4'],
    ['deployer', 'ready', ''],
    ['tester', 'login_required', 'waits for a login'],
    ['archivist', 'suspended', ''],
    ['crawler', 'failed', 'the CLI ended with code 1'],
  ];
  const rows = agents.map(([name, state, stateDetail], index) =>
    AgentSchema.parse(agent(index + 1, { name, state, stateDetail, turn: index })),
  );
  const shown = press(loaded(live('agents'), agentsModel(rows)), 'j').state;
  await expect(svgOf(drawFrame(shown), { title, columns: SIZE.columns })).toMatchFileSnapshot(
    '../../../docs/images/tui-agents.svg',
  );
});

test('the document names every screen and what it is for', async () => {
  const text = await readFile(new URL('../../../docs/tui.md', import.meta.url), 'utf8');
  for (const [index, name] of SCREENS.entries()) {
    expect(text).toMatch(new RegExp(`\\| ${index + 1} +\\| ${SCREEN[name].label} `));
  }
});
