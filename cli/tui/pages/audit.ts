import { z } from 'zod';
import { parseJson } from '../../../domain/json.ts';
import { AuditEntrySchema, AuditVerdictSchema } from '../../../domain/schema/audit.ts';
import { prettyJson } from '../../approval-view.ts';
import { CliError } from '../../exit.ts';
import type { Model, Outcome, Page, Row } from '../model.ts';
import {
  cell,
  doing,
  fact,
  opening,
  timeCell,
  timeFact,
  to,
  words,
  workspacePath,
} from './part.ts';

type AuditEntry = z.output<typeof AuditEntrySchema>;

/** The API lists the oldest first; beyond this somebody looks for one record, by `rookery audit --subject`. */
const ENTRIES_MAX = 5_000;

export const auditPage: Page = {
  title: 'Audit',
  listener: 'public',
  events: [],
  pollMs: 30_000,
  load: async (api, { subject }) => {
    const path = `${workspacePath(api)}/audit`;
    const entries = await api.client.list({
      path,
      query: { subject },
      item: AuditEntrySchema,
      limit: ENTRIES_MAX,
    });
    return auditModel(entries, subject ?? null);
  },
};

export function auditModel(entries: readonly AuditEntry[], subject: string | null): Model {
  const isCut = entries.length >= ENTRIES_MAX;
  return {
    title: subject === null ? 'Audit' : `About ${subject}`,
    blocks: isCut
      ? [
          words(
            `Only the first ${ENTRIES_MAX} entries: for one record use rookery audit --subject.`,
            'warn',
          ),
        ]
      : [],
    table: {
      columns: [
        { title: 'SEQ', drop: 1 },
        { title: 'WHEN', drop: 3 },
        { title: 'WHO', cut: true },
        { title: 'DID', cut: true },
        { title: 'TO', cut: true, drop: 2 },
        { title: 'DETAIL', cut: true, drop: 0 },
      ],
      rows: entries.toReversed().map((entry) => rowOf(entry, subject)),
      empty: ['No entries.'],
    },
    actions: [
      doing({
        key: 'v',
        label: 'verify the chain',
        ask: null,
        busy: 'Recomputing every hash from the first entry to the head',
        run: async (api): Promise<Outcome> => {
          const path = `${workspacePath(api)}/audit/verify`;
          const verdict = await api.client.get(path, AuditVerdictSchema);
          if (verdict.kind === 'broken') {
            throw new CliError('failed', `Broken at entry ${verdict.seq}: ${verdict.reason}.`);
          }
          const { entries: count, head } = verdict;
          return { words: `Intact: ${count} entries, head ${head}` };
        },
      }),
    ],
  };
}

function rowOf(entry: AuditEntry, subject: string | null): Row {
  const { seq, at, actorKind, actorId, action, subjectId } = entry;
  const detail = detailOf(entry.canonical);
  return {
    id: String(seq),
    cells: [
      cell(String(seq), 'dim'),
      timeCell(at),
      cell(`${actorKind}:${actorId}`),
      cell(action, 'strong'),
      cell(subjectId, 'dim'),
      cell(detail === null ? '' : JSON.stringify(detail), 'dim'),
    ],
    open: to('auditEntry', { seq: String(seq), subject: subjectId }),
    actions:
      subject === null && subjectId !== ''
        ? [opening('s', 'only about this record', to('audit', { subject: subjectId }))]
        : [],
  };
}

export const auditEntryPage: Page = {
  title: 'Entry',
  listener: 'public',
  events: [],
  pollMs: 0,
  load: async (api, { seq = '', subject = '' }) => {
    const path = `${workspacePath(api)}/audit`;
    const query = { subject };
    for await (const entry of api.client.pages({ path, query, item: AuditEntrySchema })) {
      if (String(entry.seq) === seq) return entryModel(entry);
    }
    throw new CliError('not_found', `There is no entry ${seq}.`);
  },
};

export function entryModel(entry: AuditEntry): Model {
  const { seq, at, actorKind, actorId, action, subjectId, prevHash, hash } = entry;
  const detail = detailOf(entry.canonical);
  return {
    title: `Entry ${seq}`,
    blocks: [
      ...fact('Did', action, 'strong'),
      ...fact('Who', `${actorKind} ${actorId}`),
      ...fact('To', subjectId),
      ...timeFact('When', at),
      ...fact('Hash', hash, 'dim'),
      ...fact('Before it', prevHash, 'dim'),
      { kind: 'heading', text: 'Detail' },
      // Of the text that the hash covers, so that what is shown is what is proved.
      { kind: 'quote', text: detail === null ? entry.canonical : prettyJson(detail) },
    ],
    table: null,
    actions: [opening('s', 'all about this record', to('audit', { subject: subjectId }))],
  };
}

const Canonical = z.object({ detail: z.record(z.string(), z.unknown()) });

function detailOf(canonical: string): Readonly<Record<string, unknown>> | null {
  const parsed = Canonical.safeParse(parseJson(canonical));
  return parsed.success ? parsed.data.detail : null;
}
