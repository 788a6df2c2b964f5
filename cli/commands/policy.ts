import type { Command } from 'commander';
import {
  DRY_RUN_MAX,
  PolicyDiffSchema,
  PolicyDryRunSchema,
  PolicySchema,
  PolicyVersionSchema,
} from '../../domain/schema/policy.ts';
import { confirm } from '../ask.ts';
import { adminCommand, apiCommand, described, wholeNumber } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import type { ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { dryRunText, versionTable } from '../policy-view.ts';
import { policyPath } from '../policy-path.ts';
import { workspacePath } from '../resolve.ts';
import { plain, plainLine } from '../text.ts';
import { checkCommand, proposeCommand } from './policy-propose.ts';
import { testCommand } from './policy-test.ts';

export function policyCommand(io: CliIo): Command {
  return described('policy', {
    summary: 'what may happen, and what is asked first',
    description:
      'The policy of a workspace allows, denies or has people asked. It is a text in Cedar with versions: propose ' +
      'one, try it on what was asked lately, and activate it. Writing needs the role admin, the scope ' +
      'policies:write, and the admin listener.',
    examples: [
      ['rookery policy show > policy.cedar', 'begin with what holds'],
      ['rookery policy propose policy.cedar --note "no rm"', 'keep it as a version'],
      ['rookery policy dry-run 3', 'what would be answered otherwise'],
      ['rookery policy activate 3', 'make it hold'],
    ],
  })
    .addCommand(showCommand(io))
    .addCommand(historyCommand(io))
    .addCommand(checkCommand(io))
    .addCommand(proposeCommand(io))
    .addCommand(diffCommand(io))
    .addCommand(dryRunCommand(io))
    .addCommand(activateCommand(io))
    .addCommand(testCommand(io));
}

const VERSION = 'its number, as `history` shows it, or its id';

function showCommand(io: CliIo): Command {
  return apiCommand('show', {
    summary: 'print a policy',
    description:
      'Prints the text of the policy that holds, or of a version. Of a workspace without one: the text that says ' +
      'what is built in.',
    examples: [['rookery policy show', 'what holds']],
  })
    .argument('[version]', VERSION)
    .action((version: string | undefined, _flags, command) =>
      inContext(command, io, async (context) => {
        const path =
          version === undefined
            ? `${await workspacePath(context)}/policy`
            : await policyPath(context, version);
        const policy = await context.client.get(path, PolicySchema);
        if (!context.isJson && policy.engine === 'opa') {
          await context.note(`OPA decides; this is the path of its document.`);
        }
        await context.answer(policy, () => plain(policy.text.trimEnd()));
      }),
    );
}

function historyCommand(io: CliIo): Command {
  return apiCommand('history', {
    summary: 'list versions',
    description: 'Lists the versions of the policy of a workspace, and says which one holds.',
    examples: [['rookery policy history', 'oldest first']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const path = `${await workspacePath(context)}/policies`;
      const items = await context.client.list({ path, item: PolicyVersionSchema });
      await context.answer({ items }, () =>
        items.length === 0
          ? 'No versions: the built-in policy holds.'
          : versionTable(context, items),
      );
    }),
  );
}

function diffCommand(io: CliIo): Command {
  return apiCommand('diff', {
    summary: 'compare versions',
    description: 'Prints what differs between a version and the one that holds, or another one.',
    examples: [
      ['rookery policy diff 3', 'with what holds'],
      ['rookery policy diff 3 --against 0', 'with the built-in policy'],
    ],
  })
    .argument('<version>', VERSION)
    .option('--against <number>', 'a version, or 0', wholeNumber(0, 1_000_000))
    .action((version: string, flags: { readonly against?: number }, command) =>
      inContext(command, io, async (context) => {
        const path = `${await policyPath(context, version)}/diff`;
        const found = await context.client.get(path, PolicyDiffSchema, {
          against: flags.against === undefined ? undefined : String(flags.against),
        });
        await context.answer(found, () =>
          found.diff === '' ? 'Nothing differs.' : plain(found.diff.trimEnd()),
        );
      }),
    );
}

function dryRunCommand(io: CliIo): Command {
  return adminCommand('dry-run', {
    summary: 'try a version on what was asked lately',
    description:
      'Says what of the latest requests would be answered otherwise, if a version took the place of the one that ' +
      'holds. Nothing changes.',
    examples: [['rookery policy dry-run 3 --last 200', 'before it is activated']],
  })
    .argument('<version>', VERSION)
    .option('--last <count>', 'how many of them (default: 500)', wholeNumber(1, DRY_RUN_MAX))
    .action((version: string, flags: { readonly last?: number }, command) =>
      inContext(command, io, async (context) => {
        const { body } = await context.admin().send({
          method: 'POST',
          path: `${await policyPath(context, version)}/dry-run`,
          body: flags.last === undefined ? {} : { last: flags.last },
          schema: PolicyDryRunSchema,
        });
        await context.answer(body, () => dryRunText(context, body));
      }),
    );
}

function activateCommand(io: CliIo): Command {
  return adminCommand('activate', {
    summary: 'make a version hold',
    description:
      'Makes a version hold, also an older one. Once this answers, every decision that begins is made by it.',
    examples: [['rookery policy activate 2', 'back to version 2']],
  })
    .argument('<version>', VERSION)
    .option('-y, --yes', 'do not ask')
    .action((version: string, flags: { readonly yes?: boolean }, command) =>
      inContext(command, io, (context) => activate(context, version, flags.yes === true)),
    );
}

async function activate(
  context: Context,
  version: string,
  isSure: boolean,
): Promise<ExitName | void> {
  const path = await policyPath(context, version);
  if (
    !isSure &&
    !(await confirm(context, `Let version ${plainLine(version)} decide from now on?`))
  ) {
    await context.note('Nothing was changed.');
    return 'failed';
  }
  const { body } = await context.admin().send({
    method: 'POST',
    path: `${path}/activate`,
    body: {},
    schema: PolicySchema,
  });
  await context.answer(body, () => `Version ${body.version} holds.`);
}
