import type { EventType } from '../domain/event.ts';
import type { Principal } from '../domain/principal.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { findOldestWorkspace } from '../infra/db/queries/key-view.ts';
import type { Executor } from '../infra/db/schema.ts';

export interface CertificateFact {
  /** Can happen once, so that it is on record once. */
  readonly key: string;
  readonly type: EventType;
  readonly actor: { readonly kind: Principal['kind']; readonly id: string };
  readonly action: string;
  readonly subjectId: string;
  /** For readers of events. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** For the audit: as it was, and as it is. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Certificates are in no workspace: the oldest one's log takes what becomes of them. The last thing of a transaction. */
export async function recordCertificates(
  tx: Executor,
  facts: readonly CertificateFact[],
): Promise<void> {
  const workspaceId = await findOldestWorkspace(tx);
  if (workspaceId === null || facts.length === 0) return;
  await appendRecord(tx, {
    workspaceId,
    events: facts.map(({ key, type, subjectId, actor, data }) => ({
      key,
      type,
      subjectId,
      data: { by: actor.id, ...data },
    })),
    audits: facts.map(({ key, actor, action, subjectId, detail }) => ({
      key,
      actorKind: actor.kind,
      actorId: actor.id,
      action,
      subjectId,
      detail,
    })),
  });
}
