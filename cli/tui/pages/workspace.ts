import type { z } from 'zod';
import { ContextSchema } from '../../../domain/schema/context.ts';
import { SettingsViewSchema } from '../../../domain/schema/setting.ts';
import { Slug, WorkspaceSchema } from '../../../domain/schema/workspace.ts';
import { plainLine } from '../../text.ts';
import type { Model, Page, Row } from '../model.ts';
import { cell, doing, fact, opening, PRESS, timeCell, timeFact, to } from './part.ts';
import { settingsTable, type SettingsView } from './setting.ts';

export type Workspace = z.output<typeof WorkspaceSchema>;
export type ChatContext = z.output<typeof ContextSchema>;

const ROWS_MAX = 2_000;

export const workspacePage: Page = {
  title: 'Workspace',
  listener: 'public',
  events: ['workspace.', 'context.'],
  pollMs: 15_000,
  load: async ({ client }, { id = '' }) => {
    const path = `/v1/workspaces/${encodeURIComponent(id)}`;
    const [workspace, contexts] = await Promise.all([
      client.get(path, WorkspaceSchema),
      client.list({ path: `${path}/contexts`, item: ContextSchema, limit: ROWS_MAX }),
    ]);
    return workspaceModel(workspace, contexts);
  },
};

export function workspaceModel(workspace: Workspace, contexts: readonly ChatContext[]): Model {
  const { id, slug, name, kind, ownerUserId, createdAt } = workspace;
  return {
    title: slug,
    blocks: [
      ...fact('Workspace', `${name}  ${id}`),
      ...fact('Kind', ownerUserId === null ? kind : `${kind}, of ${ownerUserId}`),
      ...timeFact('Made', createdAt),
    ],
    table: {
      columns: [
        { title: 'CONTEXT' },
        { title: 'NAME', cut: true },
        { title: 'KIND' },
        { title: 'CHAT', cut: true, drop: 1 },
        { title: 'AGE', drop: 0 },
      ],
      rows: contexts.map(contextRow),
      empty: [
        'No contexts: all work happens in the workspace itself.',
        '',
        'A context is a place inside it, with settings, roles and agents of its own. Chats make theirs by themselves; n makes a plain one.',
      ],
    },
    actions: [
      opening('t', 'settings', to('settings', { id })),
      doing({
        key: 'n',
        label: 'new context',
        ask: {
          title: `New context in ${slug}`,
          words: ['A plain one, bound to no chat.'],
          fields: [
            {
              name: 'slug',
              label: 'Slug',
              kind: 'text',
              hint: '1 to 40 of a-z, 0-9 and -',
              check: (value) =>
                Slug.safeParse(value).success ? null : 'Only a-z, 0-9 and - inside.',
            },
            { name: 'name', label: 'Name', kind: 'text', optional: true, hint: 'for people' },
          ],
          confirm: PRESS,
          verb: 'make the context',
        },
        busy: 'Making the context',
        run: async ({ client }, { slug: wanted = '', name: given = '' }) => {
          const { body } = await client.send({
            method: 'POST',
            path: `/v1/workspaces/${id}/contexts`,
            body: { slug: wanted, name: given === '' ? wanted : given },
            schema: ContextSchema,
          });
          return { words: `Context ${body.slug} is there.` };
        },
      }),
    ],
  };
}

function contextRow({ id, slug, name, kind, chat, createdAt }: ChatContext): Row {
  return {
    id,
    cells: [
      cell(slug, 'strong'),
      cell(plainLine(name)),
      cell(kind, kind === 'admin_hub' ? 'accent' : 'plain'),
      cell(chat === null ? '' : chatWords(chat), 'dim'),
      timeCell(createdAt),
    ],
    open: to('context', { id }),
  };
}

export function chatWords({
  connectorId,
  chatId,
  threadId,
}: NonNullable<ChatContext['chat']>): string {
  return `${connectorId} ${chatId}${threadId === null ? '' : `/${threadId}`}`;
}

export const settingsPage: Page = {
  title: 'Settings',
  listener: 'public',
  events: ['workspace.', 'setting'],
  pollMs: 15_000,
  load: async ({ client }, { id = '' }) => {
    const path = `/v1/workspaces/${encodeURIComponent(id)}/settings`;
    return settingsModel(await client.get(path, SettingsViewSchema), path);
  },
};

export function settingsModel(view: SettingsView, path: string): Model {
  return { title: 'Settings', blocks: [], table: settingsTable(view, path), actions: [] };
}
