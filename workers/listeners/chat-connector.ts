import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { AppError } from '../../domain/error.ts';
import type { ConnectorId } from '../../domain/id.ts';
import { ConnectorError, type Connector } from '../../infra/connectors/contract.ts';
import type { ConnectorFactories, OfferedCommand } from '../../infra/connectors/factory.ts';
import type { ChatHandler } from '../../infra/connectors/inbox.ts';
import {
  claimBot,
  findConnectorSecret,
  getConnector,
  type ConnectorRow,
} from '../../infra/db/queries/connector.ts';
import type { Lease } from '../../infra/db/queries/lease.ts';
import type { Database } from '../../infra/db/schema.ts';
import { startInbox } from './chat-inbox.ts';
import type { Lanes } from './chat-lanes.ts';
import { startOutbox } from './chat-outbox.ts';
import { createSink, type ChatSink } from './chat-sink.ts';
import { pause } from './listener.ts';

export interface ConnectorRunOptions {
  readonly db: Kysely<Database>;
  readonly log: Logger;
  readonly factories: ConnectorFactories;
  readonly handler: ChatHandler;
  readonly commands: readonly OfferedCommand[];
  readonly seal: (plain: string) => Buffer;
  readonly unseal: (sealed: Buffer) => string;
  /** The value behind a reference that connectors may name. */
  readonly resolveSecret: (reference: string) => Promise<string>;
  readonly pollTimeoutMs: number;
  /** Places of one connector that are served at once, in each direction. */
  readonly placesMax: number;
  /** For tests, which cannot wait as long as networks can. */
  readonly backOffMs?: (attempts: number) => number;
  readonly brokenPauseMs?: number;
}

export interface ConnectorRun extends ConnectorRunOptions {
  readonly connectorId: ConnectorId;
  readonly lease: Lease;
  /** Ends it: another revision, a lost lease, or a stop. */
  readonly signal: AbortSignal;
  /** Gets what wakes it. */
  readonly onBell: (ring: () => void) => void;
}

/** A secret that was refused is tried again so rarely, since only a change helps, and a change wakes at once. */
const REFUSED_PAUSE_MS = 300_000;
/** Another connector speaks for the bot: it may be turned off at any time, of which nobody tells this one. */
const TAKEN_PAUSE_MS = 10_000;
const BROKEN_PAUSE_MS = 1_000;
const BROKEN_PAUSE_MS_MAX = 60_000;
/** What is being said may end; then its connection is cut, and the post is uncertain. */
const STOP_GRACE_MS = 5_000;

/** Speaks for one bot, as long as the lease is held: reads, has updates handled, and sends. */
export async function runConnector(run: ConnectorRun): Promise<void> {
  const { db, connectorId, signal } = run;
  let lanes: readonly Lanes[] = [];
  const ring = (): void => lanes.forEach((lane) => lane.ring());
  run.onBell(ring);
  const sink = await createSink({ ...run, stored: ring });
  sink.changed('connecting', '');
  const row = await getConnector(db, connectorId);
  const connector = row === null ? null : await open(row, { ...run, sink });
  if (row === null || connector === null) return pause(REFUSED_PAUSE_MS, signal);
  const stop = new AbortController();
  const ends = AbortSignal.any([signal, stop.signal]);
  try {
    const claimed = await claim(connector, row, { ...run, sink });
    if (claimed !== 'claimed') {
      await pause(claimed === 'taken' ? TAKEN_PAUSE_MS : REFUSED_PAUSE_MS, signal);
      return;
    }
    if (signal.aborted) return;
    const common = { ...run, signal: ends };
    const outbox = await startOutbox({ ...common, connector, chats: sink });
    lanes = [startInbox(common), outbox];
    await listen(connector, { ...common, sink });
  } finally {
    stop.abort();
    await leave(connector, lanes);
    await sink.settled();
  }
}

async function leave(connector: Connector, lanes: readonly Lanes[]): Promise<void> {
  const grace = setTimeout(() => void connector.close().catch(() => undefined), STOP_GRACE_MS);
  await Promise.all(lanes.map(({ ended }) => ended));
  clearTimeout(grace);
  await connector.close();
}

interface Sinking extends ConnectorRun {
  readonly sink: ChatSink;
}

/** Null where it cannot be made, which its state then tells. */
async function open(row: ConnectorRow, run: Sinking): Promise<Connector | null> {
  const { sink, factories, log } = run;
  try {
    const make = factories[row.network];
    if (make === undefined) {
      throw new AppError('invalid_input', `This build has no connector for ${row.network}.`);
    }
    const { secret, webhookSecret } = await secretsOf(run);
    const { connectorId, commands, pollTimeoutMs } = run;
    const { settings } = row;
    return await make({
      connectorId,
      secret,
      settings,
      commands,
      webhookSecret,
      pollTimeoutMs,
      log,
    });
  } catch (error) {
    log.warn({ err: error, connectorId: row.id }, 'a connector cannot be made');
    sink.changed('refused', wordsOf(error));
    return null;
  }
}

async function secretsOf(
  run: ConnectorRun,
): Promise<{ readonly secret: string; readonly webhookSecret: string | null }> {
  const { db, connectorId, unseal } = run;
  const stored = await findConnectorSecret(db, connectorId);
  const webhookSecret = stored?.webhookSecret == null ? null : unseal(stored.webhookSecret);
  return { secret: await readSecret(stored, run), webhookSecret };
}

/** The bot's token, from wherever the row says. */
async function readSecret(
  stored: Awaited<ReturnType<typeof findConnectorSecret>>,
  { unseal, resolveSecret }: Pick<ConnectorRun, 'unseal' | 'resolveSecret'>,
): Promise<string> {
  if (stored?.sealedSecret != null) return unseal(stored.sealedSecret);
  if (stored?.secretRef != null) return (await resolveSecret(stored.secretRef)).trim();
  throw new AppError('invalid_input', 'This connector has no secret.');
}

/** Who are we? Where it is not for us to speak, the state tells why. */
async function claim(connector: Connector, row: ConnectorRow, run: Sinking) {
  const { db, connectorId, lease, sink } = run;
  const bot = await identify(connector, run);
  if (bot === null) return 'refused';
  const claimed = await claimBot(db, { connectorId, network: row.network, ...bot, lease });
  if (claimed.kind === 'taken') {
    sink.changed('conflict', `The connector ${claimed.by} speaks for this bot already.`);
  }
  if (claimed.kind === 'other') {
    const words = `This secret is of the bot ${bot.botId}, and the connector is of ${claimed.botId}: make another connector for it.`;
    sink.changed('refused', words);
  }
  return claimed.kind;
}

async function identify(connector: Connector, { sink, signal, brokenPauseMs }: Sinking) {
  let pauseMs = brokenPauseMs ?? BROKEN_PAUSE_MS;
  while (!signal.aborted) {
    try {
      return await connector.identify();
    } catch (error) {
      if (signal.aborted) return null;
      if (error instanceof ConnectorError && error.kind === 'rejected') {
        sink.changed('refused', error.message);
        return null;
      }
      sink.changed('connecting', wordsOf(error));
      await pause(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, BROKEN_PAUSE_MS_MAX);
    }
  }
  return null;
}

/** Until it is to end, or the network refuses the secret. */
async function listen(connector: Connector, run: Sinking): Promise<void> {
  const { sink, signal, log, connectorId } = run;
  let pauseMs = run.brokenPauseMs ?? BROKEN_PAUSE_MS;
  while (!signal.aborted) {
    const beganAtMs = performance.now();
    try {
      await connector.listen(sink, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ConnectorError && error.kind === 'rejected') {
        sink.changed('refused', error.message);
        // Until another secret comes; what waits to be said would only be refused as well.
        await pause(REFUSED_PAUSE_MS, signal);
        return;
      }
      if (!(error instanceof ConnectorError)) {
        log.warn({ err: error, connectorId }, 'a connector broke off');
      }
      sink.changed('connecting', wordsOf(error));
    }
    const isShort = performance.now() - beganAtMs < BROKEN_PAUSE_MS_MAX;
    pauseMs = isShort ? Math.min(pauseMs * 2, BROKEN_PAUSE_MS_MAX) : BROKEN_PAUSE_MS;
    await pause(pauseMs / 2, signal);
  }
}

/** Only what a connector says in its own words: other errors may hold anything. */
function wordsOf(error: unknown): string {
  return error instanceof ConnectorError || error instanceof AppError
    ? error.message
    : 'It broke off; the log says why.';
}
