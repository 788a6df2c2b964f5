import { z } from 'zod';
import { EVENT_TYPES } from '../../domain/event.ts';
import { EventSchema } from '../../domain/schema/event.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { eventRange, readEvents } from '../../infra/db/queries/event.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { HttpError } from '../errors.ts';
import { eventStream } from '../event-stream.ts';
import { listOf } from '../query.ts';
import { route } from '../route.ts';
import { eventView } from '../view.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });

export const eventRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/events',
    name: 'listEvents',
    summary: 'Events by number, oldest first.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    query: PageQuery.extend({
      types: listOf(EVENT_TYPES).optional(),
      subject: z.string().max(64).optional(),
    }),
    response: { status: 200, json: pageOf(EventSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await readEvents(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.types === undefined ? {} : { types: query.types }),
        ...(query.subject === undefined ? {} : { subjectId: query.subject }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(eventView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/events/stream',
    name: 'streamEvents',
    summary: 'Events as they happen, from `Last-Event-ID` or `after` on (0: from the first).',
    rate: 'stream',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    query: z.strictObject({
      after: z.string().optional(),
      types: listOf(EVENT_TYPES).optional(),
    }),
    response: {
      status: 200,
      media: 'text/event-stream',
      description:
        'Server-sent events: `id` is the number, `event` the type, `data` an Event. Without a ' +
        'position the stream begins with what happens next. A slow reader is closed.',
    },
    handler: async ({ workspaceId, query, request, hangUp, lookAgain }, deps) => {
      const id = workspaceId ?? '';
      const position = request.headers.get('last-event-id') ?? query.after;
      const after = await startOf(deps.db, { workspaceId: id, position });
      const stream = eventStream(deps, {
        workspaceId: id,
        after,
        ...(query.types === undefined ? {} : { types: query.types }),
        checkCaller: lookAgain,
        hangUp,
      });
      return new Response(stream, {
        headers: {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        },
      });
    },
  }),
];

interface Start {
  readonly workspaceId: string;
  readonly position: string | undefined;
}

/** A position beyond the end would wait silently for a number that some other event will get. */
async function startOf(
  db: Parameters<typeof eventRange>[0],
  { workspaceId, position }: Start,
): Promise<number> {
  const { firstSeq, lastSeq } = await eventRange(db, workspaceId);
  if (position === undefined) return lastSeq;
  const after = /^\d{1,15}$/.test(position) ? Number(position) : null;
  if (after === null) {
    throw new HttpError(
      'invalid_input',
      'Last-Event-ID (or `after`) must be the number of an event.',
    );
  }
  if (after > lastSeq) {
    throw new HttpError(
      'invalid_input',
      `There is no event ${after} yet; the last is ${lastSeq}.`,
      {
        current: { lastSeq },
      },
    );
  }
  if (after < firstSeq - 1 && after !== 0) {
    throw new HttpError(
      'invalid_input',
      `The events after ${after} were purged. Begin again with after=0, from event ${firstSeq} on.`,
      { current: { firstSeq, lastSeq } },
    );
  }
  return after;
}
