import { appendRecord } from '../../infra/db/queries/event.ts';
import { findOldestWorkspace } from '../../infra/db/queries/key-view.ts';
import type { Turn } from './turn.ts';

export interface ChatRefusal {
  readonly action: 'chat.press_refused' | 'chat.command_refused';
  /** Null where it is about no workspace that we know: the oldest one's log takes it. */
  readonly workspaceId: string | null;
  readonly subjectId: string;
  readonly reason: string;
}

/** Who tries in a chat what is not his to do is on record, also where nobody knows who he is. Idempotent by the update. */
export async function auditRefusal(turn: Turn, refusal: ChatRefusal): Promise<void> {
  const { db } = turn.deps.api;
  const workspaceId = refusal.workspaceId ?? (await findOldestWorkspace(db));
  if (workspaceId === null) return;
  const { principal, connectorId, place, sender } = turn;
  await appendRecord(db, {
    workspaceId,
    audits: [
      {
        key: `${turn.key}:refused`,
        ...(principal === null
          ? { actorKind: 'system', actorId: 'chat' }
          : { actorKind: 'user', actorId: principal.id }),
        action: refusal.action,
        subjectId: refusal.subjectId,
        detail: {
          connectorId,
          chatId: place.chatId,
          threadId: place.threadId,
          // The network's number of whoever it was.
          subject: sender.subject,
          reason: refusal.reason,
        },
      },
    ],
  });
}
