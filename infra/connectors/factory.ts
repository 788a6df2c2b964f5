import type { Logger } from 'pino';
import type { Network } from '../../domain/chat.ts';
import type { ConnectorId } from '../../domain/id.ts';
import type { Connector } from './contract.ts';

/** A command that the network offers while somebody types. */
export interface OfferedCommand {
  /** Without its slash: a-z, 0-9 and _, at most 32. */
  readonly name: string;
  readonly description: string;
}

/** What a connector is made from. */
export interface ConnectorOptions {
  readonly connectorId: ConnectorId;
  /** The bot's token. It must not reach a log or an error. */
  readonly secret: string;
  /** The row's `settings`, as stored: each network parses its own. */
  readonly settings: unknown;
  readonly commands: readonly OfferedCommand[];
  /** What the network must show with what it pushes to us; null where nothing was made for this connector. */
  readonly webhookSecret: string | null;
  /** How long a question for news may stay open. */
  readonly pollTimeoutMs: number;
  readonly log: Logger;
}

/** Some load their network's library first. */
export type MakeConnector = (options: ConnectorOptions) => Connector | Promise<Connector>;

/** One for each network. */
export type ConnectorFactories = Readonly<Partial<Record<Network, MakeConnector>>>;
