import { sql } from 'kysely';
import { z } from 'zod';
import type { AgentGrant } from '../../../domain/grant.ts';
import { ROLES, type Role } from '../../../domain/principal.ts';
import type { Executor } from '../schema.ts';
import type { AgentKeyUse } from '../tables/agent-key.ts';
import type { Page } from './page.ts';
import { bindingHolds } from './principal.ts';

const Names = z.array(z.string()).nullable();

export interface NewAgentKey {
  readonly id: string;
  readonly agentId: string;
  readonly workspaceId: string;
  readonly epoch: number;
  readonly use: AgentKeyUse;
  readonly prefix: string;
  readonly hash: string;
  readonly bindingHash: string;
  readonly grants: readonly AgentGrant[];
  /** From now by the database's clock. */
  readonly ttlMs: number;
}

export interface LiveAgentKey extends Omit<NewAgentKey, 'prefix' | 'ttlMs'> {
  /** Where its session runs. */
  readonly hostId: string | null;
  /** Of whoever the agent works for; null when that API key is good no longer. */
  readonly ownerRole: Role | null;
  /** Names of tools that its spawn chose; null where it chose none in particular. */
  readonly tools: readonly string[] | null;
  /** Models that it may call, or their beginnings and `*`; null where it may call every one. */
  readonly models: readonly string[] | null;
}

/** Idempotent by the key's prefix: it is derived from agent, epoch and use. True when this call made it. */
export async function insertAgentKey(db: Executor, key: NewAgentKey): Promise<boolean> {
  const result = await db
    .insertInto('agent_key')
    .values({
      id: key.id,
      agent_id: key.agentId,
      workspace_id: key.workspaceId,
      epoch: key.epoch,
      use: key.use,
      prefix: key.prefix,
      hash: key.hash,
      binding_hash: key.bindingHash,
      grants: [...key.grants],
      expires_at: sql<Date>`now() + ${key.ttlMs}::double precision * interval '1 millisecond'`,
    })
    .onConflict((conflict) => conflict.column('prefix').doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/**
 * A key that is good now: not revoked, not expired, and its agent's lease lives in the very epoch that the key was
 * made for. All by the database's clock and in one statement. The caller compares the hashes, in constant time.
 */
export async function findAgentKey(
  db: Executor,
  query: { readonly prefix: string; readonly use: AgentKeyUse },
): Promise<LiveAgentKey | null> {
  const row = await liveKeys(db)
    .where('key.prefix', '=', query.prefix)
    .where('key.use', '=', query.use)
    .executeTakeFirst();
  return row === undefined
    ? null
    : { ...row, tools: Names.parse(row.tools), models: Names.parse(row.models) };
}

/** Whether a key that was good a moment ago still is: for streams that stay open. */
export async function isAgentKeyLive(db: Executor, id: string): Promise<boolean> {
  return (await liveKeys(db).where('key.id', '=', id).executeTakeFirst()) !== undefined;
}

function liveKeys(db: Executor) {
  return db
    .selectFrom('agent_key as key')
    .innerJoin('agent', 'agent.id', 'key.agent_id')
    .select([
      'key.id',
      'key.agent_id as agentId',
      'key.workspace_id as workspaceId',
      'key.epoch',
      'key.use',
      'key.hash',
      'key.binding_hash as bindingHash',
      'key.grants',
      'agent.host_id as hostId',
      sql<Role | null>`(select o.role from live_binding o where o.principal_id = agent.owner_id
        and ${bindingHolds('o', { workspaceId: sql`agent.workspace_id`, contextId: sql`agent.context_id` })}
        order by array_position(${[...ROLES]}::text[], o.role) limit 1)`.as('ownerRole'),
      sql`agent.spec -> 'tools'`.as('tools'),
      sql`agent.spec -> 'models'`.as('models'),
    ])
    .where('key.revoked_at', 'is', null)
    .where(sql<boolean>`(key.expires_at is null or key.expires_at > now())`)
    .whereRef('agent.epoch', '=', 'key.epoch')
    .where('agent.ended_at', 'is', null)
    .where(sql<boolean>`agent.lease_until > now()`);
}

/** Those of earlier epochs, or all of them: revoked once and for good. Answers which this call revoked. */
export async function revokeAgentKeys(
  db: Executor,
  query: { readonly agentId: string; readonly beforeEpoch?: number },
): Promise<readonly string[]> {
  let update = db
    .updateTable('agent_key')
    .set({ revoked_at: sql<Date>`now()` })
    .where('agent_id', '=', query.agentId)
    .where('revoked_at', 'is', null);
  if (query.beforeEpoch !== undefined) update = update.where('epoch', '<', query.beforeEpoch);
  return (await update.returning('id').execute()).map(({ id }) => id);
}

export interface ListedAgentKey {
  readonly id: string;
  readonly agentId: string;
  readonly workspaceId: string;
  readonly epoch: number;
  readonly use: AgentKeyUse;
  readonly prefix: string;
  readonly grants: readonly AgentGrant[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** Good at this moment. */
  readonly isLive: boolean;
}

/** Oldest first. */
export async function listAgentKeys(
  db: Executor,
  query: {
    readonly workspaceId: string;
    readonly agentId?: string;
    readonly id?: string;
  } & Page,
): Promise<readonly (ListedAgentKey & { readonly seq: number })[]> {
  let select = db
    .selectFrom('agent_key as key')
    .innerJoin('agent', 'agent.id', 'key.agent_id')
    .select([
      'key.id',
      'key.seq',
      'key.agent_id as agentId',
      'key.workspace_id as workspaceId',
      'key.epoch',
      'key.use',
      'key.prefix',
      'key.grants',
      'key.created_at as createdAt',
      'key.expires_at as expiresAt',
      'key.revoked_at as revokedAt',
      sql<boolean>`key.revoked_at is null and (key.expires_at is null or key.expires_at > now())
        and agent.epoch = key.epoch and agent.ended_at is null
        and coalesce(agent.lease_until > now(), false)`.as('isLive'),
    ])
    .where('key.workspace_id', '=', query.workspaceId)
    .where('key.seq', '>', query.after)
    .orderBy('key.seq')
    .limit(query.limit);
  if (query.agentId !== undefined) select = select.where('key.agent_id', '=', query.agentId);
  if (query.id !== undefined) select = select.where('key.id', '=', query.id);
  return select.execute();
}

/** True when this call revoked it. Idempotent: the first time stands. */
export async function revokeAgentKey(db: Executor, id: string): Promise<boolean> {
  const result = await db
    .updateTable('agent_key')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
