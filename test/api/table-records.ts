import { createDefinition } from '../../infra/db/queries/definition.ts';
import { createContext } from '../../infra/db/queries/context.ts';
import { insertAgentKey } from '../../infra/db/queries/agent-key.ts';
import { insertMessage } from '../../infra/db/queries/message.ts';
import { insertRoleBinding } from '../../infra/db/queries/role-binding.ts';
import { insertUser } from '../../infra/db/queries/user.ts';
import { parseId, type ContextId, type UserId, type WorkspaceId } from '../../domain/id.ts';
import type { RoleBinding } from '../../domain/principal.ts';
import type { TargetKind } from '../../infra/db/queries/target-view.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { makeWorkspace } from '../support/postgres.ts';
import { makeAgent, makeApproval, makeLinkedHost, newId } from '../support/records.ts';
import { makeEndpoint } from '../support/webhooks.ts';
import { makeKey } from './harness.ts';

type Db = TestDatabase['db'];

/** A record of each kind that a route can be about: what names it in a path, and a well-formed name that nobody has. */
export interface TableRecord {
  readonly name: string;
  readonly nobodys: string;
  /** Of the installation; the others are of the workspace. */
  readonly isOfInstallation?: true;
}

export interface TableRecords {
  readonly workspaceId: WorkspaceId;
  readonly contextId: ContextId;
  readonly of: Readonly<Record<TargetKind, TableRecord>>;
}

const NOBODY = '0'.repeat(26);

/** One workspace with a record of every kind. A new kind of target gets its line here. */
export async function makeTableRecords(db: Db): Promise<TableRecords> {
  const workspaceId = await makeWorkspace(db);
  const contextId = newId('context');
  const userId = newId('user');
  await createContext(db, {
    id: contextId,
    workspaceId,
    slug: 'room',
    name: 'Room',
    kind: 'plain',
    spot: null,
    createdBy: 'test',
  });
  const agent = await makeAgent(db, workspaceId);
  const approval = await makeApproval(db, { workspaceId, agentId: agent });
  const { id: spawn } = await db
    .selectFrom('spawn')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .executeTakeFirstOrThrow();
  await makeLinkedHost(db, { name: 'foreign-1', workspaceId });
  const key = await makeKey(db, { workspaceId });
  const webhook = await makeEndpoint(db, workspaceId, { url: 'http://127.0.0.1:9/' });
  const roleBinding = await makeUserWith(db, userId, { role: 'viewer', workspaceId });
  const connector = await makeConnector(db);
  return {
    workspaceId,
    contextId: parseId('context', contextId),
    of: {
      workspace: named(workspaceId),
      context: named(contextId),
      spawn: named(spawn),
      agent: named(agent),
      approval: named(approval.id),
      approvalCode: { name: approval.code, nobodys: '000000' },
      apiKey: named(key.id),
      webhook: named(webhook.id),
      host: { name: 'foreign-1', nobodys: 'nobodys-1' },
      roleBinding: named(roleBinding),
      message: named(await makeMessage(db, { workspaceId, agentId: agent })),
      agentKey: named(await makeAgentKey(db, { workspaceId, agentId: agent })),
      definition: named(await makeDefinition(db, workspaceId)),
      policy: named(await makePolicy(db, workspaceId)),
      standingApproval: named(await makeStanding(db, { workspaceId, approvalId: approval.id })),
      connector: { ...named(connector), isOfInstallation: true },
      post: { ...named(await makePost(db, connector)), isOfInstallation: true },
      certificate: { ...named(await makeCertificate(db, userId)), isOfInstallation: true },
    },
  };
}

function named(name: string): TableRecord {
  return { name, nobodys: `${name.split('_')[0]}_${NOBODY}` };
}

async function makeUserWith(
  db: Db,
  userId: UserId,
  { role, workspaceId }: { readonly role: RoleBinding['role']; readonly workspaceId: WorkspaceId },
): Promise<string> {
  const id = newId('roleBinding');
  await insertUser(db, { id: userId, name: 'Somebody', createdBy: 'test' });
  const place = { kind: 'workspace', workspaceId } as const;
  await insertRoleBinding(db, { id, userId, role, place, createdBy: 'test' });
  return id;
}

interface OfAgent {
  readonly workspaceId: string;
  readonly agentId: string;
}

async function makeMessage(db: Db, { workspaceId, agentId }: OfAgent): Promise<string> {
  const id = newId('message');
  const text = 'May I?';
  await insertMessage(db, { id, workspaceId, agentId, kind: 'question', text, record: {} });
  return id;
}

async function makeAgentKey(db: Db, { workspaceId, agentId }: OfAgent): Promise<string> {
  const id = newId('agentKey');
  const secret = { prefix: 'prefix', hash: 'hash', bindingHash: 'hash' };
  const life = { epoch: 0, use: 'mcp', grants: [], ttlMs: 60_000 } as const;
  await insertAgentKey(db, { id, workspaceId, agentId, ...secret, ...life });
  return id;
}

async function makeDefinition(db: Db, workspaceId: string): Promise<string> {
  const id = newId('definition');
  const content = { type: 'claude', cols: 80, rows: 24 } as const;
  const made = { slug: 'foreign', content, note: null, createdBy: 'test' };
  await createDefinition(db, { id, workspaceId, ...made });
  return id;
}

async function makePolicy(db: Db, workspaceId: string): Promise<string> {
  const id = newId('policy');
  const text = { engine: 'built-in', text: '', digest: 'digest', created_by: 'test' } as const;
  await db
    .insertInto('policy')
    .values({ id, workspace_id: workspaceId, version: 1, ...text })
    .execute();
  return id;
}

async function makeStanding(
  db: Db,
  { workspaceId, approvalId }: { readonly workspaceId: string; readonly approvalId: string },
): Promise<string> {
  const id = newId('standingApproval');
  await db
    .insertInto('standing_approval')
    .values({
      id,
      workspace_id: workspaceId,
      approval_id: approvalId,
      risk: 'low',
      title: 'Run make',
      template: '{}',
      template_hash: 'hash',
      created_by: 'test',
      expires_at: new Date(Date.now() + 60_000),
    })
    .execute();
  return id;
}

async function makeConnector(db: Db): Promise<string> {
  const id = newId('connector');
  const made = { name: 'test', network: 'telegram', created_by: 'test' } as const;
  await db
    .insertInto('connector')
    .values({ id, ...made })
    .execute();
  return id;
}

async function makePost(db: Db, connectorId: string): Promise<string> {
  const id = newId('post');
  const made = { key: 'post', kind: 'send', place: '1' } as const;
  await db
    .insertInto('post')
    .values({ id, connector_id: connectorId, ...made })
    .execute();
  return id;
}

async function makeCertificate(db: Db, userId: string): Promise<string> {
  const id = newId('certificate');
  await db
    .insertInto('certificate')
    .values({
      id,
      user_id: userId,
      serial: 'serial',
      fingerprint: 'fingerprint',
      pem: '',
      public_key_hash: 'hash',
      expires_at: new Date(Date.now() + 60_000),
    })
    .execute();
  return id;
}
