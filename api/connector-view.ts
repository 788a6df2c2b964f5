import { z } from 'zod';
import { parseId } from '../domain/id.ts';
import type { ConnectorRow } from '../infra/db/queries/connector.ts';
import type { StoredPost } from '../infra/db/queries/post.ts';

const Settings = z.record(z.string(), z.unknown());

export function connectorView(row: ConnectorRow) {
  const { id, network, name, secretRef, enabled, botId, botName, revision, createdBy } = row;
  return {
    id,
    network,
    name,
    secretRef,
    settings: Settings.parse(row.settings),
    enabled,
    ...stateOf(row),
    since: row.stateSince.toISOString(),
    botId,
    botName,
    revision,
    createdBy,
    createdAt: row.createdAt.toISOString(),
  };
}

/** What a process that was killed saw last is not how things are. */
function stateOf({ isRun, enabled, state, stateDetail }: ConnectorRow) {
  if (isRun) return { state, detail: stateDetail };
  const detail = enabled ? 'No process runs it.' : 'It is disabled.';
  return { state: 'stopped' as const, detail };
}

export function postView(post: StoredPost) {
  const { id, connectorId, workspaceId, kind, place, state, attempts, error } = post;
  return {
    id: parseId('post', id),
    connectorId: parseId('connector', connectorId),
    workspaceId: workspaceId === null ? null : parseId('workspace', workspaceId),
    kind,
    place,
    state,
    attempts,
    error,
    createdAt: post.createdAt.toISOString(),
    sentAt: post.sentAt?.toISOString() ?? null,
  };
}
