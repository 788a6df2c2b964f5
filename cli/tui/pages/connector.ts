import type { z } from 'zod';
import {
  ConnectorSchema,
  ConnectorTestSchema,
  PostSchema,
  RetriedUpdatesSchema,
} from '../../../domain/schema/connector.ts';
import { CliError } from '../../exit.ts';
import type { Action, Model, Outcome, Page, Row } from '../model.ts';
import { SECRET_FIELDS, secretOf, stateTone, type Connector } from './connectors.ts';
import { cell, changeAsAdmin, doing, fact, PRESS, timeCell, timeFact, typing } from './part.ts';

type Post = z.output<typeof PostSchema>;

const ROWS_MAX = 500;

export const connectorPage: Page = {
  title: 'Connector',
  listener: 'admin',
  events: [],
  pollMs: 5_000,
  load: async (api, { id = '' }) => {
    const admin = api.admin();
    const path = `/v1/connectors/${encodeURIComponent(id)}`;
    const posts = (state: string) =>
      admin.list({ path: `${path}/posts`, query: { state }, item: PostSchema, limit: ROWS_MAX });
    const [connector, uncertain, failed, queued] = await Promise.all([
      admin.get(path, ConnectorSchema),
      posts('uncertain'),
      posts('failed'),
      posts('queued'),
    ]);
    return connectorModel(connector, [...uncertain, ...failed, ...queued]);
  },
};

export function connectorModel(connector: Connector, posts: readonly Post[]): Model {
  const { name, network, enabled, state, detail, since, botName, botId, secretRef } = connector;
  return {
    title: name,
    blocks: [
      ...fact('Network', network),
      ...fact('State', enabled ? state : 'disabled', enabled ? stateTone(state) : 'dim'),
      ...fact('Detail', detail),
      ...timeFact('Since', since),
      ...fact('Bot', botName === null ? null : `${botName} (${botId ?? ''})`),
      ...fact('Secret', secretRef ?? 'sealed; it is never shown'),
    ],
    table: {
      columns: [
        { title: 'POST' },
        { title: 'WHERE', cut: true },
        { title: 'TRIES', drop: 2 },
        { title: 'MADE', drop: 1 },
        { title: 'WHY', cut: true, drop: 0 },
      ],
      rows: posts.map(postRow),
      empty: ['Everything that was to be said is said.'],
    },
    actions: [
      testAction(connector),
      switchAction(connector),
      rotateAction(connector),
      retryAction(connector),
      removeAction(connector),
    ],
  };
}

function postRow({ id, state, place, attempts, createdAt, error }: Post): Row {
  const canResend = state === 'uncertain' || state === 'failed';
  return {
    id,
    cells: [
      cell(state, canResend ? 'warn' : 'plain'),
      cell(place),
      cell(String(attempts)),
      timeCell(createdAt),
      cell(error ?? '', 'dim'),
    ],
    actions: canResend ? [sendAgainAction(id, state)] : [],
  };
}

function sendAgainAction(id: string, state: Post['state']): Action {
  return doing({
    key: 'S',
    label: 'send again',
    ask: {
      title: 'Send again',
      words:
        state === 'uncertain'
          ? [
              'Nobody knows whether it was sent: it may be there twice then. Look into the chat first.',
            ]
          : ['The network refused it. It is tried once more.'],
      fields: [],
      confirm: PRESS,
      verb: 'send it again',
    },
    busy: 'Sending again',
    run: async (api): Promise<Outcome> => {
      const path = `/v1/posts/${id}/send-again`;
      await changeAsAdmin(api, { method: 'POST', path, schema: PostSchema });
      return { words: 'It is sent again.' };
    },
  });
}

function testAction({ id }: Connector): Action {
  return doing({
    key: 't',
    label: 'test',
    ask: null,
    busy: 'Asking the network whether it takes the secret',
    run: async (api): Promise<Outcome> => {
      const path = `/v1/connectors/${id}/test`;
      const found = await changeAsAdmin(api, { method: 'POST', path, schema: ConnectorTestSchema });
      if (!found.ok) throw new CliError('failed', found.error ?? 'The network does not take it.');
      return { words: `The network takes it: ${found.botName ?? 'a bot'}.` };
    },
  });
}

function switchAction({ id, name, enabled }: Connector): Action {
  return doing({
    key: 'D',
    label: enabled ? 'disable' : 'enable',
    ask: {
      title: `${enabled ? 'Disable' : 'Enable'} ${name}`,
      words: enabled
        ? ['It hears nothing and says nothing until it is enabled; what is to be said waits.']
        : ['It hears and speaks again.'],
      fields: [],
      confirm: PRESS,
      verb: enabled ? 'disable it' : 'enable it',
    },
    busy: enabled ? 'Disabling' : 'Enabling',
    run: async (api): Promise<Outcome> => {
      const body = { enabled: !enabled };
      const path = `/v1/connectors/${id}`;
      await changeAsAdmin(api, { method: 'POST', path, body, schema: ConnectorSchema });
      return { words: `${name} is ${enabled ? 'disabled' : 'enabled'}.` };
    },
  });
}

function rotateAction({ id, name }: Connector): Action {
  return doing({
    key: 's',
    label: 'another secret',
    ask: {
      title: `Another secret for ${name}`,
      words: ['It is used within moments, and the old one is forgotten.'],
      fields: SECRET_FIELDS,
      confirm: PRESS,
      verb: 'use it from now on',
    },
    busy: 'Changing the secret',
    run: async (api, values): Promise<Outcome> => {
      const body = { secret: secretOf(values) };
      const path = `/v1/connectors/${id}/rotate-secret`;
      await changeAsAdmin(api, { method: 'POST', path, body, schema: ConnectorSchema });
      return { words: 'The secret is changed; t says whether the network takes it.' };
    },
  });
}

function retryAction({ id }: Connector): Action {
  return doing({
    key: 'u',
    label: 'handle failed messages again',
    ask: null,
    busy: 'Handling again what was given up',
    run: async (api): Promise<Outcome> => {
      const path = `/v1/connectors/${id}/retry-updates`;
      const { count } = await changeAsAdmin(api, {
        method: 'POST',
        path,
        schema: RetriedUpdatesSchema,
      });
      return { words: count === 0 ? 'None was given up.' : `${count} are handled again.` };
    },
  });
}

function removeAction({ id, name }: Connector): Action {
  return doing({
    key: 'X',
    label: 'remove',
    ask: {
      title: `Remove ${name}`,
      words: [
        'Takes the bot off its network and forgets its secret. What waits is not said any more.',
      ],
      fields: [],
      confirm: typing('remove'),
      verb: 'remove it',
    },
    busy: 'Removing',
    run: async (api): Promise<Outcome> => {
      const path = `/v1/connectors/${id}`;
      await changeAsAdmin(api, { method: 'DELETE', path, schema: ConnectorSchema });
      return { words: `${name} is removed.`, next: 'back' };
    },
  });
}
