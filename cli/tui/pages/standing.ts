import type { z } from 'zod';
import {
  ApprovedForeverSchema,
  StandingApprovalSchema,
} from '../../../domain/schema/standing-approval.ts';
import { prettyJson } from '../../approval-view.ts';
import type { Approval } from '../../resolve.ts';
import { plainLine } from '../../text.ts';
import type { Action, Model, Outcome, Page, Row } from '../model.ts';
import { cell, doing, fact, RISK_TONES, timeCell, typing, workspacePath } from './part.ts';

type Standing = z.output<typeof StandingApprovalSchema>;

const ROWS_MAX = 2_000;

export const standingPage: Page = {
  title: 'Standing approvals',
  listener: 'public',
  events: ['standing_approval.', 'approval.'],
  pollMs: 30_000,
  load: async (api) => {
    const path = `${workspacePath(api)}/standing-approvals`;
    return standingModel(
      await api.client.list({ path, item: StandingApprovalSchema, limit: ROWS_MAX }),
    );
  },
};

export function standingModel(all: readonly Standing[]): Model {
  return {
    title: 'Standing approvals',
    blocks: [],
    table: {
      columns: [
        { title: 'WHAT', cut: true },
        { title: 'STATE' },
        { title: 'RISK', drop: 3 },
        { title: 'USES', drop: 2 },
        { title: 'ENDS', drop: 1 },
        { title: 'BY', drop: 0, cut: true },
      ],
      rows: all.map(rowOf),
      empty: [
        'Nothing is approved for ever.',
        '',
        'An admin opens an approval and presses f: then exactly the same is not asked again until it ends.',
      ],
    },
    actions: [],
  };
}

function rowOf(standing: Standing): Row {
  const { id, title, state, risk, uses, expiresAt, createdBy } = standing;
  return {
    id,
    cells: [
      cell(title),
      cell(state, state === 'live' ? 'good' : 'dim'),
      cell(risk, RISK_TONES[risk]),
      cell(String(uses)),
      timeCell(expiresAt),
      cell(createdBy, 'dim'),
    ],
    actions: [showAction(standing), ...(state === 'live' ? [revokeAction(standing)] : [])],
  };
}

function showAction({ title, template, templateHash, recipients }: Standing): Action {
  return doing({
    key: 'v',
    label: 'what exactly',
    ask: null,
    busy: 'Looking',
    run: async (): Promise<Outcome> => ({
      words: '',
      show: {
        title: 'It holds for exactly this',
        blocks: [
          ...fact('What', title, 'strong'),
          ...fact('Hash', templateHash, 'dim'),
          ...fact('Sent to', recipients.join(', ')),
          { kind: 'quote', text: prettyJson(template) },
        ],
      },
    }),
  });
}

function revokeAction({ id, title }: Standing): Action {
  return doing({
    key: 'x',
    label: 'revoke',
    ask: {
      title: 'Revoke a standing approval',
      words: [plainLine(title), 'From now on it is asked again.'],
      fields: [],
      confirm: typing('revoke'),
      verb: 'revoke it',
    },
    busy: 'Revoking',
    run: async ({ client }) => {
      const path = `/v1/standing-approvals/${id}`;
      await client.send({ method: 'DELETE', path, schema: StandingApprovalSchema });
      return { words: 'Revoked: it is asked again from now on.' };
    },
  });
}

/** Approves, and lets exactly the same pass for a time without asking. */
export function foreverAction({ id, digest, title, code }: Approval): Action {
  return doing({
    key: 'f',
    label: 'approve for ever',
    needsReading: true,
    ask: {
      title: `Approve ${code} for ever`,
      words: [
        plainLine(title),
        'Exactly the same, by the same kind of agent in the same place, is not asked again until it ends. Admins only.',
      ],
      fields: [
        {
          name: 'days',
          label: 'For days',
          kind: 'text',
          optional: true,
          hint: 'empty: as the configuration says',
          check: (value) =>
            /^[1-9]\d{0,3}$/.test(value) ? null : 'A whole number from 1 to 3650.',
        },
        { name: 'note', label: 'Note', kind: 'text', optional: true, hint: 'kept with your vote' },
      ],
      confirm: typing('forever'),
      verb: 'approve it for ever',
    },
    busy: 'Approving for ever',
    run: async ({ client }, { days = '', note = '' }): Promise<Outcome> => {
      await client.send({
        method: 'POST',
        path: `/v1/approvals/${id}/approve-forever`,
        body: {
          digest,
          ...(days === '' ? {} : { expiresInDays: Number(days) }),
          ...(note === '' ? {} : { note }),
        },
        schema: ApprovedForeverSchema,
      });
      return { words: `${code} is approved, and the same is not asked again.`, next: 'back' };
    },
  });
}
