import { sql } from 'kysely';
import type { ConnectorState, Network } from '../../../domain/chat.ts';
import type { ConnectorId } from '../../../domain/id.ts';
import { parseId } from '../../../domain/id.ts';
import type { Executor } from '../schema.ts';
import { storableJson, storableText } from '../storable.ts';
import { ringChat } from './chat-bell.ts';
import type { Lease } from './lease.ts';
import type { Page } from './page.ts';

/** A bot on a network, without its secrets. */
export interface ConnectorRow {
  readonly id: ConnectorId;
  readonly seq: number;
  readonly network: Network;
  readonly name: string;
  /** As stored: the network's connector parses it. */
  readonly settings: unknown;
  /** A reference is no secret; null where the secret was typed. */
  readonly secretRef: string | null;
  readonly revision: number;
  readonly enabled: boolean;
  readonly state: ConnectorState;
  readonly stateDetail: string;
  readonly stateSince: Date;
  readonly botId: string | null;
  readonly botName: string | null;
  readonly createdBy: string;
  readonly createdAt: Date;
  /** Whether a process speaks for it: without one, `state` is what the last one saw. */
  readonly isRun: boolean;
}

/** The name of the lease of whoever speaks for a connector. */
export function connectorLease(id: string): string {
  return `connector:${id}`;
}

/** A process that was killed leaves the state that it saw last. */
const isRun = sql<boolean>`exists (select from listener_lease l
  where l.name = 'connector:' || connector.id and l.lease_until > now())`;

const COLUMNS = [
  'id',
  'seq',
  'network',
  'name',
  'settings',
  'secret_ref as secretRef',
  'revision',
  'enabled',
  'state',
  'state_detail as stateDetail',
  'state_since as stateSince',
  'bot_id as botId',
  'bot_name as botName',
  'created_by as createdBy',
  'created_at as createdAt',
  isRun.as('isRun'),
] as const;

interface Found extends Omit<ConnectorRow, 'id'> {
  readonly id: string;
}

function rowOf(found: Found): ConnectorRow {
  return { ...found, id: parseId('connector', found.id) };
}

export async function getConnector(db: Executor, id: string): Promise<ConnectorRow | null> {
  const found = await db
    .selectFrom('connector')
    .select(COLUMNS)
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  return found === undefined ? null : rowOf(found);
}

export async function listConnectors(db: Executor, page: Page): Promise<readonly ConnectorRow[]> {
  const found = await db
    .selectFrom('connector')
    .select(COLUMNS)
    .where('removed_at', 'is', null)
    .where('seq', '>', page.after)
    .orderBy('seq')
    .limit(page.limit)
    .execute();
  return found.map(rowOf);
}

/** In a transaction: nobody else changes it until commit. */
export async function lockConnector(tx: Executor, id: string): Promise<ConnectorRow | null> {
  await sql`select from connector where id = ${id} for update`.execute(tx);
  return getConnector(tx, id);
}

/** Sealed, or named. */
export interface ConnectorSecret {
  readonly secretRef: string | null;
  readonly sealedSecret: Buffer | null;
  /** Sealed: what the network shows with what it pushes to us. */
  readonly webhookSecret: Buffer;
}

export interface NewConnector extends ConnectorSecret {
  readonly id: string;
  readonly network: Network;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly createdBy: string;
}

/** `existing`: by this very id, which the same request made. `taken`: another one has the name. */
export async function insertConnector(
  tx: Executor,
  connector: NewConnector,
): Promise<'created' | 'existing' | 'taken'> {
  const known = await tx
    .selectFrom('connector')
    .select('id')
    .where('id', '=', connector.id)
    .executeTakeFirst();
  if (known !== undefined) return 'existing';
  const made = await tx
    .insertInto('connector')
    .values({
      id: connector.id,
      network: connector.network,
      name: storableText(connector.name),
      settings: storableJson(connector.settings),
      secret_ref: connector.secretRef,
      sealed_secret: connector.sealedSecret,
      webhook_secret: connector.webhookSecret,
      created_by: connector.createdBy,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (made.numInsertedOrUpdatedRows === 0n) return 'taken';
  await ringChat(tx, connector.id);
  return 'created';
}

export interface ConnectorChange {
  readonly name?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  readonly secret?: ConnectorSecret | undefined;
}

/** What is left out stays. Whoever runs it takes the change over by its revision. In a transaction. */
export async function changeConnector(
  tx: Executor,
  id: string,
  { name, enabled, settings, secret }: ConnectorChange,
): Promise<void> {
  await tx
    .updateTable('connector')
    .set({
      revision: sql<number>`revision + 1`,
      ...(name === undefined ? {} : { name: storableText(name) }),
      ...(enabled === undefined ? {} : { enabled }),
      ...(settings === undefined ? {} : { settings: storableJson(settings) }),
      ...(secret === undefined
        ? {}
        : {
            secret_ref: secret.secretRef,
            sealed_secret: secret.sealedSecret,
            webhook_secret: secret.webhookSecret,
          }),
    })
    .where('id', '=', id)
    .execute();
  await ringChat(tx, id);
}

export async function hasOtherOfName(
  db: Executor,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<boolean> {
  const other = await db
    .selectFrom('connector')
    .select('id')
    .where('name', '=', name)
    .where('id', '<>', id)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  return other !== undefined;
}

/** Its secrets go at once; its messages are left to the purge. What waits to be said is not said any more. */
export async function removeConnector(tx: Executor, id: string): Promise<void> {
  await tx
    .updateTable('connector')
    .set({
      removed_at: sql<Date>`now()`,
      enabled: false,
      revision: sql<number>`revision + 1`,
      secret_ref: null,
      sealed_secret: null,
      webhook_secret: null,
    })
    .where('id', '=', id)
    .execute();
  await tx
    .updateTable('post')
    .set({ state: 'failed', error: 'Its connector was removed.', sealed: null })
    .where('connector_id', '=', id)
    .where('state', 'in', ['queued', 'uncertain'])
    .execute();
  await ringChat(tx, id);
}

/** Those that are to run, with what whoever runs them must know to notice a change. */
export async function findEnabledConnectors(
  db: Executor,
  limit: number,
): Promise<readonly { readonly id: string; readonly revision: number }[]> {
  return db
    .selectFrom('connector')
    .select(['id', 'revision'])
    .where('enabled', '=', true)
    .where('removed_at', 'is', null)
    .orderBy('seq')
    .limit(limit)
    .execute();
}

/** With its secrets, sealed. Null where it is not to run. */
export async function findConnectorSecret(
  db: Executor,
  id: string,
): Promise<{
  readonly secretRef: string | null;
  readonly sealedSecret: Buffer | null;
  readonly webhookSecret: Buffer | null;
} | null> {
  const found = await db
    .selectFrom('connector')
    .select([
      'secret_ref as secretRef',
      'sealed_secret as sealedSecret',
      'webhook_secret as webhookSecret',
    ])
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  return found ?? null;
}

/** As whoever holds the lease sees it. The same again keeps the time since when. */
export async function noteConnectorState(
  db: Executor,
  id: string,
  {
    state,
    detail,
    lease,
  }: { readonly state: ConnectorState; readonly detail: string; readonly lease: Lease },
): Promise<void> {
  await db
    .updateTable('connector')
    .set({
      state,
      state_detail: storableText(detail),
      state_since: sql<Date>`case when state = ${state} then state_since else now() end`,
    })
    .where('id', '=', id)
    .where(holds(lease))
    .execute();
}

export type ClaimBotResult =
  | { readonly kind: 'claimed' }
  /** The secret is another bot's than before: its messages would be taken for the old one's. */
  | { readonly kind: 'other'; readonly botId: string }
  | { readonly kind: 'taken'; readonly by: string };

/** Notes which bot a connector is. Two that are one bot would answer everybody twice. */
export async function claimBot(
  db: Executor,
  claim: {
    readonly connectorId: string;
    readonly network: Network;
    readonly botId: string;
    readonly botName: string;
    readonly lease: Lease;
  },
): Promise<ClaimBotResult> {
  const { connectorId, network, botId, botName, lease } = claim;
  const work = async (tx: Executor): Promise<ClaimBotResult> => {
    await sql`select pg_advisory_xact_lock(hashtext(${`bot:${network}:${botId}`}))`.execute(tx);
    const other = await tx
      .selectFrom('connector')
      .select('name')
      .where('network', '=', network)
      .where('bot_id', '=', botId)
      .where('id', '<>', connectorId)
      .where('enabled', '=', true)
      .where('removed_at', 'is', null)
      .executeTakeFirst();
    if (other !== undefined) return { kind: 'taken', by: other.name };
    const own = await tx
      .selectFrom('connector')
      .select('bot_id as botId')
      .where('id', '=', connectorId)
      .executeTakeFirst();
    if (own?.botId != null && own.botId !== botId) return { kind: 'other', botId: own.botId };
    await tx
      .updateTable('connector')
      .set({ bot_id: botId, bot_name: storableText(botName) })
      .where('id', '=', connectorId)
      .where(holds(lease))
      .execute();
    return { kind: 'claimed' };
  };
  return db.isTransaction ? work(db) : db.transaction().execute(work);
}

/**
 * A chat goes on under another number: what is bound to it is bound to that, and what is still to be said goes there.
 * Idempotent. Answers what was bound, for the record.
 */
export async function moveChat(
  tx: Executor,
  move: { readonly connectorId: string; readonly from: string; readonly to: string },
): Promise<readonly { readonly id: string; readonly workspaceId: string }[]> {
  const { connectorId, from, to } = move;
  await writeCursor(tx, { connectorId, name: `${MOVED}${from}`, position: to });
  return tx
    .updateTable('context')
    .set({ chat_id: to })
    .where('connector_id', '=', connectorId)
    .where('chat_id', '=', from)
    .returning(['id', 'workspace_id as workspaceId'])
    .execute();
}

/** From old numbers of chats to those under which they go on. */
export async function readMoves(
  db: Executor,
  connectorId: string,
): Promise<ReadonlyMap<string, string>> {
  const rows = await db
    .selectFrom('connector_cursor')
    .select(['name', 'position'])
    .where('connector_id', '=', connectorId)
    .where('name', 'like', `${MOVED}%`)
    .execute();
  return new Map(rows.map(({ name, position }) => [name.slice(MOVED.length), position]));
}

const MOVED = 'moved:';

/** Only whoever holds the lease speaks for a connector. */
export function holds(lease: Lease) {
  return sql<boolean>`exists (select from listener_lease l
    where l.name = ${lease.name} and l.fence = ${lease.fence} and l.lease_until > now())`;
}

export async function readCursor(
  db: Executor,
  { connectorId, name }: { readonly connectorId: string; readonly name: string },
): Promise<string | null> {
  const found = await db
    .selectFrom('connector_cursor')
    .select('position')
    .where('connector_id', '=', connectorId)
    .where('name', '=', name)
    .executeTakeFirst();
  return found?.position ?? null;
}

export async function writeCursor(
  db: Executor,
  cursor: { readonly connectorId: string; readonly name: string; readonly position: string },
): Promise<void> {
  const { connectorId, name, position } = cursor;
  await db
    .insertInto('connector_cursor')
    .values({ connector_id: connectorId, name, position })
    .onConflict((conflict) => conflict.columns(['connector_id', 'name']).doUpdateSet({ position }))
    .execute();
}

/** Where the bot of an enabled connector may be pushed to, and what must be shown there; null for any other. */
export async function findWebhookDoor(
  db: Executor,
  id: string,
): Promise<(ConnectorRow & { readonly webhookSecret: Buffer }) | null> {
  const found = await db
    .selectFrom('connector')
    .select([...COLUMNS, 'webhook_secret as webhookSecret'])
    .where('id', '=', id)
    .where('enabled', '=', true)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  if (found === undefined || found.webhookSecret === null) return null;
  return { ...rowOf(found), webhookSecret: found.webhookSecret };
}
