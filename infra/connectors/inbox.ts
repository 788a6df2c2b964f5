import type { ChatUpdate } from '../../domain/chat.ts';
import type { ConnectorId } from '../../domain/id.ts';

/**
 * What becomes of updates. They are handed over after they were stored, one at a time for each place, in order. One that
 * throws is handed over again later; so is one whose process died, so that handling again must be harmless: whatever it
 * does carries a key made from `key`.
 */
export interface ChatHandler {
  handle(connectorId: ConnectorId, key: string, update: ChatUpdate): Promise<void>;
}
