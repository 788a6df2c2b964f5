import { ContextSchema } from '../../../domain/schema/context.ts';
import { SettingsViewSchema } from '../../../domain/schema/setting.ts';
import { plainLine } from '../../text.ts';
import type { Action, Model, Page } from '../model.ts';
import { doing, fact, PRESS, timeFact, typing } from './part.ts';
import { settingsTable, type SettingsView } from './setting.ts';
import { chatWords, type ChatContext } from './workspace.ts';

export const contextPage: Page = {
  title: 'Context',
  listener: 'public',
  events: ['context.', 'setting'],
  pollMs: 15_000,
  load: async ({ client }, { id = '' }) => {
    const path = `/v1/contexts/${encodeURIComponent(id)}`;
    const [context, settings] = await Promise.all([
      client.get(path, ContextSchema),
      client.get(`${path}/settings`, SettingsViewSchema),
    ]);
    return contextModel(context, settings);
  },
};

export function contextModel(context: ChatContext, settings: SettingsView): Model {
  const { id, slug, name, kind, chat, createdAt, createdBy, archivedAt } = context;
  return {
    title: slug,
    blocks: [
      ...fact('Context', `${name}  ${id}`),
      ...fact(
        'Kind',
        kind === 'admin_hub' ? 'admin hub: approvals are shown and taken here' : kind,
      ),
      ...(chat === null ? [] : fact('Chat', chatWords(chat))),
      ...fact('Made by', createdBy),
      ...timeFact('Made', createdAt),
      ...timeFact('Archived', archivedAt),
    ],
    table: settingsTable(settings, `/v1/contexts/${id}/settings`),
    actions: archivedAt === null ? actionsOf(context) : [],
  };
}

function actionsOf(context: ChatContext): readonly Action[] {
  const { chat, kind } = context;
  return [
    renameAction(context),
    ...(chat !== null && kind !== 'admin_hub' && kind !== 'dm' ? [hubAction(context)] : []),
    archiveAction(context),
  ];
}

function renameAction({ id, slug, name }: ChatContext): Action {
  return doing({
    key: 'n',
    label: 'rename',
    ask: {
      title: `Rename ${slug}`,
      words: [],
      fields: [{ name: 'name', label: 'Name', kind: 'text', initial: plainLine(name) }],
      confirm: PRESS,
      verb: 'rename it',
    },
    busy: 'Renaming',
    run: async ({ client }, { name: next = '' }) => {
      const path = `/v1/contexts/${id}`;
      await client.send({ method: 'PUT', path, body: { name: next }, schema: ContextSchema });
      return { words: 'Renamed.' };
    },
  });
}

function hubAction({ id, slug }: ChatContext): Action {
  return doing({
    key: 'H',
    label: 'make it the admin hub',
    ask: {
      title: `Admin hub: ${slug}`,
      words: [
        'Approvals of the workspace are shown there, and everybody who is in that chat reads them.',
      ],
      fields: [],
      confirm: typing('hub'),
      verb: 'make it the admin hub',
    },
    busy: 'Making it the admin hub',
    run: async ({ client }) => {
      const path = `/v1/contexts/${id}/hub`;
      await client.send({ method: 'POST', path, schema: ContextSchema });
      return { words: `${slug} is the admin hub now.` };
    },
  });
}

function archiveAction({ id, slug }: ChatContext): Action {
  return doing({
    key: 'X',
    label: 'archive',
    ask: {
      title: `Archive ${slug}`,
      words: ['Its chat and its slug are free again. Its agents and records stay.'],
      fields: [],
      confirm: typing('archive'),
      verb: 'archive it',
    },
    busy: 'Archiving',
    run: async ({ client }) => {
      const path = `/v1/contexts/${id}`;
      await client.send({ method: 'DELETE', path, schema: ContextSchema });
      return { words: `${slug} is archived.`, next: 'back' };
    },
  });
}
