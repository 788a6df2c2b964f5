import { CliError } from '../exit.ts';
import { follow } from '../sse.ts';
import { lastSeqOf } from '../spawn-wait.ts';
import type { ApiClient } from '../client.ts';
import type { Link, TuiEvent } from './state.ts';

interface Following {
  readonly client: ApiClient;
  readonly workspaceId: string;
  readonly signal: AbortSignal;
  readonly dispatch: (event: TuiEvent) => void;
}

/** News by number over any number of connections; where there are none to be had, pages are asked again and again. */
export async function followNews({
  client,
  workspaceId,
  signal,
  dispatch,
}: Following): Promise<void> {
  const link = (next: Link): void => {
    if (!signal.aborted) dispatch({ kind: 'link', link: next });
  };
  try {
    const path = `/v1/workspaces/${encodeURIComponent(workspaceId)}`;
    const news = follow(client, {
      workspaceId,
      after: await firstAfter(client, path),
      signal,
      onOpen: () => link({ kind: 'live' }),
      onBreak: (error) => {
        if (error !== null) link({ kind: 'away', why: `${error.message} Trying again.` });
      },
    });
    for await (const { type } of news) {
      if (!signal.aborted) dispatch({ kind: 'happened', type });
    }
  } catch (error) {
    if (signal.aborted) return;
    const why = error instanceof CliError ? error.message : String(error);
    link({ kind: 'polling', why: `No event stream: ${why} Asking every 5 s.` });
  }
}

/** Null where nobody answers yet: the first connection then begins with what happens next, and pages look again. */
async function firstAfter(client: ApiClient, path: string): Promise<number | null> {
  try {
    return await lastSeqOf(client, path);
  } catch (error) {
    if (error instanceof CliError && error.exit === 'unavailable') return null;
    throw error;
  }
}
