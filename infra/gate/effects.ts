import { z } from 'zod';
import type { ChatPost } from '../../domain/chat.ts';
import { makeId } from '../../domain/id.ts';
import { AgentSpecSchema } from '../../domain/schema/spawn.ts';
import type { NewAgent } from '../db/queries/agent.ts';
import { digestOf } from '../digest.ts';

/** What is approved, and then done word for word: canonical JSON of one of these is an approval's payload. */
export const PostPayload = z.strictObject({
  kind: z.literal('post'),
  agentId: z.string(),
  /** The agent's name, which is said with it. */
  from: z.string(),
  contextId: z.string(),
  connectorId: z.string(),
  chatId: z.string(),
  threadId: z.string().nullable(),
  /** Not called `text`, as what a dialog shows is: an approver sees all of this, not its words alone. */
  message: z.string(),
  /** The document that the message was made from; null where the agent wrote it itself. */
  template: z
    .strictObject({ path: z.string(), hash: z.string(), values: z.record(z.string(), z.string()) })
    .nullable(),
});
export type PostPayload = z.infer<typeof PostPayload>;

export const SpawnPayload = z.strictObject({
  kind: z.literal('spawn'),
  spawnId: z.string(),
  contextId: z.string().nullable(),
  count: z.int(),
  name: z.string(),
  spec: AgentSpecSchema,
  definition: z.strictObject({ id: z.string(), version: z.int(), name: z.string() }).nullable(),
  capabilities: z.array(z.string()),
  limitOrigins: z.record(z.string(), z.string()),
});
export type SpawnPayload = z.infer<typeof SpawnPayload>;

/** Markup in an agent's words stays text: a span is never markup. */
export function postOf({ chatId, threadId, from, message }: PostPayload): ChatPost {
  return {
    to: { chatId, threadId },
    spans: [{ text: from, style: 'bold' }, { text: `\n${message}` }],
    buttons: [],
    file: null,
    replyTo: null,
    handle: null,
  };
}

/** How a recipient is named in policies and in what is approved for ever. */
export function recipientOf({
  connectorId,
  chatId,
  threadId,
}: Pick<PostPayload, 'connectorId' | 'chatId' | 'threadId'>): string {
  return `${connectorId}/${chatId}${threadId === null ? '' : `/${threadId}`}`;
}

/** The very agents of a spawn: made again they have the same ids. */
export function agentsOfSpawn(
  { spawnId, count, name, spec, contextId, ...birth }: Omit<SpawnPayload, 'kind'>,
  { workspaceId, ownerId }: { readonly workspaceId: string; readonly ownerId: string },
): readonly NewAgent[] {
  const { type, labels = {} } = spec;
  const { definition, capabilities, limitOrigins } = birth;
  return Array.from({ length: count }, (_, ordinal) => ({
    id: makeId('agent', digestOf({ agentOf: spawnId, ordinal }).slice(0, 32)),
    workspaceId,
    spawnId,
    ordinal,
    ownerId,
    type,
    contextId,
    name: count === 1 ? name : `${name}-${ordinal + 1}`,
    body: 'cli',
    spec: { ...spec },
    birth: { definition, labels, capabilities, limitOrigins },
  }));
}
