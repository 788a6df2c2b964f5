import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import {
  CreateDefinitionSchema,
  DefinitionSchema,
  DefinitionVersionSchema,
  DefinitionWithContentSchema,
  EditDefinitionSchema,
} from '../../domain/schema/definition.ts';
import { DefinitionIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import type { EventType } from '../../domain/event.ts';
import { checkArguments } from '../spawn-plan.ts';
import {
  addVersion,
  archiveDefinition,
  createDefinition,
  getDefinition,
  getVersion,
  listDefinitions,
  listVersions,
  type Definition,
  type DefinitionVersion,
} from '../../infra/db/queries/definition.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route, type Caller } from '../route.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
const ByDefinition = z.strictObject({ definition: DefinitionIdSchema });
const TARGET = { kind: 'definition', param: 'definition' } as const;

export const definitionRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/definitions',
    name: 'listDefinitions',
    summary: 'Agent definitions by name and newest version, oldest first.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    query: PageQuery.extend({ archived: z.enum(['true', 'false']).default('false') }),
    response: { status: 200, json: pageOf(DefinitionSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listDefinitions(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        withArchived: query.archived === 'true',
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(definitionView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/definitions',
    name: 'createDefinition',
    summary:
      'Makes a definition with its first version. Its name is free once an earlier one is archived.',
    rate: 'write',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    body: CreateDefinitionSchema,
    response: { status: 201, json: DefinitionWithContentSchema },
    handler: async ({ caller, workspaceId, body, idempotencyKey }, { db }) => {
      checkArguments(body.content);
      const id = repeatableId('definition', [caller.id, workspaceId ?? '', idempotencyKey]);
      return {
        body: await db.transaction().execute(async (tx) => {
          const made = await createDefinition(tx, {
            id,
            workspaceId: workspaceId ?? '',
            slug: body.name,
            content: body.content,
            note: body.note ?? null,
            createdBy: caller.id,
          });
          if (!made) {
            throw new AppError(
              'conflict',
              `There is a definition named ${body.name}: make a new version of it, or archive it first.`,
            );
          }
          await record(tx, { caller, id, type: 'definition.created', version: 1 });
          return viewOf(tx, id);
        }),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/definitions/{definition}',
    name: 'getDefinition',
    summary: 'A definition with its newest version.',
    rate: 'read',
    target: TARGET,
    params: ByDefinition,
    response: { status: 200, json: DefinitionWithContentSchema },
    handler: async ({ params }, { db }) => ({ body: await viewOf(db, params.definition) }),
  }),
  route({
    method: 'GET',
    path: '/v1/definitions/{definition}/versions',
    name: 'listDefinitionVersions',
    summary:
      'Every version in full, oldest first. Fields are always in the same order, so that two of them can be compared.',
    rate: 'read',
    target: TARGET,
    params: ByDefinition,
    query: PageQuery,
    response: { status: 200, json: pageOf(DefinitionVersionSchema) },
    handler: async ({ params, query }, { db }) => {
      const found = await listVersions(db, {
        definitionId: params.definition,
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(versionView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/definitions/{definition}/versions',
    name: 'editDefinition',
    summary:
      'Makes a new version, for agents born from now on. The same content again is the same version.',
    rate: 'write',
    target: TARGET,
    params: ByDefinition,
    body: EditDefinitionSchema,
    response: { status: 201, json: DefinitionWithContentSchema },
    handler: async ({ caller, params, body }, { db }) => {
      checkArguments(body.content);
      const id = params.definition;
      return {
        body: await db.transaction().execute(async (tx) => {
          const added = await addVersion(tx, {
            definitionId: id,
            content: body.content,
            note: body.note ?? null,
            createdBy: caller.id,
            baseVersion: body.baseVersion ?? null,
          });
          if (added.kind === 'archived') {
            throw new AppError('conflict', 'This definition is archived: make a new one.');
          }
          if (added.kind === 'stale') {
            throw new AppError(
              'conflict',
              `Its newest version is ${added.version} by now. Look at that one and edit it.`,
            );
          }
          if (added.kind === 'added') {
            await record(tx, { caller, id, type: 'definition.changed', version: added.version });
          }
          return viewOf(tx, id);
        }),
      };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/definitions/{definition}/archive',
    name: 'archiveDefinition',
    summary:
      'Nothing is spawned from it any more; agents that were keep their version. Archiving it again is fine.',
    rate: 'write',
    target: TARGET,
    params: ByDefinition,
    response: { status: 200, json: DefinitionSchema },
    handler: async ({ caller, params }, { db }) => ({
      body: await db.transaction().execute(async (tx) => {
        const id = params.definition;
        if (await archiveDefinition(tx, id)) {
          const { version } = await definitionOf(tx, id);
          await record(tx, { caller, id, type: 'definition.archived', version });
        }
        return definitionView(await definitionOf(tx, id));
      }),
    }),
  }),
];

async function definitionOf(db: Executor, id: string): Promise<Definition> {
  const found = await getDefinition(db, id);
  if (found === null) throw new AppError('not_found', 'There is no such definition.');
  return found;
}

async function viewOf(db: Executor, id: string) {
  const definition = await definitionOf(db, id);
  const newest = await getVersion(db, { definitionId: id, version: definition.version });
  if (newest === null) throw new Error('The newest version of a definition is there.');
  return { definition: definitionView(definition), newest: versionView(newest) };
}

interface Change {
  readonly caller: Caller;
  readonly id: string;
  readonly type: Extract<EventType, `definition.${string}`>;
  readonly version: number;
}

/** The content is in its row, which stays: the digest in the audit says which. */
async function record(tx: Executor, { caller, id, type, version }: Change): Promise<void> {
  const { workspaceId, slug } = await definitionOf(tx, id);
  const made = await getVersion(tx, { definitionId: id, version });
  const key = `${id}:${type}:${version}`;
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type, subjectId: id, data: { name: slug, version, by: caller.id } }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: type,
        subjectId: id,
        detail: { name: slug, version, digest: made?.digest ?? null },
      },
    ],
  });
}

function definitionView(definition: Definition) {
  const { id, workspaceId, slug, version, createdBy, createdAt, archivedAt } = definition;
  return {
    id: parseId('definition', id),
    workspaceId: parseId('workspace', workspaceId),
    name: slug,
    version,
    createdBy,
    createdAt: createdAt.toISOString(),
    archivedAt: archivedAt?.toISOString() ?? null,
  };
}

function versionView(version: DefinitionVersion) {
  return { ...version, createdAt: version.createdAt.toISOString() };
}
