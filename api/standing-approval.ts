import type { z } from 'zod';
import { AppError } from '../domain/error.ts';
import type { RiskTable } from '../domain/risk.ts';
import type { ApproveForeverRequestSchema } from '../domain/schema/standing-approval.ts';
import type { Approval } from '../infra/db/queries/approval.ts';
import { getContext } from '../infra/db/queries/context.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import {
  getStandingApproval,
  proposeStandingApproval,
  revokeStandingApproval,
  type StandingApproval,
} from '../infra/db/queries/standing-approval.ts';
import { sha256Hex } from '../infra/digest.ts';
import { recipientOf } from '../infra/gate/effects.ts';
import { decide, type Decided } from './decide.ts';
import type { ApiDeps } from './deps.ts';
import { repeatableId } from './repeatable-id.ts';
import type { Caller } from './route.ts';

type Asked = z.output<typeof ApproveForeverRequestSchema>;

/** One person's word for ever takes a template, no quorum, and a risk that the configuration lets stand. */
export function mayStand(
  { standing }: RiskTable,
  { template, risk, quorum }: Pick<Approval, 'template' | 'risk' | 'quorum'>,
): boolean {
  return template !== null && quorum === 1 && (risk !== 'high' || standing.highRisk);
}

/**
 * Grants an approval, and its very template from then on. What is to stand is written down first; the signed vote names
 * it, and makes it hold in the transaction in which that vote decides — so that a grant without those words never does.
 */
export async function approveForever(
  deps: ApiDeps,
  {
    approvalId,
    caller,
    asked,
  }: { readonly approvalId: string; readonly caller: Caller; readonly asked: Asked },
): Promise<{ readonly decision: Decided; readonly standingApprovalId: string }> {
  const id = repeatableId('standingApproval', [approvalId, caller.id]);
  const { digest, note } = asked;
  const decision = await decide(deps, {
    approvalId,
    caller,
    request: { verdict: 'grant', digest, ...(note === undefined ? {} : { note }) },
    forever: {
      standingId: id,
      propose: (approval) => propose(deps, { id, approval, caller, asked }),
    },
  });
  return { decision, standingApprovalId: id };
}

interface Proposal {
  readonly id: string;
  readonly approval: Approval;
  readonly caller: Caller;
  readonly asked: Asked;
}

async function propose(
  { db, config }: ApiDeps,
  { id, approval, caller, asked }: Proposal,
): Promise<void> {
  const { template, workspaceId, risk, title } = approval;
  const { standing } = config.risks;
  if (template === null || !mayStand(config.risks, approval)) throw cannotStand(approval);
  const days = asked.expiresInDays ?? standing.days;
  if (days > standing.daysMax) {
    throw new AppError(
      'invalid_input',
      `Nothing is approved for more than ${standing.daysMax} days here.`,
    );
  }
  await proposeStandingApproval(db, {
    id,
    workspaceId,
    title,
    template,
    risk,
    days,
    approvalId: approval.id,
    templateHash: sha256Hex(template),
    recipients: await recipientsOf(db, approval, asked.recipients ?? []),
    createdBy: caller.id,
  });
}

function cannotStand({ template, risk, quorum }: Approval): AppError {
  if (template === null) {
    return new AppError(
      'conflict',
      'This cannot be approved for ever: only a whole permission prompt, or a post made from a document, is the same the next time.',
    );
  }
  return new AppError(
    'policy_denied',
    quorum > 1
      ? `This takes ${quorum} people, and one cannot say it for ever.`
      : `What has a ${risk} risk is not approved for ever here (approvals.standingHighRisk).`,
  );
}

/** Those of the approval, and further contexts of its workspace. */
async function recipientsOf(
  db: ApiDeps['db'],
  { recipients, workspaceId }: Approval,
  contextIds: readonly string[],
): Promise<readonly string[]> {
  if (contextIds.length > 0 && recipients.length === 0)
    throw new AppError('invalid_input', 'This is sent to nobody, so it has no recipients.');
  const further: string[] = [];
  for (const id of contextIds) {
    const context = await getContext(db, id);
    const { connectorId = null, chatId = null, threadId = null } = context ?? {};
    if (context?.workspaceId !== workspaceId || connectorId === null || chatId === null)
      throw new AppError('invalid_input', `There is no context ${id} with a chat here.`);
    further.push(recipientOf({ connectorId, chatId, threadId }));
  }
  return [...new Set([...recipients, ...further])];
}

/** From this moment it decides nothing any more: whatever counts it now waits for this, or has been before. */
export async function revokeStanding(
  { db }: ApiDeps,
  { id, caller }: { readonly id: string; readonly caller: Caller },
): Promise<StandingApproval> {
  const revoked = await db.transaction().execute(async (tx) => {
    const found = await revokeStandingApproval(tx, { id, by: caller.id });
    if (found === null) return null;
    const key = `${id}:revoked`;
    const { workspaceId, approvalId, templateHash, uses } = found;
    await appendRecord(tx, {
      workspaceId,
      events: [
        {
          key,
          type: 'standing_approval.revoked',
          subjectId: id,
          data: { approvalId, revokedBy: caller.id },
        },
      ],
      audits: [
        {
          key,
          actorKind: 'user',
          actorId: caller.id,
          action: 'standing_approval.revoke',
          subjectId: id,
          detail: {
            before: { state: 'live', expiresAt: found.expiresAt.toISOString(), uses },
            after: { state: 'revoked' },
            templateHash,
          },
        },
      ],
    });
    return found;
  });
  const standing = revoked ?? (await getStandingApproval(db, id));
  if (standing === null) throw new AppError('not_found', 'There is no such standing approval.');
  return standing;
}
