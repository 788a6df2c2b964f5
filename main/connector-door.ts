import type { Logger } from 'pino';
import type { ConnectorDoor } from '../api/deps.ts';
import type { Network } from '../domain/chat.ts';
import type { Config } from '../infra/config/config.ts';
import type { ConnectorCapabilities } from '../infra/connectors/contract.ts';
import { DISCORD_CAPABILITIES } from '../infra/connectors/discord/capabilities.ts';
import type { MakeConnector } from '../infra/connectors/factory.ts';
import { TELEGRAM_CAPABILITIES } from '../infra/connectors/telegram/capabilities.ts';
import type { Secrets } from './secrets.ts';

/**
 * A new network does not compile until it has a row here. Their libraries take some 50 MB and up to a second: a runtime
 * without bots does without them.
 */
export const CONNECTORS = {
  async telegram(options) {
    const { createTelegramConnector } = await import('../infra/connectors/telegram/connector.ts');
    return createTelegramConnector(options);
  },
  async discord(options) {
    const { createDiscordConnector } = await import('../infra/connectors/discord/connector.ts');
    return createDiscordConnector(options);
  },
} as const satisfies Record<Network, MakeConnector>;

/** What each network can show. */
export const CAPABILITIES: Readonly<Record<Network, ConnectorCapabilities>> = {
  telegram: TELEGRAM_CAPABILITIES,
  discord: DISCORD_CAPABILITIES,
};

/** What the API needs to administrate connectors. */
export function connectorDoor(parts: {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly log: Logger;
}): ConnectorDoor {
  const { config, secrets, log } = parts;
  const { pollTimeoutMs, max } = config.connectors;
  return {
    max,
    factories: CONNECTORS,
    pollTimeoutMs,
    mayName: (reference) => secrets.mayConnectorName(reference),
    resolve: (reference) => secrets.resolveConnector(reference),
    log,
  };
}
