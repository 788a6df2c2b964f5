import { sql } from 'kysely';
import type { Executor } from '../schema.ts';
import { getConnector } from './connector.ts';
import { getPost } from './post.ts';

/** Where a record lives; null for a record that is in no workspace (a key good in every one). */
export interface TargetPlace {
  readonly workspaceId: string | null;
  /** The context that it belongs to, for records that have one. */
  readonly contextId?: string | null;
}

export type TargetKind =
  | 'workspace'
  | 'spawn'
  | 'agent'
  | 'approval'
  | 'approvalCode'
  | 'standingApproval'
  | 'apiKey'
  | 'webhook'
  | 'definition'
  | 'host'
  | 'message'
  | 'agentKey'
  | 'policy'
  | 'connector'
  | 'post'
  | 'certificate'
  | 'context'
  | 'roleBinding';

type Finder = (db: Executor, value: string) => Promise<TargetPlace | undefined>;

/** By id (a workspace also by slug, an open approval by its code): the workspace of a record. */
export async function findTargetPlace(
  db: Executor,
  target: { readonly kind: TargetKind; readonly value: string },
): Promise<TargetPlace | null> {
  return (await FINDERS[target.kind](db, target.value)) ?? null;
}

const FINDERS = {
  workspace: (db, value) =>
    db
      .selectFrom('workspace')
      .select('id as workspaceId')
      .where((where) => where.or([where('id', '=', value), where('slug', '=', value)]))
      .executeTakeFirst(),
  spawn: (db, value) =>
    db
      .selectFrom('spawn')
      .select(['workspace_id as workspaceId', 'context_id as contextId'])
      .where('id', '=', value)
      .executeTakeFirst(),
  agent: (db, value) =>
    db
      .selectFrom('agent')
      .select(['workspace_id as workspaceId', 'context_id as contextId'])
      .where('id', '=', value)
      .executeTakeFirst(),
  approval: (db, value) =>
    db
      .selectFrom('approval')
      .select(['workspace_id as workspaceId', 'context_id as contextId'])
      .where('id', '=', value)
      .executeTakeFirst(),
  approvalCode: (db, value) =>
    db
      .selectFrom('approval')
      .select(['workspace_id as workspaceId', 'context_id as contextId'])
      .where('code', '=', value)
      .where('state', '=', 'open')
      .executeTakeFirst(),
  standingApproval: (db, value) =>
    db
      .selectFrom('standing_approval')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  host: (db, value) =>
    db
      .selectFrom('host')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  apiKey: (db, value) =>
    db
      .selectFrom('api_key')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  webhook: (db, value) =>
    db
      .selectFrom('webhook')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  definition: (db, value) =>
    db
      .selectFrom('definition')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  message: (db, value) =>
    db
      .selectFrom('message')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  policy: (db, value) =>
    db
      .selectFrom('policy')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  // Connectors and what they say are the installation's: none of them is a workspace's.
  connector: async (db, value) =>
    (await getConnector(db, value)) === null ? undefined : { workspaceId: null },
  post: async (db, value) =>
    (await getPost(db, value)) === null ? undefined : { workspaceId: null },
  agentKey: (db, value) =>
    db
      .selectFrom('agent_key')
      .select('workspace_id as workspaceId')
      .where('id', '=', value)
      .executeTakeFirst(),
  // Of the installation, whosever they are.
  certificate: (db, value) =>
    db
      .selectFrom('certificate')
      .select(sql<null>`null`.as('workspaceId'))
      .where('id', '=', value)
      .executeTakeFirst(),
  context: (db, value) =>
    db
      .selectFrom('context')
      .select(['workspace_id as workspaceId', 'id as contextId'])
      .where('id', '=', value)
      .executeTakeFirst(),
  roleBinding: (db, value) =>
    db
      .selectFrom('role_binding')
      .select(['workspace_id as workspaceId', 'context_id as contextId'])
      .where('id', '=', value)
      .executeTakeFirst(),
} as const satisfies Record<TargetKind, Finder>;
