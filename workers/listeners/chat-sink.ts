import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { placeKey, type ConnectorState } from '../../domain/chat.ts';
import type { ConnectorId } from '../../domain/id.ts';
import type { UpdateSink } from '../../infra/connectors/contract.ts';
import { storeUpdate } from '../../infra/db/queries/chat-update.ts';
import {
  moveChat,
  noteConnectorState,
  readCursor,
  readMoves,
  writeCursor,
} from '../../infra/db/queries/connector.ts';
import type { Lease } from '../../infra/db/queries/lease.ts';
import type { Database } from '../../infra/db/schema.ts';
import { recordChat } from './chat-record.ts';

interface SinkOptions {
  readonly db: Kysely<Database>;
  readonly log: Logger;
  readonly connectorId: ConnectorId;
  readonly lease: Lease;
  readonly seal: (plain: string) => Buffer;
  /** Called after an update was stored. */
  readonly stored: () => void;
}

export interface ChatSink extends UpdateSink {
  /** The number under which a chat goes on: its own where it did not move. */
  movedTo(chatId: string): string;
  /** Resolves when what was told of the state is written. */
  settled(): Promise<void>;
}

/** Takes what a network says into the database, before the network hears that we have it. */
export async function createSink(options: SinkOptions): Promise<ChatSink> {
  const { db, connectorId, seal, stored } = options;
  const moves = new Map(await readMoves(db, connectorId));
  const state = createStateWriter(options);
  return {
    ...state,
    async take(key, update) {
      const sealed = seal(JSON.stringify(update));
      const place = placeKey(update.place);
      if (await storeUpdate(db, { connectorId, key, place, sealed })) stored();
    },
    cursor: (name) => readCursor(db, { connectorId, name }),
    advance: (name, position) => writeCursor(db, { connectorId, name, position }),
    async moved(from, to) {
      await storeMove(db, { connectorId, from, to });
      moves.set(from, to);
    },
    movedTo: (chatId) => moves.get(chatId) ?? chatId,
  };
}

/** With its record in the workspace of what was bound to the chat. */
async function storeMove(
  db: Kysely<Database>,
  move: { readonly connectorId: string; readonly from: string; readonly to: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    for (const { id, workspaceId } of await moveChat(tx, move)) {
      await recordChat(tx, workspaceId, {
        key: `${id}:moved:${move.from}:${move.to}`,
        type: 'context.changed',
        action: 'context.follow_chat',
        subjectId: id,
        detail: { before: { chatId: move.from }, after: { chatId: move.to } },
      });
    }
  });
}

/** One after the other, so that the last word is the last row. */
function createStateWriter({ db, log, connectorId, lease }: SinkOptions) {
  let last = '';
  let writing = Promise.resolve();
  return {
    changed(state: ConnectorState, detail: string): void {
      const word = `${state} ${detail}`;
      if (word === last) return;
      last = word;
      log.info({ connectorId, state, detail }, 'a connector changed');
      writing = writing
        .then(() => noteConnectorState(db, connectorId, { state, detail, lease }))
        .catch((error: unknown) => {
          // Told again by the next change; whoever runs it knows better than the row.
          last = '';
          log.warn({ err: error, connectorId }, 'the state of a connector was not written');
        });
    },
    settled: () => writing,
  };
}
