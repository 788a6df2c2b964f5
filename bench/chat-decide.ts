import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { SpawnedSchema } from '../domain/schema/spawn.ts';
import { connectBot, pairAda } from '../test/support/chat/paired.ts';
import {
  ADA,
  GROUP,
  TelegramServer,
  TOKEN,
  type TelegramMessage,
} from '../test/support/chat/telegram-server.ts';
import type { TestRookery } from '../test/support/rookery.ts';
import { median, percentile, type BenchResult } from './result.ts';
import { nowMs, scriptedCli, startRuntime, type BenchRuntime } from './support/runtime.ts';

const ROUNDS = 25;
const WARM_UP_ROUNDS = 3;
const GOAL_MS = 200;
const WAIT_MS = 20_000;
const LOOK_MS = 5;

/**
 * From the press of a card's button, as the network tells of it, until the answer is in the CLI's input: stored, told as
 * received, recognised, decided by the one gate, delivered. Beside a bare call to the same network.
 */
export async function benchChatDecide(): Promise<readonly BenchResult[]> {
  const server = await TelegramServer.start();
  const runtime = await startRuntime();
  try {
    const { rookery } = runtime;
    await connectBot(rookery, server);
    await makeHub(rookery, server);
    const { body } = await rookery.client.send({
      method: 'POST',
      path: '/v1/workspaces/default/spawns',
      schema: SpawnedSchema,
      body: { type: 'custom', command: scriptedCli('dialogs') },
    });
    const agentId = body.agents[0]?.id ?? '';
    const answersPath = join(rookery.dataDir, 'host', 'sessions', agentId, 'work', 'answers');
    const ours: number[] = [];
    const raw: number[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
      const ms = await pressOnce({ runtime, server, answersPath }, round);
      const bare = await bareMs(server);
      if (round < WARM_UP_ROUNDS) continue;
      ours.push(ms);
      raw.push(bare);
    }
    return [resultOf(ours, raw)];
  } finally {
    await runtime.close();
    await server.close();
  }
}

function resultOf(ours: readonly number[], raw: readonly number[]): BenchResult {
  return {
    name: 'approval pressed in a chat to the answer in the CLI’s input, p50',
    unit: 'ms',
    ours: median(ours),
    raw: median(raw),
    ratio: median(ours) / median(raw),
    goal: `≤ ${GOAL_MS} ms`,
    pass: median(ours) <= GOAL_MS,
    details: { 'p95, ours': percentile(ours, 95), 'p95, raw': percentile(raw, 95) },
  };
}

/** Ada is paired as an admin and makes the group the hub. */
async function makeHub(rookery: TestRookery, server: TelegramServer): Promise<void> {
  await pairAda(rookery, server, 'admin');
  server.say({ text: '/admin_channel enable default' });
  await shown(
    server,
    ({ chatId, text: said }) => chatId === GROUP.id && said.includes('admin hub'),
  );
}

interface Bench {
  readonly runtime: BenchRuntime;
  readonly server: TelegramServer;
  /** What the CLI noted: one line per answer, with its moment. */
  readonly answersPath: string;
}

async function pressOnce({ runtime, server, answersPath }: Bench, index: number): Promise<number> {
  const card = await shown(server, ({ buttons }) => buttons.length > 0);
  const no = card.buttons.flat().at(-1)?.data ?? '';
  const approvalId = no.split(':')[1];
  const pressedMs = nowMs();
  press(server, card.messageId, no);
  await runtime.event(
    ({ type, subjectId }) => type === 'approval.delivered' && subjectId === approvalId,
  );
  const lines = (await readFile(answersPath, 'utf8')).trim().split('\n');
  await shown(server, (message) => message === card && message.buttons.length === 0);
  return Number(lines[index]?.split(' ')[0]) * 1_000 - pressedMs;
}

/** Numbers of messages are each chat's own, so that the chat is said. */
function press(server: TelegramServer, messageId: number, data: string): void {
  const date = Math.floor(Date.now() / 1_000);
  const message = { message_id: messageId, date, chat: GROUP };
  server.push({ callback_query: { id: data, from: ADA, chat_instance: '1', data, message } });
}

async function shown(
  server: TelegramServer,
  holds: (message: TelegramMessage) => boolean,
): Promise<TelegramMessage> {
  const until = performance.now() + WAIT_MS;
  for (;;) {
    const found = server.messages.all.find(holds);
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error('It was not said.');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function bareMs(server: TelegramServer): Promise<number> {
  const startedAt = performance.now();
  const { body } = await request(`${server.apiRoot}/bot${TOKEN}/getMe`, { method: 'POST' });
  await body.dump();
  return performance.now() - startedAt;
}
