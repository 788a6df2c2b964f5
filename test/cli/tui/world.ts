import { canonicalJson } from '../../../domain/canonical.ts';
import type { AgentState } from '../../../domain/agent.ts';
import { makeId, type AgentId, type IdKind } from '../../../domain/id.ts';
import { insertAgents } from '../../../infra/db/queries/agent.ts';
import { findOrCreateSpawn } from '../../../infra/db/queries/spawn.ts';
import { createWorkspace } from '../../../infra/db/queries/workspace.ts';
import { sha256Hex } from '../../../infra/digest.ts';
import { pairingHash } from '../../../api/chat/pair.ts';
import { insertConnector } from '../../../infra/db/queries/connector.ts';
import { insertPairing } from '../../../infra/db/queries/pairing.ts';
import { insertUser } from '../../../infra/db/queries/user.ts';
import { makeKey, openTestApi } from '../../api/harness.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { makeApproval } from '../../support/records.ts';

/** Ids by number, so that captures are the same every time. */
export function idOf<K extends IdKind>(kind: K, number: number) {
  return makeId(kind, `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`);
}

const AGENTS: readonly {
  name: string;
  state: AgentState;
  detail: string;
  type: 'gemini' | 'claude';
}[] = [
  { name: 'writer', state: 'busy', detail: 'turn 4', type: 'gemini' },
  { name: 'reviewer', state: 'blocked', detail: 'asks to run a command', type: 'claude' },
  { name: 'deployer', state: 'ready', detail: '', type: 'claude' },
  { name: 'archivist', state: 'suspended', detail: '', type: 'gemini' },
  { name: 'crawler', state: 'failed', detail: 'the CLI ended with code 1', type: 'gemini' },
];

const CONNECTOR_ID = idOf('connector', 1);
/** As the bot told it to whoever asked to be linked. */
export const TOKEN = 'ABCD-EFGH-JKMN';
export const WORKSPACE_ID = idOf('workspace', 1);

/** A real API on a port, with a workspace in which something is going on. */
export async function openWorld(database: TestDatabase) {
  const { db } = database;
  const api = await openTestApi(database);
  const running = await api.listen();
  await createWorkspace(db, { id: WORKSPACE_ID, slug: 'shop', name: 'The web shop' });
  const key = await makeKey(db);
  const spawnId = idOf('spawn', 1);
  await findOrCreateSpawn(db, {
    id: spawnId,
    workspaceId: WORKSPACE_ID,
    requestId: spawnId,
    requestDigest: 'digest',
    count: AGENTS.length,
    spec: {},
    createdBy: key.id,
  });
  await insertAgents(
    db,
    AGENTS.map(({ name, state, type }, index) => ({
      id: agentId(index + 1),
      workspaceId: WORKSPACE_ID,
      spawnId,
      ordinal: index,
      name,
      type,
      body: 'cli',
      spec: {},
      ownerId: key.id,
      state,
    })),
  );
  await insertUser(db, { id: idOf('user', 1), name: 'Anna Älv', createdBy: 'test' });
  await insertUser(db, { id: idOf('user', 2), name: 'Bo', createdBy: 'test' });
  await insertConnector(db, {
    id: CONNECTOR_ID,
    network: 'telegram',
    name: 'shop-bot',
    settings: {},
    createdBy: 'test',
    secretRef: 'env:SHOP_BOT_TOKEN',
    sealedSecret: null,
    webhookSecret: Buffer.from('x'),
  });
  await insertPairing(db, {
    id: idOf('pairing', 1),
    connectorId: CONNECTOR_ID,
    subject: '4711008',
    displayName: 'Bo 🐦 the boss',
    tokenHash: pairingHash(TOKEN),
    lifeMs: 600_000,
  });
  const env = {
    ROOKERY_URL: running.url,
    ROOKERY_ADMIN_URL: running.url,
    ROOKERY_API_KEY: key.secret,
    ROOKERY_WORKSPACE: 'shop',
  };
  return { api, running, key, db, env };
}

function agentId(number: number): AgentId {
  return idOf('agent', number);
}

/** Longer than any window, so that somebody has to read on. */
export const COMMAND = {
  kind: 'permission',
  text: `rm -rf ./build\n${Array.from({ length: 60 }, (_each, index) => `step ${index + 1}: npm run build -- --part ${index + 1}`).join('\n')}`,
  subject: 'npm run build',
};

export async function ask(
  world: Awaited<ReturnType<typeof openWorld>>,
  what: {
    readonly number: number;
    readonly title: string;
    readonly payload: unknown;
    readonly risk: 'low' | 'medium' | 'high';
  },
) {
  const payload = canonicalJson(what.payload);
  return makeApproval(
    world.db,
    { workspaceId: WORKSPACE_ID, agentId: agentId(2) },
    {
      id: idOf('approval', what.number),
      title: what.title,
      payload,
      digest: sha256Hex(payload),
      risk: what.risk,
      expireAfterMs: 86_400_000,
      record: {
        events: [
          {
            key: `open:${what.number}`,
            type: 'approval.requested',
            subjectId: idOf('approval', what.number),
            data: {},
          },
        ],
      },
    },
  );
}
