import type { NewRecord } from '../db/queries/record.ts';
import type { PostPayload } from './effects.ts';

/** A post that goes out: by digest, since what is said is in the outbox and on the network. */
export function postRecord({
  workspaceId,
  id,
  digest,
  payload,
}: {
  readonly workspaceId: string;
  /** What names the post: of the approval that it has, or would have had. */
  readonly id: string;
  readonly digest: string;
  readonly payload: PostPayload;
}): NewRecord {
  const { agentId, contextId, connectorId, chatId, threadId, template } = payload;
  return {
    workspaceId,
    events: [
      {
        key: `${id}:posted`,
        type: 'chat.post_queued',
        subjectId: agentId,
        data: { postKey: `post:${id}`, contextId, connectorId },
      },
    ],
    audits: [
      {
        key: `${id}:posted`,
        actorKind: 'agent',
        actorId: agentId,
        action: 'chat.post',
        subjectId: contextId,
        detail: {
          connectorId,
          chatId,
          threadId,
          digest,
          template: template === null ? null : { path: template.path, hash: template.hash },
        },
      },
    ],
  };
}

/** A spawn that begins, at once or since people let it. */
export function spawnRecord(made: {
  readonly workspaceId: string;
  readonly spawnId: string;
  readonly requestedBy: string;
  readonly type: string;
  readonly count: number;
  readonly definition: { readonly id: string; readonly version: number } | null;
  readonly agentIds: readonly string[];
  readonly specDigest: string;
  readonly approvalId: string | null;
}): NewRecord {
  const { workspaceId, spawnId, type, count, definition, approvalId } = made;
  const about = {
    type,
    count,
    ...(definition === null
      ? {}
      : { definitionId: definition.id, definitionVersion: definition.version }),
    ...(approvalId === null ? {} : { approvalId }),
  };
  const key = `${spawnId}:requested`;
  return {
    workspaceId,
    events: [
      {
        key,
        type: 'spawn.requested',
        subjectId: spawnId,
        data: { ...about, agentIds: made.agentIds },
      },
    ],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: made.requestedBy,
        action: 'spawn.request',
        subjectId: spawnId,
        detail: { ...about, specDigest: made.specDigest },
      },
    ],
  };
}
