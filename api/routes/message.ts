import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { MESSAGE_STATES } from '../../domain/message.ts';
import { AgentIdSchema, MessageIdSchema } from '../../domain/schema/id.ts';
import { AnswerMessageSchema, MessageSchema } from '../../domain/schema/message.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import {
  answerMessage,
  getMessage,
  listMessages,
  type Message,
} from '../../infra/db/queries/message.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { HttpError } from '../errors.ts';
import { listOf } from '../query.ts';
import { route } from '../route.ts';

export const messageRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/messages',
    name: 'listMessages',
    summary: 'What agents told and asked people, oldest first.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: z.strictObject({ workspace: z.string() }),
    query: z.strictObject({
      ...PageQuery.shape,
      state: listOf(MESSAGE_STATES).optional(),
      agent: AgentIdSchema.optional(),
    }),
    response: { status: 200, json: pageOf(MessageSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listMessages(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.state === undefined ? {} : { states: query.state }),
        ...(query.agent === undefined ? {} : { agentId: query.agent }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(messageView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/messages/{message}',
    name: 'getMessage',
    summary: 'One message or question.',
    rate: 'read',
    target: { kind: 'message', param: 'message' },
    params: z.strictObject({ message: MessageIdSchema }),
    response: { status: 200, json: MessageSchema },
    handler: async ({ params }, { db }) => ({
      body: messageView(await messageOf(db, params.message)),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/messages/{message}/answer',
    name: 'answerMessage',
    summary: 'Answers a question of an agent, once.',
    rate: 'write',
    target: { kind: 'message', param: 'message' },
    params: z.strictObject({ message: MessageIdSchema }),
    body: AnswerMessageSchema,
    response: { status: 200, json: MessageSchema },
    handler: async ({ params, caller, body, workspaceId }, { db }) => {
      const id = params.message;
      const key = `${id}:answered`;
      const data = { by: caller.id };
      const isAnswered = await answerMessage(db, {
        id,
        workspaceId: workspaceId ?? '',
        text: body.text,
        by: caller.id,
        record: {
          events: [{ key, type: 'message.answered', subjectId: id, data }],
          audits: [
            {
              key,
              actorKind: 'user',
              actorId: caller.id,
              action: 'message.answer',
              subjectId: id,
              detail: { textDigest: sha256Hex(body.text) },
            },
          ],
        },
      });
      const message = await messageOf(db, id);
      if (!isAnswered) throw notOpen(message);
      return { body: messageView(message) };
    },
  }),
];

async function messageOf(db: Parameters<typeof getMessage>[0], id: string): Promise<Message> {
  const message = await getMessage(db, id);
  if (message === null) throw new AppError('not_found', 'There is no such message.');
  return message;
}

function notOpen({ kind, state, answeredBy }: Message): HttpError {
  const reason =
    kind === 'message'
      ? 'This is a message and no question: nobody waits for an answer.'
      : `This question is ${state}${answeredBy === null ? '' : ` by ${answeredBy}`} already.`;
  return new HttpError('conflict', reason, { current: { state, answeredBy } });
}

function messageView({ seq: _seq, ...message }: Message) {
  return {
    ...message,
    id: parseId('message', message.id),
    workspaceId: parseId('workspace', message.workspaceId),
    agentId: parseId('agent', message.agentId),
    createdAt: message.createdAt.toISOString(),
    answeredAt: message.answeredAt?.toISOString() ?? null,
  };
}
