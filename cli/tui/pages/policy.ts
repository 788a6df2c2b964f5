import type { z } from 'zod';
import {
  PolicyDiffSchema,
  PolicyDryRunSchema,
  PolicySchema,
} from '../../../domain/schema/policy.ts';
import type { Action, Block, Model, Outcome, Page } from '../model.ts';
import { changeAsAdmin, doing, fact, opening, timeFact, to, typing } from './part.ts';
import type { Policy } from './policies.ts';

type DryRun = z.output<typeof PolicyDryRunSchema>;

export const policyPage: Page = {
  title: 'Version',
  listener: 'public',
  events: ['policy.'],
  pollMs: 30_000,
  load: async ({ client }, { id = '' }) =>
    policyModel(await client.get(`/v1/policies/${encodeURIComponent(id)}`, PolicySchema)),
};

export function policyModel(policy: Policy): Model {
  const { id, version, engine, note, active, rules, text, digest } = policy;
  return {
    title: `Version ${version}`,
    blocks: [
      ...fact('Version', `${version}, ${engine}`),
      ...fact('State', active ? 'active' : 'not active', active ? 'good' : 'dim'),
      ...fact('Note', note),
      ...fact('Made by', policy.createdBy),
      ...timeFact('Made', policy.createdAt),
      ...fact('Activated by', policy.activatedBy),
      ...timeFact('Activated', policy.activatedAt),
      ...fact('Digest', digest, 'dim'),
      ...(rules.length === 0 ? [] : [{ kind: 'heading', text: 'Rules' } as const]),
      ...rules.map(({ id: name, verdict, reason, line }): Block => ({
        kind: 'words',
        text: `${String(line).padStart(4)}  ${verdict.padEnd(5)}  ${name}${reason === '' ? '' : `: ${reason}`}`,
      })),
      { kind: 'heading', text: 'Text' },
      { kind: 'quote', text },
    ],
    table: null,
    actions: id === null ? [] : actionsOf(policy, id),
  };
}

function actionsOf({ version, active }: Policy, id: string): readonly Action[] {
  return [
    opening('d', 'difference', to('policyDiff', { id })),
    dryRunAction(id),
    ...(active ? [] : [activateAction(id, version)]),
  ];
}

const DRY_RUN_LAST = 500;

function dryRunAction(id: string): Action {
  return doing({
    key: 't',
    label: 'dry run',
    ask: null,
    busy: `Asking it the last ${DRY_RUN_LAST} requests again`,
    run: async (api): Promise<Outcome> => {
      const run = await changeAsAdmin(api, {
        method: 'POST',
        path: `/v1/policies/${id}/dry-run`,
        body: { last: DRY_RUN_LAST },
        schema: PolicyDryRunSchema,
      });
      return { words: '', show: { title: 'Dry run', blocks: dryRunBlocks(run) } };
    },
  });
}

/** What it would answer otherwise than the version that holds. */
export function dryRunBlocks({
  from,
  to: against,
  requests,
  unchanged,
  unknown,
  counts,
  changes,
}: DryRun): readonly Block[] {
  return [
    ...fact(
      'Compared',
      `version ${from} with version ${against}, over the last ${requests} requests`,
    ),
    ...fact('The same', String(unchanged)),
    ...Object.entries(counts).flatMap(([change, count]) => fact(change, String(count), 'warn')),
    ...(unknown === 0 ? [] : fact('Unknown', `${unknown}: recorded without their text`)),
    ...(changes.length === 0
      ? [{ kind: 'words', text: 'Nothing would be answered otherwise.' } as const]
      : [{ kind: 'heading', text: 'Answered otherwise, newest first' } as const]),
    ...changes.flatMap(({ action, tool, principal, at, before, after }): readonly Block[] => [
      {
        kind: 'words',
        text: `${before.verdict} → ${after.verdict}  ${action}${tool === '' ? '' : ` ${tool}`}  by ${principal}`,
        tone: after.verdict === 'allow' ? 'warn' : 'plain',
      },
      { kind: 'words', text: `    ${before.rule} → ${after.rule}  ${at}`, tone: 'dim' },
    ]),
  ];
}

function activateAction(id: string, version: number): Action {
  return doing({
    key: 'a',
    label: 'activate',
    ask: {
      title: `Activate version ${version}`,
      words: [
        'It decides from now on what agents may do in this workspace. Look at its difference (d) and a dry run (t) first.',
      ],
      fields: [],
      confirm: typing('activate'),
      verb: 'let it decide',
    },
    busy: 'Activating',
    run: async (api): Promise<Outcome> => {
      const path = `/v1/policies/${id}/activate`;
      await changeAsAdmin(api, { method: 'POST', path, body: {}, schema: PolicySchema });
      return { words: `Version ${version} holds now.` };
    },
  });
}

export const policyDiffPage: Page = {
  title: 'Difference',
  listener: 'public',
  events: ['policy.'],
  pollMs: 0,
  load: async ({ client }, { id = '' }) => {
    const path = `/v1/policies/${encodeURIComponent(id)}/diff`;
    return diffModel(await client.get(path, PolicyDiffSchema));
  },
};

export function diffModel({ from, to: against, diff }: z.output<typeof PolicyDiffSchema>): Model {
  return {
    title: 'Difference',
    blocks: [
      ...fact('From', `${named(from.version)} (${from.engine}), which holds`),
      ...fact('To', `${named(against.version)} (${against.engine})`),
      diff === ''
        ? { kind: 'words', text: 'Nothing differs.' }
        : { kind: 'diff', lines: diff.trimEnd().split('\n') },
    ],
    table: null,
    actions: [],
  };
}

function named(version: number): string {
  return version === 0 ? 'the built-in policy' : `version ${version}`;
}
