import type { Network } from '../../domain/chat.ts';
import type { ConnectorCapabilities } from '../../infra/connectors/contract.ts';
import type { ApiDeps } from '../deps.ts';
import type { ApiApp } from '../upgrade.ts';

export interface ChatDeps {
  readonly api: ApiDeps;
  /** Of the public listener, which has no admin routes. */
  readonly app: ApiApp;
  /** What each network can show. */
  readonly connectors: (network: Network) => ConnectorCapabilities;
}
