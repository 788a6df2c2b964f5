import type { z } from 'zod';
import { NETWORKS } from '../../../domain/chat.ts';
import { ConnectorSchema } from '../../../domain/schema/connector.ts';
import type { Action, Field, Model, Outcome, Page, Row, Tone, Values } from '../model.ts';
import { cell, changeAsAdmin, doing, optionOf, PRESS, timeCell, to } from './part.ts';

export type Connector = z.output<typeof ConnectorSchema>;

const ROWS_MAX = 1_000;

export const connectorsPage: Page = {
  title: 'Connectors',
  listener: 'admin',
  events: [],
  pollMs: 5_000,
  load: async (api) =>
    connectorsModel(
      await api.admin().list({ path: '/v1/connectors', item: ConnectorSchema, limit: ROWS_MAX }),
    ),
};

const STATE_TONES: Partial<Record<Connector['state'], Tone>> = {
  connected: 'good',
  refused: 'bad',
  conflict: 'bad',
};

export function stateTone(state: Connector['state']): Tone {
  return STATE_TONES[state] ?? 'warn';
}

export function connectorsModel(connectors: readonly Connector[]): Model {
  return {
    title: 'Connectors',
    blocks: [],
    table: {
      columns: [
        { title: 'NAME', cut: true },
        { title: 'NETWORK', drop: 3 },
        { title: 'STATE' },
        { title: 'SINCE', drop: 2 },
        { title: 'BOT', cut: true, drop: 1 },
        { title: 'DETAIL', cut: true, drop: 0 },
      ],
      rows: connectors.map(rowOf),
      empty: [
        'No connectors: people reach Rookery by its API, panel and commands only.',
        '',
        'n connects a bot. Its token comes from @BotFather on Telegram, or from the developer portal of Discord.',
      ],
    },
    actions: [addAction()],
  };
}

function rowOf({ id, name, network, state, enabled, since, botName, detail }: Connector): Row {
  return {
    id,
    cells: [
      cell(name, 'strong'),
      cell(network),
      enabled ? cell(state, stateTone(state)) : cell('disabled', 'dim'),
      timeCell(since),
      cell(botName ?? ''),
      cell(detail, 'dim'),
    ],
    open: to('connector', { id }),
  };
}

/** A secret is typed, and hidden, or named where it is: then it never passes through here. */
export const SECRET_FIELDS: readonly Field[] = [
  {
    name: 'how',
    label: 'Secret',
    kind: 'choice',
    options: [
      { value: 'typed', label: 'type or paste it here; it is kept sealed' },
      { value: 'reference', label: 'name where the runtime finds it' },
    ],
  },
  {
    name: 'secret',
    label: 'Token',
    kind: 'secret',
    hint: 'not shown while you type, and never again',
    check: (value) => (/^[!-~]{1,512}$/.test(value) ? null : 'It must be one word without spaces.'),
    unless: ({ how }) => how !== 'typed',
  },
  {
    name: 'reference',
    label: 'Reference',
    kind: 'text',
    hint: 'such as env:TELEGRAM_BOT_TOKEN or file:/path#key',
    unless: ({ how }) => how !== 'reference',
  },
];

export function secretOf({ how, secret = '', reference = '' }: Values) {
  return how === 'reference' ? { reference } : { typed: secret };
}

function addAction(): Action {
  return doing({
    key: 'n',
    label: 'connect a bot',
    ask: {
      title: 'Connect a bot',
      words: [],
      fields: [
        { name: 'network', label: 'Network', kind: 'choice', options: NETWORKS.map(optionOf) },
        { name: 'name', label: 'Name', kind: 'text', hint: 'for people' },
        ...SECRET_FIELDS,
      ],
      confirm: PRESS,
      verb: 'connect it',
    },
    busy: 'Connecting',
    run: async (api, values): Promise<Outcome> => {
      const { network = '', name = '' } = values;
      const made = await changeAsAdmin(api, {
        method: 'POST',
        path: '/v1/connectors',
        body: { network, name, secret: secretOf(values) },
        schema: ConnectorSchema,
      });
      return {
        words: `${made.name} is kept; its state says whether the network takes it.`,
        next: { open: to('connector', { id: made.id }) },
      };
    },
  });
}
