import { pino } from 'pino';
import { makeId } from '../../../../domain/id.ts';
import { createTelegramConnector } from '../../../../infra/connectors/telegram/connector.ts';
import { visibleText } from '../../../../infra/connectors/safe-text.ts';
import { GROUP, TelegramServer, TOKEN } from '../../../support/chat/telegram-server.ts';
import { describeConnector, type ConnectorWorld } from '../contract.ts';

describeConnector('Telegram', makeWorld);

async function makeWorld(): Promise<ConnectorWorld> {
  const server = await TelegramServer.start();
  const connectorId = makeId('connector', crypto.randomUUID());
  const log = pino({ level: 'silent' });
  let last: Record<string, unknown> = {};
  return {
    connect: () =>
      createTelegramConnector({
        connectorId,
        secret: TOKEN,
        settings: { apiRoot: server.apiRoot },
        commands: [{ name: 'agents', description: 'What runs here' }],
        webhookSecret: null,
        pollTimeoutMs: 5_000,
        log,
      }),
    chatId: String(GROUP.id),
    async says(text) {
      last = server.say({ text });
      await Promise.resolve();
    },
    async editsLast(text) {
      server.push({ edited_message: { ...last, text, edit_date: last['date'] } });
      await Promise.resolve();
    },
    async presses(messageId, data) {
      server.press(Number(messageId), data);
      await Promise.resolve();
    },
    shown: () =>
      server.shown.map(({ messageId, chatId, text, buttons, file }) => ({
        messageId: String(messageId),
        chatId: String(chatId),
        text,
        buttons: buttons.map((row) => row.map(({ data }) => data)),
        file: file?.text ?? null,
      })),
    rateLimitNext(retryAfterMs) {
      server.fail('sendMessage', { kind: 'limit', retryAfterS: retryAfterMs / 1_000 });
    },
    breakAfterNext: () => server.fail('sendMessage', { kind: 'break-after' }),
    kick: () => void server.messages.kicked.add(GROUP.id),
    revoke: () => server.revoke(),
    reads: (text) => visibleText(text).trim(),
    tellsOfSecondReader: true,
    close: () => server.close(),
  };
}
