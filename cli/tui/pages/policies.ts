import { stat, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { z } from 'zod';
import {
  CheckedPolicySchema,
  PolicySchema,
  PolicyVersionSchema,
  ProposedPolicySchema,
} from '../../../domain/schema/policy.ts';
import { CliError } from '../../exit.ts';
import type { Action, Api, Block, Field, Model, Outcome, Page, Row } from '../model.ts';
import { cell, changeAsAdmin, doing, fact, PRESS, timeCell, to, workspacePath } from './part.ts';

type Version = z.output<typeof PolicyVersionSchema>;
export type Policy = z.output<typeof PolicySchema>;

const ROWS_MAX = 2_000;
/** What the API takes. */
const FILE_BYTES_MAX = 512 * 1_024;

export const policiesPage: Page = {
  title: 'Policy',
  listener: 'public',
  events: ['policy.'],
  pollMs: 30_000,
  load: async (api) => {
    const path = workspacePath(api);
    const [active, versions] = await Promise.all([
      api.client.get(`${path}/policy`, PolicySchema),
      api.client.list({ path: `${path}/policies`, item: PolicyVersionSchema, limit: ROWS_MAX }),
    ]);
    return policiesModel(active, versions);
  },
};

export function policiesModel(active: Policy, versions: readonly Version[]): Model {
  return {
    title: 'Policy',
    blocks: [
      ...fact(
        'Holds now',
        active.id === null ? 'the built-in policy' : `version ${active.version} (${active.engine})`,
        'strong',
      ),
      ...(active.id === null ? [] : fact('Rules', String(active.rules.length))),
    ],
    table: {
      columns: [
        { title: 'VERSION' },
        { title: 'STATE' },
        { title: 'ENGINE', drop: 2 },
        { title: 'NOTE', cut: true },
        { title: 'MADE', drop: 3 },
        { title: 'BY', cut: true, drop: 1 },
        { title: 'DIGEST', cut: true, drop: 0 },
      ],
      rows: versions.toReversed().map(rowOf),
      empty: [
        'This workspace has no policy of its own: the built-in one holds (v shows it).',
        '',
        'n proposes a version from a file. It decides nothing until it is activated.',
      ],
    },
    actions: [showAction(active), proposeAction(), checkAction()],
  };
}

function rowOf(version: Version): Row {
  const { version: number, engine, note, active, createdAt, createdBy, digest, id } = version;
  return {
    id: String(number),
    cells: [
      cell(String(number), 'strong'),
      active ? cell('active', 'good') : cell('not active', 'dim'),
      cell(engine),
      cell(note),
      timeCell(createdAt),
      cell(createdBy ?? '', 'dim'),
      cell(digest, 'dim'),
    ],
    ...(id === null ? {} : { open: to('policy', { id }) }),
  };
}

function showAction({ text, version }: Policy): Action {
  return doing({
    key: 'v',
    label: 'what holds',
    ask: null,
    busy: 'Looking',
    run: async () => ({
      words: '',
      show: {
        title: version === 0 ? 'The built-in policy' : `Version ${version}`,
        blocks: [{ kind: 'quote', text }],
      },
    }),
  });
}

const FILE: Field = {
  name: 'file',
  label: 'File',
  kind: 'text',
  hint: 'path of a text in Cedar on this machine',
};

function proposeAction(): Action {
  return doing({
    key: 'n',
    label: 'propose',
    ask: {
      title: 'Propose a policy',
      words: [
        'Kept as a version once it was found good. It decides nothing until it is activated.',
      ],
      fields: [
        FILE,
        { name: 'note', label: 'Note', kind: 'text', optional: true, hint: 'why it is made' },
      ],
      confirm: PRESS,
      verb: 'propose it',
    },
    busy: 'Proposing',
    run: async (api, { file = '', note = '' }): Promise<Outcome> => {
      const text = await readPolicy(api, file);
      const { policy, warnings } = await changeAsAdmin(api, {
        method: 'POST',
        path: `${workspacePath(api)}/policies`,
        body: { text, note },
        schema: ProposedPolicySchema,
      });
      const more = warnings.length === 0 ? '' : ` ${warnings.length} warnings: see them by c.`;
      const words = `Version ${policy.version} is kept; it is not active.${more}`;
      return policy.id === null
        ? { words }
        : { words, next: { open: to('policy', { id: policy.id }) } };
    },
  });
}

function checkAction(): Action {
  return doing({
    key: 'c',
    label: 'check a file',
    ask: {
      title: 'Check a policy',
      words: ['Says what is wrong with a text, and where. Nothing is kept.'],
      fields: [FILE],
      confirm: { kind: 'none' },
      verb: 'check it',
    },
    busy: 'Checking',
    run: async (api, { file = '' }): Promise<Outcome> => {
      const checked = await changeAsAdmin(api, {
        method: 'POST',
        path: `${workspacePath(api)}/policies/check`,
        body: { text: await readPolicy(api, file) },
        schema: CheckedPolicySchema,
      });
      return { words: '', show: { title: 'What was found', blocks: checkedBlocks(checked) } };
    },
  });
}

export function checkedBlocks(checked: z.output<typeof CheckedPolicySchema>): readonly Block[] {
  const { valid, problems, rules } = checked;
  return [
    ...fact('Good', valid ? 'yes' : 'no', valid ? 'good' : 'bad'),
    ...fact('Rules', String(rules.length)),
    ...problems.map(({ severity, message, line, column }): Block => {
      const where = line === 0 ? '' : `${line}:${column} `;
      const tone = severity === 'error' ? 'bad' : 'warn';
      return { kind: 'words', text: `${where}${severity}: ${message}`, tone };
    }),
    ...(problems.length === 0
      ? [{ kind: 'words', text: 'Nothing is wrong with it.' } as const]
      : []),
  ];
}

async function readPolicy({ cwd }: Api, file: string): Promise<string> {
  const path = resolve(cwd, file);
  try {
    const { size } = await stat(path);
    if (size <= FILE_BYTES_MAX) return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CliError('usage', `${path} cannot be read.`, { cause });
  }
  throw new CliError('usage', `${path} is larger than 512 KiB.`);
}
