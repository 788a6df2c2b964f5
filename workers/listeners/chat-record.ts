import type { EventType } from '../../domain/event.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { findOldestWorkspace } from '../../infra/db/queries/key-view.ts';
import type { Executor } from '../../infra/db/schema.ts';

/** Something that happened to a message, for people to see and to trace. */
export interface ChatRecord {
  readonly key: string;
  readonly type: EventType;
  readonly action: string;
  readonly subjectId: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** In the workspace that it belongs to; what belongs to none is written where the installation's own records are. */
export async function recordChat(
  tx: Executor,
  workspaceId: string | null,
  { key, type, action, subjectId, detail }: ChatRecord,
): Promise<void> {
  const where = workspaceId ?? (await findOldestWorkspace(tx));
  if (where === null) return;
  await appendRecord(tx, {
    workspaceId: where,
    events: [{ key, type, subjectId, data: detail }],
    audits: [{ key, actorKind: 'system', actorId: 'connectors', action, subjectId, detail }],
  });
}
