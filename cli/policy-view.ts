import type { z } from 'zod';
import type {
  PolicyDryRunSchema,
  PolicyProblemSchema,
  PolicyVersionSchema,
} from '../domain/schema/policy.ts';
import type { Context } from './context.ts';
import { table } from './table.ts';
import { plainLine } from './text.ts';

export type PolicyVersion = z.output<typeof PolicyVersionSchema>;

export function versionTable(context: Context, items: readonly PolicyVersion[]): string {
  return table(
    [
      { title: 'VERSION', value: ({ version }) => String(version) },
      { title: 'ENGINE', value: ({ engine }) => engine },
      {
        title: 'HOLDS',
        value: ({ active, activatedAt }) =>
          active ? `since ${activatedAt === null ? 'ever' : context.ago(activatedAt)}` : '',
        style: () => 'green',
      },
      {
        title: 'PROPOSED',
        value: ({ createdAt }) => (createdAt === null ? '' : context.ago(createdAt)),
        drop: 2,
      },
      { title: 'BY', value: ({ createdBy }) => createdBy ?? '', style: () => 'dim', drop: 1 },
      { title: 'NOTE', value: ({ note }) => plainLine(note), cut: true },
    ],
    items,
    context,
  );
}

/** As compilers print them, so that editors jump there. */
export function problemLines(
  { paint }: Context,
  file: string,
  problems: readonly z.output<typeof PolicyProblemSchema>[],
): string {
  return problems
    .map(({ severity, line, column, message }) => {
      const where = line === 0 ? file : `${file}:${line}:${column}`;
      const word = paint(severity === 'error' ? 'red' : 'yellow', severity);
      return `${plainLine(where)}: ${word}: ${plainLine(message)}`;
    })
    .join('\n');
}

export function dryRunText(context: Context, run: z.output<typeof PolicyDryRunSchema>): string {
  const { requests, unchanged, unknown, counts, changes } = run;
  const from = run.from === 0 ? 'the built-in policy' : `version ${run.from}`;
  const head = `Of the latest ${requests === 1 ? 'request' : `${requests} requests`}, version ${run.to} in the place of ${from}:`;
  const lines = Object.entries(counts).map(([change, count]) => `  ${count} ${change}`);
  const rest = [
    `  ${unchanged} as before`,
    ...(unknown === 0 ? [] : [`  ${unknown} unknown: kept without the text that a policy reads`]),
  ];
  if (changes.length === 0) return [head, ...lines, ...rest].join('\n');
  const shown = table(
    [
      { title: 'WHEN', value: ({ at }) => context.ago(at), drop: 2 },
      { title: 'ACTION', value: ({ action }) => action },
      { title: 'TOOL', value: ({ tool }) => plainLine(tool), cut: true },
      { title: 'ASKED BY', value: ({ principal }) => plainLine(principal), drop: 1 },
      { title: 'BEFORE', value: ({ before }) => `${before.verdict} (${before.rule})` },
      { title: 'AFTER', value: ({ after }) => `${after.verdict} (${after.rule})` },
    ],
    changes,
    context,
  );
  return [head, ...lines, ...rest, '', shown].join('\n');
}
