import { mkdir, realpath, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { ApprovalSchema } from '../../domain/schema/approval.ts';
import { startRookery, type TestRookery } from '../support/rookery.ts';
import { eventually } from './asker.ts';
import { checkRecords, query } from './checks.ts';
import { checkNoProcesses } from './processes.ts';

const PROGRAM = join(import.meta.dirname, 'cli', 'asker.ts');

/** Spawns are looked at first; all else as it is without a policy. */
const POLICY = `
@id("look-first") @decision("escalate")
permit (principal, action == Action::"agent.spawn", resource);
@id("people-decide") @decision("escalate")
permit (principal, action, resource) unless { action == Action::"agent.spawn" };
`;

const Spawned = z.object({
  spawn: z.object({ id: z.string(), state: z.string(), approvalId: z.string() }),
});
const Proposed = z.object({ policy: z.object({ id: z.string() }) });

let rookery: TestRookery;
const agents: string[] = [];

beforeAll(async () => {
  rookery = await startRookery({ script: [] });
  const proposed = await rookery.callAdmin('POST', '/v1/workspaces/default/policies', {
    text: POLICY,
  });
  const { policy } = Proposed.parse(proposed.body);
  const active = await rookery.callAdmin('POST', `/v1/policies/${policy.id}/activate`, {});
  expect(active.status).toBe(200);
});
afterAll(async () => {
  await rookery.dispose();
  await checkNoProcesses(rookery.dataDir);
});

let made = 0;

async function asked() {
  made += 1;
  const workDir = join(await realpath(rookery.workRoot), `gated-${made}`);
  await mkdir(workDir);
  const answer = await rookery.call('POST', '/v1/workspaces/default/spawns', {
    type: 'custom',
    command: [process.execPath, PROGRAM],
    workDir,
  });
  const { spawn } = Spawned.parse(answer.body);
  expect(spawn.state).toBe('asked');
  const approval = await eventually('the approval', () =>
    rookery.client.get(`/v1/approvals/${spawn.approvalId}`, ApprovalSchema).catch(() => null),
  );
  return { spawnId: spawn.id, approval, workDir };
}

/** Looks again at once: the moment that is waited for lasts milliseconds. */
async function soon(sql: string, id: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while ((await query(rookery, sql, [id])).length === 0) {
    if (performance.now() > deadline) throw new Error('The moment did not come.');
  }
}

test.each([
  ['the vote and what it grants', 'select 1 from vote where approval_id = $1'],
  ['the grant and the start', `select 1 from approval where id = $1 and state = 'granted'`],
])(
  'killed between %s, the agents that people let start are started, once',
  { timeout: 90_000 },
  async (_what, moment) => {
    const { spawnId, approval, workDir } = await asked();
    const { id, digest, gate } = approval;
    expect(gate).toMatchObject({ verdict: 'ask', rule: 'look-first', engine: 'cedar' });
    const body = { verdict: 'grant', digest };
    const deciding = rookery.call('POST', `/v1/approvals/${id}/decide`, body).catch(() => null);
    await soon(moment, id);
    await rookery.kill('up');
    await deciding;
    await rookery.restart();
    const [agent] = await eventually('the agent', async () => {
      const rows = await query(
        rookery,
        `select id from agent where spawn_id = $1 and state = 'ready'`,
        [spawnId],
      );
      return rows.length > 0 && rows;
    });
    agents.push(String(agent?.['id']));
    const all = await query(rookery, 'select 1 from agent where spawn_id = $1', [spawnId]);
    expect(all).toHaveLength(1);
    const starts = await readFile(join(workDir, 'starts.log'), 'utf8');
    expect(starts.trim().split('\n')).toHaveLength(1);
    await rookery.call('POST', `/v1/agents/${agents.at(-1) ?? ''}/stop`);
    await checkRecords(rookery, agents);
  },
);
