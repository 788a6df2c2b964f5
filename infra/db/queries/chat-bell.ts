import { sql } from 'kysely';
import type { Executor } from '../schema.ts';

/** The channel on which whoever runs a connector hears that there is something for it. */
export const CHAT_CHANNEL = 'rookery_chat';

/**
 * Wakes whoever runs a connector when the caller's transaction commits. The payload has the form that readers of events
 * know: an id and a number. What it is about is found by query, so that nothing depends on hearing it.
 */
export async function ringChat(db: Executor, connectorId: string): Promise<void> {
  await sql`select pg_notify(${CHAT_CHANNEL}, ${`${connectorId} 0`})`.execute(db);
}
