import type { z } from 'zod';
import type { ApprovalRoute } from '../../../domain/setting.ts';
import { SettingsSchema, SettingsViewSchema } from '../../../domain/schema/setting.ts';
import { CliError } from '../../exit.ts';
import type { Action, Field, Row, Table } from '../model.ts';
import { cell, doing, optionOf, PRESS } from './part.ts';

export type SettingsView = z.output<typeof SettingsViewSchema>;
type Settings = z.output<typeof SettingsSchema>;
type SettingName = keyof SettingsView['effective'];

interface Kind {
  readonly label: string;
  readonly field: Omit<Field, 'name' | 'label'>;
  readonly parse: (text: string) => unknown;
  /** Where nobody said anything. */
  readonly nothing: string;
}

function listOf(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '');
}

const LIST = {
  field: {
    kind: 'text',
    optional: true,
    hint: 'names, or beginnings and *, with commas; empty: none at all',
  },
  parse: listOf,
  nothing: 'all',
} as const;

const KINDS: Readonly<Record<SettingName, Kind>> = {
  systemPrompt: {
    label: 'System prompt',
    field: { kind: 'text', hint: 'put before the task of every agent that is spawned here' },
    parse: (text) => text,
    nothing: 'none',
  },
  tools: { label: 'Tools', ...LIST },
  models: { label: 'Models', ...LIST },
  model: {
    label: 'Model',
    field: { kind: 'text', hint: 'for agents that name none' },
    parse: (text) => text,
    nothing: 'that of its CLI',
  },
  memory: {
    label: 'Memory',
    field: { kind: 'choice', options: ['yes', 'no'].map(optionOf) },
    parse: (text) => text === 'yes',
    nothing: 'yes',
  },
  approvals: {
    label: 'Approvals',
    field: {
      kind: 'choice',
      options: [
        { value: 'hub', label: 'in the admin hub only' },
        { value: 'hub_and_staff', label: 'also in direct chats of staff who asked for it' },
      ] satisfies readonly { value: ApprovalRoute; label: string }[],
    },
    parse: (text) => text,
    nothing: '',
  },
};

const NAMES: readonly SettingName[] = [
  'systemPrompt',
  'tools',
  'models',
  'model',
  'memory',
  'approvals',
];

/** What holds at a place, who said it, and what changes it. */
export function settingsTable(view: SettingsView, path: string): Table {
  return {
    columns: [{ title: 'SETTING' }, { title: 'VALUE', cut: true }, { title: 'SAID BY' }],
    rows: NAMES.map((name) => settingRow(view, { name, path })),
    empty: [],
  };
}

interface Place {
  readonly name: SettingName;
  readonly path: string;
}

function settingRow(view: SettingsView, place: Place): Row {
  const { value, origin } = view.effective[place.name];
  const isOwn = view.own[place.name] !== undefined;
  return {
    id: place.name,
    cells: [
      cell(KINDS[place.name].label),
      cell(
        labelOf(place.name, wordsOf(value, KINDS[place.name].nothing)),
        isOwn ? 'strong' : 'plain',
      ),
      cell(origin === 'default' ? 'nobody: built in' : origin, isOwn ? 'plain' : 'dim'),
    ],
    actions: [changeAction(view, place), ...(isOwn ? [inheritAction(view, place)] : [])],
  };
}

function labelOf(name: SettingName, words: string): string {
  const { options = [] } = KINDS[name].field;
  return options.find(({ value }) => value === words)?.label ?? words;
}

function wordsOf(value: unknown, nothing: string): string {
  if (value === null) return nothing;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? 'none at all' : value.join(', ');
  return typeof value === 'string' ? value : '';
}

function changeAction(view: SettingsView, { name, path }: Place): Action {
  const { label, field, parse } = KINDS[name];
  const { value } = view.effective[name];
  const initial = value === null ? '' : wordsOf(value, '').replace('none at all', '');
  return doing({
    key: 'c',
    label: 'change',
    ask: {
      title: label,
      words: ['Holds for what is spawned from now on.'],
      fields: [{ name: 'value', label, initial, ...field }],
      confirm: PRESS,
      verb: 'change it',
    },
    busy: 'Changing',
    run: async ({ client }, { value: text = '' }) => {
      const next = parsed({ ...view.own, [name]: parse(text) });
      await client.send({ method: 'PUT', path, body: next, schema: SettingsViewSchema });
      return { words: `${label} is changed.` };
    },
  });
}

function inheritAction({ own }: SettingsView, { name, path }: Place): Action {
  const { label } = KINDS[name];
  return doing({
    key: 'i',
    label: 'inherit again',
    ask: {
      title: `Inherit: ${label}`,
      words: ['What was said here is taken away; what is said above holds.'],
      fields: [],
      confirm: PRESS,
      verb: 'inherit it',
    },
    busy: 'Changing',
    run: async ({ client }) => {
      const { [name]: _taken, ...rest } = own;
      await client.send({ method: 'PUT', path, body: rest, schema: SettingsViewSchema });
      return { words: `${label} is inherited again.` };
    },
  });
}

function parsed(settings: unknown): Settings {
  const result = SettingsSchema.safeParse(settings);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new CliError('usage', issue?.message ?? 'That is no value for it.');
}
