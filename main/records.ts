import { listenForEvents } from '../infra/db/listen.ts';
import type { Listener } from '../workers/listeners/listener.ts';
import { startMarkdownRecords } from '../workers/listeners/markdown-records.ts';
import { pathsIn } from './paths.ts';
import type { WorkerParts } from './worker.ts';

/** Chats and approvals as Markdown, beside the documents of their workspace. */
export async function recordsListener({
  config,
  db,
  databaseUrl,
  log,
}: Omit<WorkerParts, 'bundle'>): Promise<Listener> {
  const events = await listenForEvents({
    url: databaseUrl,
    onError: (error) => log.warn({ err: error }, 'listening for events to record'),
  });
  const root = pathsIn(config.dataDir).workspaces;
  const records = startMarkdownRecords({ db, events, root, log });
  return {
    async stop() {
      await records.stop();
      await events.close();
    },
  };
}
