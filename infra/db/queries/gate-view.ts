import { sql } from 'kysely';
import type { DataClass } from '../../../domain/policy.ts';
import type { Executor } from '../schema.ts';

/** What CLIs call the tools that read what strangers wrote; other servers' MCP tools may do so, too. */
const READS_OUTSIDE = '(web_?fetch|web_?search|browse|http)';
const OTHER_SERVERS = '^mcp__(?!rookery)';

/**
 * What the data is that an agent works with: whatever a stranger may have written makes all after it suspicious, until
 * the session's end; a direct chat and a private workspace are private.
 */
export async function dataClassOf(
  db: Executor,
  of: {
    readonly workspaceId: string;
    readonly contextId: string | null;
    readonly session?: { readonly agentId: string; readonly epoch: number };
  },
): Promise<DataClass> {
  const { workspaceId, contextId, session = { agentId: '', epoch: 0 } } = of;
  const { rows } = await sql<{ readonly isUntrusted: boolean; readonly isPrivate: boolean }>`
    select exists (select from fact f
        where f.agent_id = ${session.agentId} and f.epoch = ${session.epoch} and f.kind = 'tool_used'
          and (f.data->>'tool' ~* ${READS_OUTSIDE} or f.data->>'tool' ~ ${OTHER_SERVERS}))
        as "isUntrusted",
      exists (select from workspace w where w.id = ${workspaceId} and w.kind = 'private')
        or exists (select from context c where c.id = ${contextId} and c.kind = 'dm') as "isPrivate"
  `.execute(db);
  const [row] = rows;
  if (row?.isUntrusted === true) return 'untrusted';
  return row?.isPrivate === true ? 'private' : 'internal';
}
