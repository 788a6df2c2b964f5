import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import { AppError } from '../domain/error.ts';
import type { EventType } from '../domain/event.ts';
import { parseId, type ConnectorId } from '../domain/id.ts';
import type {
  ChangeConnectorSchema,
  CreateConnectorSchema,
  RotateConnectorSecretSchema,
} from '../domain/schema/connector.ts';
import { ConnectorError, type Connector } from '../infra/connectors/contract.ts';
import { retryUpdates } from '../infra/db/queries/chat-update.ts';
import {
  changeConnector,
  findConnectorSecret,
  getConnector,
  hasOtherOfName,
  insertConnector,
  listConnectors,
  lockConnector,
  removeConnector,
  type ConnectorRow,
  type ConnectorSecret,
} from '../infra/db/queries/connector.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { findOldestWorkspace } from '../infra/db/queries/key-view.ts';
import { getPost, resendPost, type StoredPost } from '../infra/db/queries/post.ts';
import type { Executor } from '../infra/db/schema.ts';
import { isPrivateAddress } from '../infra/net/address.ts';
import type { ApiDeps, ConnectorDoor } from './deps.ts';
import type { Caller } from './route.ts';

type Create = z.output<typeof CreateConnectorSchema>;
type Secret = Create['secret'];

export async function findConnector(db: Executor, id: string): Promise<ConnectorRow> {
  const found = await getConnector(db, id);
  if (found === null) throw new AppError('not_found', 'There is no such connector.');
  return found;
}

export async function create(
  deps: ApiDeps,
  caller: Caller,
  { id, network, name, secret, settings, enabled }: Create & { readonly id: ConnectorId },
) {
  const { max } = doorOf(deps);
  await checkSettings(deps, { network, settings });
  const kept = keep(deps, secret);
  return deps.db.transaction().execute(async (tx) => {
    if ((await listConnectors(tx, { after: 0, limit: max })).length >= max) {
      throw new AppError(
        'limit_exceeded',
        `There are ${max} connectors, which is as many as there may be (connectors.max).`,
      );
    }
    const made = await insertConnector(tx, {
      id,
      network,
      name,
      settings,
      ...kept,
      createdBy: caller.id,
    });
    if (made === 'taken') throw nameTaken(name);
    if (made === 'created') {
      if (!enabled) await changeConnector(tx, id, { enabled });
      const after = await findConnector(tx, id);
      await record(tx, caller, { type: 'connector.created', verb: 'create', before: null, after });
    }
    return findConnector(tx, id);
  });
}

export async function change(
  deps: ApiDeps,
  caller: Caller,
  { id, ...wanted }: z.output<typeof ChangeConnectorSchema> & { readonly id: string },
) {
  return deps.db.transaction().execute(async (tx) => {
    const before = await locked(tx, id);
    if (wanted.settings !== undefined) {
      await checkSettings(deps, { network: before.network, settings: wanted.settings });
    }
    const { name } = wanted;
    if (name !== undefined && (await hasOtherOfName(tx, { id, name }))) throw nameTaken(name);
    // The same again, as after a lost answer, is no change.
    if (isSame(before, wanted)) return before;
    await changeConnector(tx, id, wanted);
    const after = await findConnector(tx, id);
    await record(tx, caller, { type: 'connector.changed', verb: 'change', before, after });
    return after;
  });
}

function isSame(
  { name, enabled, settings }: ConnectorRow,
  wanted: Omit<z.output<typeof ChangeConnectorSchema>, 'id'>,
): boolean {
  return (
    (wanted.name ?? name) === name &&
    (wanted.enabled ?? enabled) === enabled &&
    (wanted.settings === undefined || JSON.stringify(wanted.settings) === JSON.stringify(settings))
  );
}

/** Whoever runs it takes the new one within moments; the old one, and the old secret of its webhook, are forgotten. */
export async function rotate(
  deps: ApiDeps,
  caller: Caller,
  { id, secret }: z.output<typeof RotateConnectorSecretSchema> & { readonly id: string },
) {
  const kept = keep(deps, secret);
  return deps.db.transaction().execute(async (tx) => {
    const before = await locked(tx, id);
    await changeConnector(tx, id, { secret: kept });
    const after = await findConnector(tx, id);
    await record(tx, caller, { type: 'connector.changed', verb: 'rotate_secret', before, after });
    return after;
  });
}

export async function remove(deps: ApiDeps, caller: Caller, id: string) {
  return deps.db.transaction().execute(async (tx) => {
    const before = await locked(tx, id);
    await removeConnector(tx, id);
    await record(tx, caller, { type: 'connector.removed', verb: 'remove', before, after: null });
    return before;
  });
}

/** Asks the network who we are, with the secret as it is now. */
export async function tryOut(deps: ApiDeps, id: string) {
  const row = await findConnector(deps.db, id);
  let connector: Connector | null = null;
  try {
    connector = await make(deps, row, await secretOf(deps, row));
    const bot = await connector.identify();
    return { ok: true, ...bot, error: null };
  } catch (error) {
    return { ok: false, botId: null, botName: null, error: wordsOf(error) };
  } finally {
    await connector?.close();
  }
}

export async function retryAll(deps: ApiDeps, caller: Caller, id: string) {
  return deps.db.transaction().execute(async (tx) => {
    const before = await locked(tx, id);
    const count = await retryUpdates(tx, id);
    const detail = {
      before,
      after: before,
      type: 'connector.changed',
      verb: 'retry_updates',
    } as const;
    if (count > 0) await record(tx, caller, { ...detail, more: { count } });
    return { count };
  });
}

/** A person decides that a message is sent once more, knowing that it may be there. */
export async function sendAgain(deps: ApiDeps, caller: Caller, id: string): Promise<StoredPost> {
  return deps.db.transaction().execute(async (tx) => {
    const before = await getPost(tx, id);
    if (!(await resendPost(tx, id))) {
      throw new AppError(
        'conflict',
        `Only what is uncertain or failed can be sent again, and this is ${before?.state ?? 'gone'}.`,
      );
    }
    const key = `${id}:resend:${crypto.randomUUID()}`;
    const detail = { before: { state: before?.state }, after: { state: 'queued' } };
    const workspaceId = before?.workspaceId ?? (await findOldestWorkspace(tx));
    if (workspaceId !== null) {
      await appendRecord(tx, {
        workspaceId,
        events: [{ key, type: 'chat.post_resent', subjectId: id, data: {} }],
        audits: [{ ...actor(caller), key, action: 'chat.resend_post', subjectId: id, detail }],
      });
    }
    const after = await getPost(tx, id);
    if (after === null) throw new Error('It was there a moment ago.');
    return after;
  });
}

async function locked(tx: Executor, id: string): Promise<ConnectorRow> {
  const found = await lockConnector(tx, id);
  if (found === null) throw new AppError('not_found', 'There is no such connector.');
  return found;
}

function doorOf(deps: ApiDeps): ConnectorDoor {
  if (deps.connectors !== undefined) return deps.connectors;
  throw new AppError('upstream_unavailable', 'This process administrates no connectors.');
}

/** Sealed, or named where it may be; each with another secret for what the network pushes. */
function keep(deps: ApiDeps, secret: Secret): ConnectorSecret {
  const webhookSecret = deps.secrets.seal(randomBytes(32).toString('base64url'));
  if ('typed' in secret) {
    return { secretRef: null, sealedSecret: deps.secrets.seal(secret.typed), webhookSecret };
  }
  const { reference } = secret;
  if (!doorOf(deps).mayName(reference)) {
    // Not repeated: it may be the secret itself, typed by mistake.
    throw new AppError(
      'policy_denied',
      'Connectors may not be given this reference. An administrator lists it under connectors.secretRefs.',
    );
  }
  return { secretRef: reference, sealedSecret: null, webhookSecret };
}

async function secretOf(deps: ApiDeps, { id }: ConnectorRow): Promise<string> {
  const stored = await findConnectorSecret(deps.db, id);
  if (stored?.sealedSecret != null) return deps.secrets.unseal(stored.sealedSecret);
  if (stored?.secretRef != null) return (await doorOf(deps).resolve(stored.secretRef)).trim();
  throw new AppError('conflict', 'This connector has no secret.');
}

async function make(
  deps: ApiDeps,
  row: Pick<ConnectorRow, 'network' | 'settings'>,
  secret: string,
): Promise<Connector> {
  const { factories, pollTimeoutMs, log } = doorOf(deps);
  const factory = factories[row.network];
  if (factory === undefined) {
    throw new AppError('invalid_input', `This build has no connector for ${row.network}.`);
  }
  const connectorId = parseId('connector', NOBODY);
  const { settings } = row;
  return factory({
    connectorId,
    secret,
    settings,
    commands: [],
    webhookSecret: null,
    pollTimeoutMs,
    log,
  });
}
const NOBODY = 'con_00000000000000000000000000';

const Rooted = z.looseObject({ apiRoot: z.string().optional(), webhookUrl: z.string().optional() });

/** Its own connector says whether it takes them. Who listens on the way would have the secret. */
async function checkSettings(
  deps: ApiDeps,
  row: Pick<ConnectorRow, 'network' | 'settings'>,
): Promise<void> {
  try {
    await (await make(deps, row, 'none')).close();
  } catch (error) {
    throw new AppError('invalid_input', wordsOf(error));
  }
  const { apiRoot, webhookUrl } = Rooted.parse(row.settings);
  if (apiRoot !== undefined && !isSafe(apiRoot)) {
    throw new AppError(
      'invalid_input',
      'The server of a network is reached by https; plain http is for private addresses only.',
    );
  }
  if (
    webhookUrl !== undefined &&
    URL.parse(webhookUrl)?.protocol !== 'https:' &&
    !isSafe(webhookUrl)
  ) {
    throw new AppError('invalid_input', 'Networks push to https only.');
  }
}

function isSafe(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  return host === 'localhost' || (isIP(host) !== 0 && isPrivateAddress(host));
}

function wordsOf(error: unknown): string {
  if (error instanceof ConnectorError || error instanceof AppError) return error.message;
  return 'The connector cannot be made or asked.';
}

function nameTaken(name: string): AppError {
  return new AppError('conflict', `There is another connector of the name ${name}.`);
}

interface Change {
  readonly type: EventType;
  readonly verb: string;
  readonly before: ConnectorRow | null;
  readonly after: ConnectorRow | null;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Connectors are in no workspace; what happens to them is written where the installation's other records are. */
async function record(tx: Executor, caller: Caller, made: Change): Promise<void> {
  const { type, verb, before, after, more = {} } = made;
  const row = after ?? before;
  const workspaceId = await findOldestWorkspace(tx);
  if (row === null || workspaceId === null) return;
  const key = `${row.id}:${verb}:${crypto.randomUUID()}`;
  const { id, network, name } = row;
  const detail = { before: factsOf(before), after: factsOf(after), ...more };
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type, subjectId: id, data: { network, name, change: verb } }],
    audits: [{ ...actor(caller), key, action: `connector.${verb}`, subjectId: id, detail }],
  });
}

function actor(caller: Caller) {
  return { actorKind: 'user' as const, actorId: caller.id };
}

function factsOf(row: ConnectorRow | null) {
  if (row === null) return null;
  const { network, name, settings, secretRef, enabled, revision } = row;
  return { network, name, settings, secretRef, enabled, revision };
}
