import type { z } from 'zod';
import { Slug, WorkspaceSchema } from '../../../domain/schema/workspace.ts';
import { plainLine } from '../../text.ts';
import type { Model, Page, Row, WorkspaceRef } from '../model.ts';
import { cell, doing, PRESS, timeCell, to } from './part.ts';

type Workspace = z.output<typeof WorkspaceSchema>;

const ROWS_MAX = 5_000;

export const workspacesPage: Page = {
  title: 'Workspaces',
  listener: 'public',
  events: ['workspace.'],
  pollMs: 15_000,
  load: async ({ client, workspace }) => {
    const path = '/v1/workspaces';
    return workspacesModel(
      await client.list({ path, item: WorkspaceSchema, limit: ROWS_MAX }),
      workspace,
    );
  },
};

export function workspacesModel(all: readonly Workspace[], here: WorkspaceRef | null): Model {
  return {
    title: 'Workspaces',
    blocks: [],
    table: {
      columns: [
        { title: 'SLUG' },
        { title: 'NAME', cut: true },
        { title: 'KIND', drop: 2 },
        { title: '', drop: 3 },
        { title: 'AGE', drop: 1 },
        { title: 'ID', drop: 0 },
      ],
      rows: all.map((workspace) => rowOf(workspace, here)),
      empty: [
        'No workspace that you may see.',
        '',
        'n makes one; that takes the role admin everywhere.',
      ],
    },
    actions: [
      doing({
        key: 'n',
        label: 'new workspace',
        ask: {
          title: 'New workspace',
          words: ['It holds agents, approvals, events and an audit of its own.'],
          fields: [
            {
              name: 'slug',
              label: 'Slug',
              kind: 'text',
              hint: '1 to 40 of a-z, 0-9 and -; it becomes the name of a folder',
              check: (value) =>
                Slug.safeParse(value).success ? null : 'Only a-z, 0-9 and - inside.',
            },
            { name: 'name', label: 'Name', kind: 'text', optional: true, hint: 'for people' },
          ],
          confirm: PRESS,
          verb: 'make the workspace',
        },
        busy: 'Making the workspace',
        run: async ({ client }, { slug = '', name = '' }) => {
          const { body } = await client.send({
            method: 'POST',
            path: '/v1/workspaces',
            body: { slug, name: name === '' ? slug : name },
            schema: WorkspaceSchema,
          });
          return { words: `Workspace ${body.slug} is there.` };
        },
      }),
    ],
  };
}

function rowOf(workspace: Workspace, here: WorkspaceRef | null): Row {
  const { id, slug, name, kind, createdAt } = workspace;
  return {
    id,
    cells: [
      cell(slug, 'strong'),
      cell(plainLine(name)),
      cell(kind),
      cell(here?.id === id ? 'you are here' : '', 'dim'),
      timeCell(createdAt),
      cell(id, 'dim'),
    ],
    open: to('workspace', { id }),
    actions: [
      doing({
        key: 'h',
        label: 'go here',
        ask: null,
        busy: 'Going there',
        run: async () => ({ words: `Everything is about ${slug} now.`, next: { workspace } }),
      }),
    ],
  };
}
