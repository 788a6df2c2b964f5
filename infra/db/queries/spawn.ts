import { z } from 'zod';
import type { Executor, SpawnState } from '../schema.ts';
import { storableJson } from '../storable.ts';
import type { Page } from './page.ts';

export interface Spawn {
  readonly id: string;
  readonly seq: number;
  readonly workspaceId: string;
  readonly requestId: string;
  readonly requestDigest: string;
  readonly count: number;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly state: SpawnState;
  readonly contextId: string | null;
  /** Where people decide, or decided, whether it may start. */
  readonly approvalId: string | null;
}

const COLUMNS = [
  'id',
  'seq',
  'workspace_id as workspaceId',
  'request_id as requestId',
  'request_digest as requestDigest',
  'count',
  'spec',
  'created_by as createdBy',
  'created_at as createdAt',
  'state',
  'context_id as contextId',
  'approval_id as approvalId',
] as const;

const Spec = z.record(z.string(), z.unknown());

function toSpawn(row: Omit<Spawn, 'spec'> & { readonly spec: unknown }): Spawn {
  return { ...row, spec: Spec.parse(row.spec) };
}

export interface NewSpawn {
  readonly id: string;
  readonly workspaceId: string;
  readonly requestId: string;
  /** `digestOf` the request's body. */
  readonly requestDigest: string;
  readonly count: number;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly createdBy: string;
  readonly contextId?: string | null;
  /** It waits for this approval. */
  readonly approvalId?: string | null;
}

/** `conflict`: the request id was used before with another body. */
export type SpawnFound =
  | { readonly kind: 'created' | 'existing'; readonly spawn: Spawn }
  | { readonly kind: 'conflict'; readonly spawnId: string };

/** Idempotent by (workspace, request id): a repeated request finds the first spawn, whatever id it brings. */
export async function findOrCreateSpawn(db: Executor, input: NewSpawn): Promise<SpawnFound> {
  const created = await db
    .insertInto('spawn')
    .values({
      id: input.id,
      workspace_id: input.workspaceId,
      request_id: input.requestId,
      request_digest: input.requestDigest,
      count: input.count,
      spec: storableJson(input.spec),
      created_by: input.createdBy,
      context_id: input.contextId ?? null,
      approval_id: input.approvalId ?? null,
      ...(input.approvalId ? { state: 'asked' } : {}),
    })
    .onConflict((conflict) => conflict.columns(['workspace_id', 'request_id']).doNothing())
    .returning(COLUMNS)
    .executeTakeFirst();
  if (created !== undefined) return { kind: 'created', spawn: toSpawn(created) };
  const existing = await findSpawn(db, input);
  if (existing === null) throw new Error('What was in the way of a new spawn is there.');
  return existing;
}

/** What an earlier request of that id made; null where there was none. */
export async function findSpawn(
  db: Executor,
  request: Pick<NewSpawn, 'workspaceId' | 'requestId' | 'requestDigest'>,
): Promise<SpawnFound | null> {
  const existing = await db
    .selectFrom('spawn')
    .select(COLUMNS)
    .where('workspace_id', '=', request.workspaceId)
    .where('request_id', '=', request.requestId)
    .executeTakeFirst();
  if (existing === undefined) return null;
  return existing.requestDigest === request.requestDigest
    ? { kind: 'existing', spawn: toSpawn(existing) }
    : { kind: 'conflict', spawnId: existing.id };
}

export async function getSpawn(db: Executor, id: string): Promise<Spawn | null> {
  const row = await db.selectFrom('spawn').select(COLUMNS).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toSpawn(row);
}

export async function listSpawns(
  db: Executor,
  query: Page & { readonly workspaceId: string },
): Promise<readonly Spawn[]> {
  const rows = await db
    .selectFrom('spawn')
    .select(COLUMNS)
    .where('workspace_id', '=', query.workspaceId)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit)
    .execute();
  return rows.map(toSpawn);
}

/** People let it start: true where it waited, or was started by this before. */
export async function releaseSpawn(tx: Executor, id: string): Promise<boolean> {
  const result = await tx
    .updateTable('spawn')
    .set({ state: 'requested' })
    .where('id', '=', id)
    .where('state', 'in', ['asked', 'requested'])
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** True when it is in that state now. An ended spawn stays as it ended. */
export async function setSpawnState(
  db: Executor,
  change: { readonly id: string; readonly state: SpawnState },
): Promise<boolean> {
  const result = await db
    .updateTable('spawn')
    .set({ state: change.state })
    .where('id', '=', change.id)
    .where('state', 'in', ['requested', 'running', change.state])
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
