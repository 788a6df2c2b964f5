import { sql } from 'kysely';
import { RISKS, type Risk } from '../../../domain/approval.ts';
import type { Executor } from '../schema.ts';
import { storableText } from '../storable.ts';
import type { Page } from './page.ts';

export interface StandingApproval {
  readonly id: string;
  readonly seq: number;
  readonly workspaceId: string;
  readonly approvalId: string;
  readonly title: string;
  readonly template: string;
  readonly templateHash: string;
  readonly recipients: readonly string[];
  readonly risk: Risk;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly activatedAt: Date | null;
  readonly revokedAt: Date | null;
  readonly revokedBy: string | null;
  readonly uses: number;
  readonly lastUsedAt: Date | null;
}

const COLUMNS = [
  'id',
  'seq',
  'workspace_id as workspaceId',
  'approval_id as approvalId',
  'title',
  'template',
  'template_hash as templateHash',
  'recipients',
  'risk',
  'created_by as createdBy',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'activated_at as activatedAt',
  'revoked_at as revokedAt',
  'revoked_by as revokedBy',
  'uses',
  'last_used_at as lastUsedAt',
] as const;

export interface NewStandingApproval {
  readonly id: string;
  readonly workspaceId: string;
  readonly approvalId: string;
  readonly title: string;
  readonly template: string;
  readonly templateHash: string;
  readonly recipients: readonly string[];
  readonly risk: Risk;
  readonly createdBy: string;
  readonly days: number;
}

/** Written down before its maker's vote, which makes it hold; until then he may say it anew. */
export async function proposeStandingApproval(
  db: Executor,
  standing: NewStandingApproval,
): Promise<void> {
  await db
    .insertInto('standing_approval')
    .values({
      id: standing.id,
      workspace_id: standing.workspaceId,
      approval_id: standing.approvalId,
      title: storableText(standing.title),
      template: storableText(standing.template),
      template_hash: standing.templateHash,
      recipients: [...standing.recipients],
      risk: standing.risk,
      created_by: standing.createdBy,
      expires_at: sql<Date>`now() + ${standing.days}::integer * interval '1 day'`,
    })
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet((values) => ({
          recipients: values.ref('excluded.recipients'),
          expires_at: values.ref('excluded.expires_at'),
        }))
        .where('standing_approval.activated_at', 'is', null),
    )
    .execute();
}

/** Makes it hold, in the transaction of the vote that decided. Null where there is none of that approval and maker. */
export async function activateStandingApproval(
  tx: Executor,
  of: { readonly id: string; readonly approvalId: string; readonly createdBy: string },
): Promise<StandingApproval | null> {
  const row = await tx
    .updateTable('standing_approval')
    .set({ activated_at: sql<Date>`coalesce(activated_at, now())` })
    .where('id', '=', of.id)
    .where('approval_id', '=', of.approvalId)
    .where('created_by', '=', of.createdBy)
    .where('revoked_at', 'is', null)
    .returning(COLUMNS)
    .executeTakeFirst();
  return row ?? null;
}

export interface StandingQuery {
  readonly workspaceId: string;
  readonly templateHash: string;
  readonly recipients: readonly string[];
  readonly risk: Risk;
}

/** Those that hold now for exactly this, oldest first. */
export function matchStandingApprovals(
  db: Executor,
  query: StandingQuery,
): Promise<StandingApproval[]> {
  return db
    .selectFrom('standing_approval')
    .select(COLUMNS)
    .where('workspace_id', '=', query.workspaceId)
    .where('template_hash', '=', query.templateHash)
    .where(holdsFor(query))
    .orderBy('seq')
    .execute();
}

/**
 * Whether one holds for this at this moment, and goes on to until the end of the transaction: whoever revokes it
 * meanwhile waits, and whoever has revoked it is seen. Counts the use.
 */
export async function useStandingApproval(
  tx: Executor,
  { id, ...query }: StandingQuery & { readonly id: string },
): Promise<StandingApproval | null> {
  const row = await tx
    .updateTable('standing_approval')
    .set({ uses: sql<number>`uses + 1`, last_used_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('workspace_id', '=', query.workspaceId)
    .where('template_hash', '=', query.templateHash)
    .where(holdsFor(query))
    .returning(COLUMNS)
    .executeTakeFirst();
  return row ?? null;
}

/** SQL over `standing_approval`: active, not revoked, not expired, for these recipients and this risk. */
function holdsFor({ recipients, risk }: Pick<StandingQuery, 'recipients' | 'risk'>) {
  const covered = RISKS.slice(RISKS.indexOf(risk));
  return sql<boolean>`(activated_at is not null and revoked_at is null and expires_at > now()
    and ${[...recipients]}::text[] <@ recipients and risk = any(${covered}::text[]))`;
}

export async function getStandingApproval(
  db: Executor,
  id: string,
): Promise<StandingApproval | null> {
  const row = await db
    .selectFrom('standing_approval')
    .select(COLUMNS)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

/** Those that ever held. */
export function listStandingApprovals(
  db: Executor,
  query: Page & { readonly workspaceId: string; readonly isLive?: boolean },
): Promise<StandingApproval[]> {
  let select = db
    .selectFrom('standing_approval')
    .select(COLUMNS)
    .where('workspace_id', '=', query.workspaceId)
    .where('activated_at', 'is not', null)
    .where('seq', '>', query.after)
    .orderBy('seq')
    .limit(query.limit);
  if (query.isLive === true)
    select = select.where('revoked_at', 'is', null).where('expires_at', '>', sql<Date>`now()`);
  return select.execute();
}

/** Null where it is revoked already, or never held. */
export async function revokeStandingApproval(
  tx: Executor,
  { id, by }: { readonly id: string; readonly by: string },
): Promise<StandingApproval | null> {
  const row = await tx
    .updateTable('standing_approval')
    .set({ revoked_at: sql<Date>`now()`, revoked_by: by })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning(COLUMNS)
    .executeTakeFirst();
  return row ?? null;
}
