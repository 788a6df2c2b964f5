import { ApprovalSummarySchema } from '../../../domain/schema/approval.ts';
import type { ApprovalSummary } from '../../approval-view.ts';
import type { Model, Page, Row } from '../model.ts';
import { cell, opening, RISK_TONES, timeCell, to, workspacePath } from './part.ts';

const ROWS_MAX = 1_000;

export const approvalsPage: Page = {
  title: 'Approvals',
  listener: 'public',
  events: ['approval.'],
  pollMs: 30_000,
  load: async (api) =>
    approvalsModel(
      await api.client.list({
        path: `${workspacePath(api)}/approvals`,
        query: { state: 'open' },
        item: ApprovalSummarySchema,
        limit: ROWS_MAX,
      }),
    ),
};

export function approvalsModel(approvals: readonly ApprovalSummary[]): Model {
  return {
    title: 'Approvals',
    blocks: [],
    table: {
      columns: [
        { title: 'CODE' },
        { title: 'RISK' },
        { title: 'WHAT', cut: true },
        { title: 'WHO', drop: 0 },
        { title: 'ASKED', drop: 2 },
        { title: 'EXPIRES', drop: 1 },
      ],
      rows: approvals.map(rowOf),
      empty: [
        'Nothing waits for a decision.',
        '',
        'What an agent may not do by itself stands here until somebody approves or denies it.',
      ],
    },
    actions: [opening('s', 'standing approvals', to('standing'))],
  };
}

function rowOf(approval: ApprovalSummary): Row {
  const { id, code, risk, title, askerKind, askerId, requestedAt, expiresAt } = approval;
  return {
    id,
    cells: [
      cell(code, 'strong'),
      cell(risk, RISK_TONES[risk]),
      cell(title),
      cell(`${askerKind} ${askerId}`, 'dim'),
      timeCell(requestedAt),
      timeCell(expiresAt),
    ],
    open: to('approval', { id }),
  };
}
