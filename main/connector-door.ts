import type { Logger } from 'pino';
import type { ConnectorDoor } from '../api/deps.ts';
import { NETWORKS, type Network } from '../domain/chat.ts';
import { makeId } from '../domain/id.ts';
import type { Config } from '../infra/config/config.ts';
import type { ConnectorCapabilities } from '../infra/connectors/contract.ts';
import { createDiscordConnector } from '../infra/connectors/discord/connector.ts';
import type { MakeConnector } from '../infra/connectors/factory.ts';
import { createTelegramConnector } from '../infra/connectors/telegram/connector.ts';
import type { Secrets } from './secrets.ts';

/** A new network does not compile until it has a row here. */
export const CONNECTORS = {
  telegram: createTelegramConnector,
  discord: createDiscordConnector,
} as const satisfies Record<Network, MakeConnector>;

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

/** A network's connector says what it can do; one that was only made has asked nobody for anything. */
export function readCapabilities(log: Logger): (network: Network) => ConnectorCapabilities {
  const known = new Map(
    NETWORKS.map((network): [Network, ConnectorCapabilities] => {
      const connector = CONNECTORS[network]({
        connectorId: makeId('connector', crypto.randomUUID()),
        secret: 'none',
        settings: {},
        commands: [],
        webhookSecret: null,
        pollTimeoutMs: 1_000,
        log,
      });
      void connector.close();
      return [network, connector.capabilities];
    }),
  );
  return (network) => {
    const capabilities = known.get(network);
    if (capabilities === undefined) throw new Error(`No connector for ${network}.`);
    return capabilities;
  };
}
