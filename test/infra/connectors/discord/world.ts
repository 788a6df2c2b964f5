import pino from 'pino';
import type { Connector } from '../../../../infra/connectors/contract.ts';
import { createDiscordConnector } from '../../../../infra/connectors/discord/connector.ts';
import type { OfferedCommand } from '../../../../infra/connectors/factory.ts';
import { readDiscord } from '../../../support/chat/discord-markdown.ts';
import { startDiscordServer, type DiscordServer } from '../../../support/chat/discord-server.ts';
import type {
  WorldChannel,
  WorldGuild,
  WorldMessage,
  WorldUser,
} from '../../../support/chat/discord-world.ts';
import type { ConnectorWorld, ShownMessage } from '../contract.ts';

export const COMMANDS: readonly OfferedCommand[] = [
  { name: 'task', description: 'Give a task' },
  { name: 'approve', description: 'Approve what is asked' },
];

export interface DiscordWorld extends ConnectorWorld {
  readonly server: DiscordServer;
  readonly guild: WorldGuild;
  readonly channel: WorldChannel;
  readonly ada: WorldUser;
}

/** A server with one guild, one channel in it, and Ada. */
export async function startDiscordWorld(): Promise<DiscordWorld> {
  const server = await startDiscordServer();
  const { world } = server;
  const guild = world.addGuild('Rooks');
  const channel = world.addChannel({ guild });
  const ada = world.addUser('ada');
  let last: WorldMessage | null = null;
  return {
    server,
    guild,
    channel,
    ada,
    chatId: channel.id,
    connect: () => connectTo(server),
    says(text) {
      last = server.say(channel, ada, text);
      return Promise.resolve();
    },
    editsLast(text) {
      if (last !== null) server.edit(last, text);
      return Promise.resolve();
    },
    presses(messageId, data) {
      const message = channel.messages.find(({ id }) => id === messageId);
      if (message === undefined) throw new Error('There is no such message.');
      const customId = customIdsOf(message)
        .flat()
        .find((id) => id.endsWith(`:${data}`));
      if (customId === undefined) throw new Error('There is no such button.');
      server.press(message, ada, customId);
      return Promise.resolve();
    },
    shown: () => channel.messages.filter(({ author }) => author === world.bot).map(showOf),
    rateLimitNext: (retryAfterMs) =>
      server.fail({
        method: 'POST',
        path: /messages$/,
        kind: 'limit',
        retryAfterSeconds: retryAfterMs / 1_000,
      }),
    breakAfterNext: () => server.fail({ method: 'POST', path: /messages$/, kind: 'drop' }),
    kick() {
      channel.isHidden = true;
    },
    revoke() {
      server.token = 'another token';
      server.gateway.cut(4004);
    },
    reads: (text) => text,
    tellsOfSecondReader: false,
    close: () => server.close(),
  };
}

export function connectTo(
  server: Pick<DiscordServer, 'apiRoot' | 'token'>,
  secret = server.token,
): Connector {
  return createDiscordConnector({
    connectorId: 'con_00000000000000000000000000',
    secret,
    settings: { apiRoot: server.apiRoot },
    commands: COMMANDS,
    webhookSecret: null,
    pollTimeoutMs: 1_000,
    log: pino({ level: 'silent' }),
  });
}

export function textOf({ content, embeds }: WorldMessage): string {
  return readDiscord(content === '' ? (embeds[0]?.description ?? '') : content);
}

export function customIdsOf({ components }: WorldMessage): readonly (readonly string[])[] {
  return components.map((row) => row.components.map(({ custom_id }) => custom_id));
}

function showOf(message: WorldMessage): ShownMessage {
  return {
    messageId: message.id,
    chatId: message.channelId,
    text: textOf(message),
    buttons: customIdsOf(message),
    file: message.files[0]?.text ?? null,
  };
}
