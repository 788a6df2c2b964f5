import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from 'grammy';
import { ConnectorError, type UpdateSink } from '../contract.ts';
import type { ConnectorOptions } from '../factory.ts';
import { connectorErrorOf, identityError, isConflict, isTokenRefused } from './errors.ts';
import { UPDATE_KINDS } from './payload.ts';
import type { TelegramSettings } from './settings.ts';
import { readUpdate, type Self } from './update.ts';

const PAGE = 100;
/** Somebody else reads for this bot: until he stops, nothing else helps. */
const CONFLICT_PAUSE_MS = 3_000;
const BROKEN_PAUSE_MS = 1_000;

export interface Reader extends ConnectorOptions {
  readonly api: Api;
  /** Whose calls may take as long as a question for news stays open. */
  readonly poll: Api;
  readonly settings: TelegramSettings;
  readonly sink: UpdateSink;
  readonly self: Self;
}

/** Asks for news and says with the next question that the last were stored: not before. */
export async function readByPolling(reader: Reader, signal: AbortSignal): Promise<void> {
  // While a webhook is set, questions are refused. What waits is kept.
  await reader.api.deleteWebhook({ drop_pending_updates: false }).catch((error: unknown) => {
    throw connectorErrorOf(error);
  });
  // Where to go on is not remembered here: Telegram repeats what was not confirmed, and its numbers begin anew after a
  // quiet week.
  let offset = 0;
  // The first answer comes at once: only then is it known that nobody else reads.
  let waitMs = 0;
  while (!signal.aborted) {
    const updates = await ask(reader, { offset, waitMs }, signal);
    waitMs = updates === null ? 0 : reader.pollTimeoutMs;
    if (updates === null) continue;
    for (const raw of updates) {
      const id = await takeUpdate(reader, raw);
      if (id !== null) offset = Math.max(offset, id + 1);
    }
    if (updates.length > 0 && offset === 0) {
      throw new ConnectorError('retry', 'Telegram tells updates without numbers.');
    }
  }
}

/** Null where it has to be asked again. */
async function ask(
  { poll, sink }: Reader,
  { offset, waitMs }: { readonly offset: number; readonly waitMs: number },
  signal: AbortSignal,
): Promise<readonly unknown[] | null> {
  try {
    const updates: readonly unknown[] = await poll.getUpdates(
      {
        offset,
        limit: PAGE,
        timeout: Math.round(waitMs / 1_000),
        allowed_updates: UPDATE_KINDS,
      },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library types an older polyfill of it
      signal as unknown as Parameters<Api['getUpdates']>[1],
    );
    sink.changed('connected', '');
    return Array.isArray(updates) ? updates : [];
  } catch (error) {
    if (signal.aborted) return null;
    if (isTokenRefused(error)) throw identityError(error);
    if (isConflict(error)) {
      sink.changed('conflict', 'Somebody else reads for this bot: stop him, or make a new token.');
      await pause(CONFLICT_PAUSE_MS, signal);
      return null;
    }
    const { kind, message, retryAfterMs } = connectorErrorOf(error);
    if (kind === 'rejected') throw new ConnectorError('retry', message);
    sink.changed('connecting', message);
    await pause(retryAfterMs ?? BROKEN_PAUSE_MS, signal);
    return null;
  }
}

/** Stores what one update says; answers its number, which may then be confirmed. */
async function takeUpdate(reader: Reader, raw: unknown): Promise<number | null> {
  const { sink, log, connectorId, self } = reader;
  const { id, reading, queryId } = readUpdate(raw, self, Date.now());
  switch (reading.kind) {
    case 'update':
      await sink.take(reading.key, reading.update);
      break;
    case 'moved':
      await sink.moved(reading.from, reading.to);
      break;
    case 'nothing':
      log.debug({ connectorId, updateId: id, why: reading.why }, 'an update was passed over');
  }
  if (queryId !== null) answerPress(reader, queryId);
  return id;
}

/** The button turns until then. Nobody waits for it: an old press cannot be answered, and need not be. */
function answerPress({ api, log, connectorId }: Reader, queryId: string): void {
  api.answerCallbackQuery(queryId).catch((error: unknown) => {
    const { message } = connectorErrorOf(error);
    log.debug({ connectorId, reason: message }, 'a press was not answered');
  });
}

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
