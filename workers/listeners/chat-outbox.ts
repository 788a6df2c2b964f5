import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { ChatPost } from '../../domain/chat.ts';
import type { ConnectorId } from '../../domain/id.ts';
import { ConnectorError, type Connector } from '../../infra/connectors/contract.ts';
import type { Lease } from '../../infra/db/queries/lease.ts';
import {
  beginPost,
  findDuePostPlaces,
  findInterrupted,
  findNextPost,
  recordPostRetry,
  recordSent,
  recordUnsent,
  type DuePost,
} from '../../infra/db/queries/post.ts';
import type { Database, Executor } from '../../infra/db/schema.ts';
import { startLanes, type Lanes } from './chat-lanes.ts';
import { createLimits, type ChatLimits } from './chat-limits.ts';
import { recordChat } from './chat-record.ts';
import type { ChatSink } from './chat-sink.ts';

export interface OutboxOptions {
  readonly db: Kysely<Database>;
  readonly log: Logger;
  readonly connectorId: ConnectorId;
  readonly connector: Connector;
  readonly lease: Lease;
  readonly unseal: (sealed: Buffer) => string;
  readonly placesMax: number;
  readonly signal: AbortSignal;
  /** Chats that go on under another number. */
  readonly chats: Pick<ChatSink, 'moved' | 'movedTo'>;
}

interface Outbox extends OutboxOptions {
  readonly limits: ChatLimits;
}

/** Oldest posts that are looked at for places: several may be of one. */
const LOOKED_AT = 100;
/** About a day with the longest pauses: a network that is away longer has a person look at what waited. */
const ATTEMPTS_MAX = 300;
/** "The past few minutes", says Discord of how long it knows a nonce again. */
const DOUBLES_KNOWN_MS = 120_000;
/** With the pauses between them, half a minute. */
const DOUBLES_KNOWN_TRIES = 5;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 300_000;
/** An edit whose message is on its way through another place looks again. */
const EDIT_WAIT_MS = 500;

/** Hands posts to the network: those of one place in order, places side by side. */
export async function startOutbox(options: OutboxOptions): Promise<Lanes> {
  const { db, connectorId, log, placesMax, signal } = options;
  const outbox: Outbox = { ...options, limits: createLimits() };
  await settleInterrupted(outbox);
  return startLanes({
    log,
    name: 'outbox',
    lanesMax: placesMax,
    signal,
    look: async (busy) => {
      if (outbox.limits.isAllLimited()) return [];
      const limited = outbox.limits.chats();
      return findDuePostPlaces(db, { connectorId, busy, limited, limit: LOOKED_AT });
    },
    serve: (place) => servePlace(place, outbox),
  });
}

/**
 * What was being sent when its process ended may be there or not. The network tells doubles apart, or the post stays as
 * it is until a person looks: nothing is said twice by guessing. An edit is the same the second time.
 */
async function settleInterrupted(outbox: Outbox): Promise<void> {
  const { db, connectorId, connector } = outbox;
  const recentMs = DOUBLES_KNOWN_MS;
  for (const post of await findInterrupted(db, { connectorId, recentMs })) {
    const isKnown = connector.capabilities.detectsDoubles && post.isRecent;
    if (post.kind === 'edit' || isKnown) {
      const error = 'Its process ended while it was sent.';
      await recordPostRetry(db, post.id, { error, retryInMs: 0 });
    } else {
      await unsent(outbox, post, {
        state: 'uncertain',
        error: 'The process ended while it was sent: it may be there.',
      });
    }
  }
}

async function servePlace(place: string, outbox: Outbox): Promise<void> {
  const { db, connectorId, limits, signal } = outbox;
  while (!signal.aborted && !limits.isLimited(place)) {
    const post = await findNextPost(db, { connectorId, place });
    if (post === null || !(await deliver(post, { ...outbox, place }))) return;
  }
}

interface Delivery extends Outbox {
  readonly place: string;
}

/** False where the place has to wait. */
async function deliver(post: DuePost, outbox: Delivery): Promise<boolean> {
  const { db, lease } = outbox;
  const hindrance = hindranceOf(post);
  if (hindrance === 'wait') {
    const error = 'The message that it changes is not sent yet.';
    await recordPostRetry(db, post.id, { error, retryInMs: EDIT_WAIT_MS });
    return false;
  }
  if (hindrance !== null) {
    await unsent(outbox, post, { state: 'failed', error: hindrance });
    return true;
  }
  if (!(await beginPost(db, post.id, lease))) return false;
  try {
    const messageId = await handOver(post, outbox);
    await sent(outbox, post, messageId);
    return true;
  } catch (error) {
    return await afterFailure(post, error, outbox);
  }
}

function hindranceOf({ kind, sealed, edits }: DuePost): string | null {
  if (sealed === null) return 'What was to be said is not kept any more.';
  if (kind === 'send') return null;
  if (edits === null) return 'There is no message that it could change.';
  if (edits.state === 'queued' || edits.state === 'sending') return 'wait';
  return edits.messageId === null ? 'The message that it changes was not sent.' : null;
}

async function handOver(post: DuePost, outbox: Delivery): Promise<string> {
  const { connector, unseal, chats } = outbox;
  if (post.sealed === null) throw new Error('Looked at before.');
  // Sealed by us, so that it is what was stored.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const stored = JSON.parse(unseal(post.sealed)) as ChatPost;
  const said = { ...stored, to: { ...stored.to, chatId: chats.movedTo(stored.to.chatId) } };
  if (post.kind === 'send') return (await connector.send(post.key, said)).messageId;
  const messageId = post.edits?.messageId ?? '';
  await connector.edit(messageId, said);
  return messageId;
}

async function sent(outbox: Outbox, post: DuePost, messageId: string): Promise<void> {
  const { db, connectorId } = outbox;
  const { id, workspaceId } = post;
  if (workspaceId === null) {
    await recordSent(db, id, messageId);
    return;
  }
  await db.transaction().execute(async (tx) => {
    if (!(await recordSent(tx, id, messageId))) return;
    await recordChat(tx, workspaceId, {
      key: `${id}:sent:${post.attempts}`,
      type: 'chat.post_sent',
      action: 'chat.send_post',
      subjectId: id,
      detail: { connectorId, kind: post.kind, key: post.key, messageId },
    });
  });
}

async function afterFailure(post: DuePost, error: unknown, outbox: Delivery): Promise<boolean> {
  const { db, limits, place, log, connectorId } = outbox;
  const failure = failureOf(error, outbox);
  const reason = failure.message;
  log.info({ connectorId, postId: post.id, kind: failure.kind, reason }, 'a post was not sent');
  if (failure.movedTo !== null) await outbox.chats.moved(chatOf(place), failure.movedTo);
  const isKnown =
    outbox.connector.capabilities.detectsDoubles && post.attempts < DOUBLES_KNOWN_TRIES;
  const canRepeat = post.kind === 'edit' || isKnown;
  if (failure.kind === 'rejected') {
    await unsent(outbox, post, { state: 'failed', error: reason });
    return true;
  }
  if (failure.kind === 'uncertain' && !canRepeat) {
    await unsent(outbox, post, { state: 'uncertain', error: reason });
    return true;
  }
  if (post.attempts + 1 >= ATTEMPTS_MAX) {
    await unsent(outbox, post, { state: 'failed', error: `Given up. ${reason}` });
    return true;
  }
  const asked = failure.retryAfterMs;
  const retryInMs = asked ?? backOffMs(post.attempts);
  await recordPostRetry(db, post.id, { error: reason, retryInMs });
  if (asked !== null && asked > 0) limits.limit(place, { ms: asked, scope: failure.scope });
  return retryInMs === 0;
}

/** A connector that fails in other words than it promised has a bug: what became of the post is not known. */
function failureOf(error: unknown, { log, connectorId }: Outbox): ConnectorError {
  if (error instanceof ConnectorError) return error;
  log.error({ err: error, connectorId }, 'a connector failed in its own words');
  return new ConnectorError('uncertain', 'The connector failed, and it may be sent.');
}

function backOffMs(attempts: number): number {
  return Math.min(RETRY_MS_MIN * 2 ** Math.min(attempts, 20), RETRY_MS_MAX);
}

function chatOf(place: string): string {
  return place.split('/')[0] ?? place;
}

const WORDS = {
  failed: { type: 'chat.post_failed', action: 'chat.fail_post' },
  uncertain: { type: 'chat.post_uncertain', action: 'chat.doubt_post' },
} as const;

async function unsent(
  { db, connectorId }: Outbox,
  post: Pick<DuePost, 'id' | 'workspaceId' | 'kind' | 'key'> & { readonly attempts?: number },
  outcome: { readonly state: 'failed' | 'uncertain'; readonly error: string },
): Promise<void> {
  await db.transaction().execute(async (tx: Executor) => {
    if (!(await recordUnsent(tx, post.id, outcome))) return;
    await recordChat(tx, post.workspaceId, {
      key: `${post.id}:${outcome.state}:${crypto.randomUUID()}`,
      ...WORDS[outcome.state],
      subjectId: post.id,
      detail: { connectorId, kind: post.kind, key: post.key, reason: outcome.error },
    });
  });
}
