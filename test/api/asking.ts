import { setTimeout as sleep } from 'node:timers/promises';
import { parseId, type AgentId, type WorkspaceId } from '../../domain/id.ts';
import type { Fact } from '../../domain/fact.ts';
import { insertFacts } from '../../infra/db/queries/fact.ts';
import { openPrompt } from '../../infra/db/queries/prompt.ts';
import { promptDigest } from '../../infra/host/prompt-digest.ts';
import { factsArrived } from '../../workflows/contracts/agent.ts';
import { newId } from '../support/records.ts';
import { callAs, type Called, type TestApi, type TestKey } from './harness.ts';

export interface Dialog {
  readonly subject: string;
  readonly text?: string;
  readonly hookPayload?: string;
  readonly payloadComplete?: boolean;
}

export interface SpawnWish {
  readonly isolated?: boolean;
  readonly workDir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Agents of one workspace that ask, and what comes of it, over the API. */
export interface Asking {
  /** Isolated and ready, unless it says otherwise. */
  spawn(wish?: SpawnWish): Promise<AgentId>;
  tell(agentId: AgentId, fact: Fact): Promise<void>;
  /** A dialog as the host's listener stores it, and the approval that comes of it, in whatever state it is. */
  ask(agentId: AgentId, dialog: Dialog): Promise<Called['body']>;
  /** Until the approval is decided or has the state. */
  approval(id: unknown, state: string): Promise<Called['body']>;
  /** Waits until an answer of the API is so. */
  until(path: string, holds: (body: Called['body']) => boolean): Promise<Called>;
}

export function openAsking(
  api: TestApi,
  { key, workspaceId }: { readonly key: TestKey; readonly workspaceId: WorkspaceId },
): Asking {
  const { db } = api.deps;
  const call = callAs(api.app, key);
  const seqs = new Map<string, number>();

  async function until(path: string, holds: (body: Called['body']) => boolean): Promise<Called> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const answer = await call(path);
      if (holds(answer.body)) return answer;
      if (performance.now() > deadline) throw new Error(`Waited 20 s: ${answer.text}`);
      await sleep(25);
    }
  }
  const reaches = (agentId: string, state: string) =>
    until(`/v1/agents/${agentId}`, (body) => body['state'] === state);

  async function tell(agentId: AgentId, fact: Fact): Promise<void> {
    const seq = (seqs.get(agentId) ?? 0) + 1;
    seqs.set(agentId, seq);
    const at = new Date().toISOString();
    const facts = [{ agentId, epoch: 1, seq, hostSeq: seq, at, fact }];
    await insertFacts(db, { cursorName: 'test', facts });
    await api.deps.temporal.workflow.getHandle(agentId).signal(factsArrived, {});
  }

  return {
    until,
    tell,
    async spawn({ isolated = true, ...wish } = {}) {
      const body = { type: 'custom', command: ['true'], name: 'worker', ...wish };
      const spawned = await call(`/v1/workspaces/${workspaceId}/spawns`, { body });
      const [first] = itemsIn(spawned.body['agents']);
      const agentId = parseId('agent', first?.['id']);
      await reaches(agentId, 'starting');
      await tell(agentId, { kind: 'started', pid: 1, isolation: { isolated } });
      await tell(agentId, { kind: 'ready' });
      await reaches(agentId, 'ready');
      return agentId;
    },
    async ask(agentId, { text = 'Run this?', hookPayload = '', payloadComplete = true, subject }) {
      const promptId = newId('prompt');
      const prompt = {
        kind: 'permission' as const,
        text,
        subject,
        payloadComplete,
        hookPayload,
        options: [
          { label: 'Yes', selected: true, effect: 'allow_once' as const },
          { label: 'No', selected: false, effect: 'deny' as const },
        ],
        source: hookPayload === '' ? ('screen' as const) : ('hook' as const),
        cliSessionId: null,
        turn: 1,
      };
      const digest = promptDigest(prompt);
      await openPrompt(db, { id: promptId, agentId, epoch: 1, ...prompt, digest });
      await tell(agentId, { kind: 'prompt_opened', promptId, prompt });
      const path = `/v1/workspaces/${workspaceId}/approvals?agent=${agentId}`;
      const list = await until(path, (body) => found(body, digest) !== undefined);
      const approval = await call(`/v1/approvals/${String(found(list.body, digest)?.['id'])}`);
      return approval.body;
    },
    async approval(id, state) {
      const path = `/v1/approvals/${String(id)}`;
      return (await until(path, (body) => body['state'] === state)).body;
    },
  };
}

/** The newest with this digest. */
function found(body: Called['body'], digest: string) {
  return itemsIn(body['items']).findLast((item) => item['digest'] === digest);
}

export function itemsIn(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value : [];
}
