import { createHash, timingSafeEqual } from 'node:crypto';
import { placeKey } from '../domain/chat.ts';
import { AppError } from '../domain/error.ts';
import { isId } from '../domain/id.ts';
import { readTelegramSettings } from '../infra/connectors/telegram/settings.ts';
import { readUpdate } from '../infra/connectors/telegram/update.ts';
import { storeUpdate } from '../infra/db/queries/chat-update.ts';
import { findWebhookDoor, moveChat } from '../infra/db/queries/connector.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import type { ApiDeps } from './deps.ts';
import { readBody } from './middleware/body.ts';

const SECRET_HEADER = 'x-telegram-bot-api-secret-token';
/** Compared with where there is no connector, so that an unknown one costs what a wrong secret costs. */
const NOBODYS = createHash('sha256').update('nobody').digest();

/** One answer for an unknown connector, one that is not pushed to and a wrong secret. */
function refused(): AppError {
  return new AppError('unauthenticated', 'This push does not carry the secret of its connector.');
}

/**
 * Stores one update and answers: only then does Telegram forget it. Its body is read after its secret was found right. The
 * answer may itself be a call, by which a button stops turning.
 */
export async function takeTelegramUpdate(
  deps: ApiDeps,
  connectorId: string,
  request: Request,
): Promise<Readonly<Record<string, unknown>>> {
  const { db, secrets, logger } = deps;
  const door = isId('connector', connectorId) ? await findWebhookDoor(db, connectorId) : null;
  const expected = door === null ? NOBODYS : digest(secrets.unseal(door.webhookSecret));
  const isRight = timingSafeEqual(digest(request.headers.get(SECRET_HEADER) ?? ''), expected);
  if (door === null || !isRight || !isPushedTo(door)) throw refused();
  // Not yet known to its network: Telegram pushes again.
  if (door.botId === null || door.botName === null) {
    throw new AppError('upstream_unavailable', 'This connector is starting.');
  }
  const { value } = await readBody(request);
  const self = { botId: door.botId, botName: door.botName };
  const { id, reading, queryId } = readUpdate(value, self, deps.clock.now());
  switch (reading.kind) {
    case 'update': {
      const sealed = secrets.seal(JSON.stringify(reading.update));
      const place = placeKey(reading.update.place);
      await storeUpdate(db, { connectorId, key: reading.key, place, sealed });
      break;
    }
    case 'moved':
      await followChat(deps, { connectorId, from: reading.from, to: reading.to });
      break;
    case 'nothing':
      // Taken all the same: pushed again it would be the same, and hold up those behind it.
      logger.info({ connectorId, updateId: id, why: reading.why }, 'an update was passed over');
  }
  return queryId === null ? {} : { method: 'answerCallbackQuery', callback_query_id: queryId };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isPushedTo({ network, settings }: { network: string; settings: unknown }): boolean {
  return network === 'telegram' && readTelegramSettings(settings).webhookUrl !== undefined;
}

async function followChat(
  { db }: ApiDeps,
  move: { readonly connectorId: string; readonly from: string; readonly to: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    for (const { id, workspaceId } of await moveChat(tx, move)) {
      const key = `${id}:moved:${move.from}:${move.to}`;
      const detail = { before: { chatId: move.from }, after: { chatId: move.to } };
      const actor = { actorKind: 'system' as const, actorId: 'connectors' };
      await appendRecord(tx, {
        workspaceId,
        events: [{ key, type: 'context.changed', subjectId: id, data: detail }],
        audits: [{ ...actor, key, action: 'context.follow_chat', subjectId: id, detail }],
      });
    }
  });
}
