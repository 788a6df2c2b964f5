import { z } from 'zod';
import { canonicalJson } from '../../../domain/canonical.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { AuditEntry } from '../../audit/entry.ts';
import { sha256Hex } from '../../digest.ts';
import type { Executor } from '../schema.ts';
import type { Page } from './page.ts';
import type { Appended } from './event.ts';
import { appendRecord } from './event.ts';

export interface AuditRecord {
  readonly seq: number;
  readonly at: string;
  readonly actorKind: Principal['kind'];
  readonly actorId: string;
  readonly action: string;
  readonly subjectId: string;
  /** The text that `hash` covers, together with `prevHash` and `seq`. */
  readonly canonical: string;
  readonly prevHash: string;
  readonly hash: string;
}

/** For an audit entry without an event; together with one, use `appendRecord`. */
export async function appendAudits(
  db: Executor,
  workspaceId: string,
  audits: readonly AuditEntry[],
): Promise<Appended> {
  return appendRecord(db, { workspaceId, audits });
}

interface AuditQuery {
  readonly workspaceId: string;
  readonly subjectId?: string;
  readonly limit: number;
}

export async function listAudit(
  db: Executor,
  query: AuditQuery & Page,
): Promise<readonly AuditRecord[]> {
  return read(selectAudit(db, query).where('seq', '>', query.after).orderBy('seq'));
}

/** The newest entries, newest first, before a number where one is given. */
export async function lastAudit(
  db: Executor,
  query: AuditQuery & { readonly before?: number },
): Promise<readonly AuditRecord[]> {
  const { before } = query;
  const select = selectAudit(db, query).orderBy('seq', 'desc');
  return read(before === undefined ? select : select.where('seq', '<', before));
}

function selectAudit(db: Executor, query: AuditQuery) {
  const select = db
    .selectFrom('audit')
    .select([
      'seq',
      'at',
      'actor_kind as actorKind',
      'actor_id as actorId',
      'action',
      'subject_id as subjectId',
      'canonical',
      'prev_hash as prevHash',
      'hash',
    ])
    .where('workspace_id', '=', query.workspaceId)
    .limit(query.limit);
  const { subjectId } = query;
  return subjectId === undefined ? select : select.where('subject_id', '=', subjectId);
}

async function read(select: ReturnType<typeof selectAudit>): Promise<readonly AuditRecord[]> {
  return (await select.execute()).map((row) => ({ ...row, at: row.at.toISOString() }));
}

/** `broken.seq` is the first entry that is not as written, or the first that is missing. */
export type AuditVerdict =
  | { readonly kind: 'intact'; readonly entries: number; readonly head: string }
  | { readonly kind: 'broken'; readonly seq: number; readonly reason: string };

const BATCH = 1_000;
const GENESIS = '0'.repeat(64);

/**
 * Recomputes the chain from the first entry to the head that the counter row holds, in batches. Entries written
 * meanwhile are left to the next run.
 */
export async function verifyAudit(db: Executor, workspaceId: string): Promise<AuditVerdict> {
  const counter = await db
    .selectFrom('workspace_counter')
    .select(['audit_seq', 'audit_head'])
    .where('workspace_id', '=', workspaceId)
    .executeTakeFirst();
  if (counter === undefined) return { kind: 'broken', seq: 1, reason: 'no such workspace' };
  let seq = 0;
  let head = GENESIS;
  while (seq < counter.audit_seq) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .where('workspace_id', '=', workspaceId)
      .where('seq', '>', seq)
      .where('seq', '<=', counter.audit_seq)
      .orderBy('seq')
      .limit(BATCH)
      .execute();
    if (rows.length === 0) return { kind: 'broken', seq: seq + 1, reason: 'entry is missing' };
    for (const row of rows) {
      const reason = faultOf(row, { seq: seq + 1, head });
      if (reason !== null) return { kind: 'broken', seq: seq + 1, reason };
      seq += 1;
      head = row.hash;
    }
  }
  if (head !== counter.audit_head) {
    return { kind: 'broken', seq, reason: 'last entry is not the head of the chain' };
  }
  return { kind: 'intact', entries: seq, head };
}

const Canonical = z.object({
  at: z.string(),
  actorKind: z.string(),
  actorId: z.string(),
  action: z.string(),
  subjectId: z.string(),
  detail: z.record(z.string(), z.unknown()),
});

interface StoredEntry {
  readonly seq: number;
  readonly at: Date;
  readonly actor_kind: string;
  readonly actor_id: string;
  readonly action: string;
  readonly subject_id: string;
  readonly canonical: string;
  readonly prev_hash: string;
  readonly hash: string;
}

function faultOf(
  row: StoredEntry,
  expected: { readonly seq: number; readonly head: string },
): string | null {
  if (row.seq !== expected.seq) return 'entry is missing';
  if (row.prev_hash !== expected.head) return 'does not follow the entry before it';
  // The same words as in the database function `append_record`.
  const hash = sha256Hex(`${expected.head}\n${row.seq}\n${row.canonical}`);
  if (row.hash !== hash) return 'text does not match its hash';
  const { detail: _detail, ...fields } = Canonical.parse(JSON.parse(row.canonical));
  const columns = {
    at: row.at.toISOString(),
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    action: row.action,
    subjectId: row.subject_id,
  };
  return canonicalJson(columns) === canonicalJson(fields) ? null : 'columns differ from its text';
}
