import { z } from 'zod';
import {
  DocumentHitSchema,
  DocumentSchema,
  DocumentTextSchema,
  PutDocumentSchema,
  WrittenDocumentSchema,
} from '../../domain/schema/document.ts';
import { pageOf } from '../../domain/schema/page.ts';
import { wholeNumber } from '../../domain/schema/text.ts';
import { AppError } from '../../domain/error.ts';
import type { WorkspaceId } from '../../domain/id.ts';
import {
  pageOfDocuments,
  readDocument,
  removeDocument,
  searchDocuments,
  writeDocument,
  type DocumentUser,
} from '../documents.ts';
import { route, type Caller } from '../route.ts';

const Path = z.string().min(1).max(1_024);
const Folder = z.string().max(1_024).default('');
const Word = z.string().min(1).max(200).optional();
const inWorkspace = {
  target: { kind: 'workspace', param: 'workspace' },
  params: z.strictObject({ workspace: z.string() }),
} as const;

export const documentRoutes = [
  route({
    ...inWorkspace,
    method: 'GET',
    path: '/v1/workspaces/{workspace}/documents',
    name: 'listDocuments',
    summary: 'Documents of the workspace and of its agents, by path.',
    rate: 'read',
    query: z.strictObject({
      folder: Folder,
      cursor: z.string().max(6_000).optional(),
      limit: wholeNumber({ min: 1, max: 200 }).default(50),
    }),
    response: { status: 200, json: pageOf(DocumentSchema) },
    handler: async ({ caller, workspaceId, query }, deps) => {
      const { folder, cursor, limit } = query;
      const page = { folder, afterPath: pathIn(cursor), limit: limit + 1 };
      const rows = await pageOfDocuments(deps, personOf(caller, workspaceId), page);
      const items = rows.slice(0, limit).map(documentView);
      const last = rows.length > limit ? items.at(-1) : undefined;
      return { body: { items, next: last === undefined ? null : cursorOf(last.path) } };
    },
  }),
  route({
    ...inWorkspace,
    method: 'GET',
    path: '/v1/workspaces/{workspace}/documents/search',
    name: 'searchDocuments',
    summary: 'By a part of the path, by a glob, and by text. `isCut`: there may be more.',
    rate: 'read',
    query: z.strictObject({
      folder: Folder,
      name: Word,
      glob: Word,
      text: Word,
      limit: wholeNumber({ min: 1, max: 200 }).default(50),
    }),
    response: {
      status: 200,
      json: z.object({ items: z.array(DocumentHitSchema), isCut: z.boolean() }),
    },
    handler: async ({ caller, workspaceId, query }, deps) => {
      const { folder, limit, name, glob, text } = query;
      const found = await searchDocuments(deps, personOf(caller, workspaceId), {
        folder,
        limit,
        ...(name === undefined ? {} : { name }),
        ...(glob === undefined ? {} : { glob }),
        ...(text === undefined ? {} : { text }),
      });
      const items = found.items.map((hit) => ({ ...documentView(hit), lines: [...hit.lines] }));
      return { body: { items, isCut: found.isCut } };
    },
  }),
  route({
    ...inWorkspace,
    method: 'GET',
    path: '/v1/workspaces/{workspace}/document',
    name: 'readDocument',
    summary: 'One document with its text.',
    rate: 'read',
    query: z.strictObject({ path: Path }),
    response: { status: 200, json: DocumentTextSchema },
    handler: async ({ caller, workspaceId, query }, deps) => ({
      body: await readDocument(deps, personOf(caller, workspaceId), query.path),
    }),
  }),
  route({
    ...inWorkspace,
    method: 'PUT',
    path: '/v1/workspaces/{workspace}/document',
    name: 'writeDocument',
    summary:
      'Writes a whole document. With `ifMatch` a change by somebody else is not overwritten.',
    rate: 'write',
    query: z.strictObject({ path: Path }),
    body: PutDocumentSchema,
    response: { status: 200, json: WrittenDocumentSchema },
    handler: async ({ caller, workspaceId, query, body }, deps) => ({
      body: await writeDocument(deps, personOf(caller, workspaceId), {
        path: query.path,
        text: body.text,
        ...(body.ifMatch === undefined ? {} : { ifMatch: body.ifMatch }),
      }),
    }),
  }),
  route({
    ...inWorkspace,
    method: 'DELETE',
    path: '/v1/workspaces/{workspace}/document',
    name: 'deleteDocument',
    summary: 'Deletes a document for good.',
    rate: 'write',
    query: z.strictObject({ path: Path, ifMatch: z.string().max(64).optional() }),
    response: { status: 200, json: z.object({ path: z.string() }) },
    handler: async ({ caller, workspaceId, query }, deps) => ({
      body: await removeDocument(deps, personOf(caller, workspaceId), {
        path: query.path,
        ...(query.ifMatch === undefined ? {} : { ifMatch: query.ifMatch }),
      }),
    }),
  }),
];

/** Opaque to clients: the last path they saw. */
function cursorOf(path: string): string {
  return Buffer.from(`path:${path}`).toString('base64url');
}

function pathIn(cursor: string | undefined): string {
  if (cursor === undefined) return '';
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (text.startsWith('path:') && cursorOf(text.slice(5)) === cursor) return text.slice(5);
  throw new AppError('invalid_input', 'The cursor is not one of ours. Use the `next` of a page.');
}

function personOf(caller: Caller, workspaceId: WorkspaceId | null): DocumentUser {
  return { kind: 'user', id: caller.id, workspaceId: workspaceId ?? '' };
}

interface Listed {
  readonly path: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly writtenBy: string;
  readonly writtenAt: Date;
}

function documentView({ path, sizeBytes, etag, writtenBy, writtenAt }: Listed) {
  return { path, sizeBytes, etag, writtenBy, writtenAt: writtenAt.toISOString() };
}
