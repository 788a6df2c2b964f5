import type { z } from 'zod';
import { PairingSchema } from '../../../domain/schema/pairing.ts';
import type { Action, Model, Outcome, Page, Row, Tone } from '../model.ts';
import { cell, changeAsAdmin, doing, timeCell, to } from './part.ts';

export type Pairing = z.output<typeof PairingSchema>;

const ROWS_MAX = 1_000;

export const pairingsPage: Page = {
  title: 'Pairing',
  listener: 'admin',
  events: [],
  pollMs: 5_000,
  load: async (api) =>
    pairingsModel(
      await api.admin().list({ path: '/v1/pairings', item: PairingSchema, limit: ROWS_MAX }),
    ),
};

const STATE_TONES: Readonly<Record<Pairing['state'], Tone>> = {
  pending: 'plain',
  shown: 'warn',
  linked: 'good',
  refused: 'dim',
  expired: 'dim',
};

export function pairingsModel(pairings: readonly Pairing[]): Model {
  return {
    title: 'Pairing',
    blocks: [],
    table: {
      columns: [
        { title: 'NUMBER' },
        { title: 'CALLS ITSELF', cut: true },
        { title: 'NETWORK', drop: 2 },
        { title: 'CONNECTOR', cut: true, drop: 1 },
        { title: 'STATE' },
        { title: 'ENDS', drop: 0 },
      ],
      rows: pairings.map(rowOf),
      empty: [
        'Nobody waits to be linked.',
        '',
        'Somebody writes pair to the bot in a direct chat and gets a token, which is good once and for a short time. He tells it to you, and you enter it here: e.',
      ],
    },
    actions: [enterAction()],
  };
}

function rowOf(pairing: Pairing): Row {
  const { id, subject, displayName, network, connectorName, state, expiresAt } = pairing;
  return {
    id,
    cells: [
      cell(subject, 'strong'),
      cell(displayName),
      cell(network),
      cell(connectorName),
      cell(state, STATE_TONES[state]),
      timeCell(expiresAt),
    ],
    ...(state === 'shown' ? { open: to('pairing', { id }) } : {}),
  };
}

function enterAction(): Action {
  return doing({
    key: 'e',
    label: 'enter a token',
    ask: {
      title: 'Enter a pairing token',
      words: ['As its owner told it to you. Nobody is linked by this: you see who it is first.'],
      fields: [
        { name: 'token', label: 'Token', kind: 'text', hint: 'wrong ones lock out for a while' },
      ],
      confirm: { kind: 'none' },
      verb: 'look it up',
    },
    busy: 'Looking it up',
    run: async (api, { token = '' }): Promise<Outcome> => {
      const pairing = await changeAsAdmin(api, {
        method: 'POST',
        path: '/v1/pairings/lookup',
        body: { token: token.trim() },
        schema: PairingSchema,
      });
      return {
        words: 'This is who shows that token. Compare the number with its owner.',
        next: { open: to('pairing', { id: pairing.id }) },
      };
    },
  });
}
