import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { Option, type Command } from 'commander';
import { POLICY_ENGINES } from '../../domain/policy.ts';
import { CheckedPolicySchema, ProposedPolicySchema } from '../../domain/schema/policy.ts';
import { adminCommand } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { problemLines } from '../policy-view.ts';
import { workspacePath } from '../resolve.ts';
import { plainLine } from '../text.ts';

async function readPolicy({ io }: Context, file: string): Promise<string> {
  if (file === '-') return readAll(io.stdin);
  try {
    return await readFile(resolve(io.cwd, file), 'utf8');
  } catch (error) {
    throw new CliError('usage', `${plainLine(file)} cannot be read.`, { cause: error });
  }
}

export function checkCommand(io: CliIo): Command {
  return adminCommand('check', {
    summary: 'look for mistakes in a policy',
    description:
      'Checks a text in Cedar: its syntax, its annotations, and whether what it speaks about is there. Nothing is kept.',
    examples: [['rookery policy check policy.cedar', 'with line and column']],
  })
    .argument('<file>', 'text in Cedar; - for standard input')
    .action((file: string, _flags, command) =>
      inContext(command, io, (context) => check(context, file)),
    );
}

async function check(context: Context, file: string): Promise<ExitName> {
  const { body } = await context.admin().send({
    method: 'POST',
    path: `${await workspacePath(context)}/policies/check`,
    body: { text: await readPolicy(context, file) },
    schema: CheckedPolicySchema,
  });
  const { valid, problems, rules } = body;
  await context.answer(body, () =>
    [
      ...(problems.length === 0 ? [] : [problemLines(context, file, problems)]),
      ...(valid ? [`Good: ${rules.length} ${rules.length === 1 ? 'policy' : 'policies'}.`] : []),
    ].join('\n'),
  );
  return valid ? 'ok' : 'usage';
}

interface ProposeFlags {
  readonly note?: string;
  readonly engine?: string;
}

export function proposeCommand(io: CliIo): Command {
  return adminCommand('propose', {
    summary: 'keep a policy as a version',
    description:
      'Keeps a text as a new version, once it was found good. It decides nothing until it is activated. With ' +
      '--engine opa an OPA server decides, and the text is the path of its document; with --engine built-in there is none.',
    examples: [
      ['rookery policy propose policy.cedar --note "no rm"', 'a text in Cedar'],
      ['rookery policy propose --engine built-in', 'to go back to what is built in'],
    ],
  })
    .argument('[file]', 'the text; - for standard input')
    .option('--note <text>', 'what it is for')
    .addOption(
      new Option('--engine <engine>', 'what reads it (default: cedar)').choices(POLICY_ENGINES),
    )
    .action((file: string | undefined, flags: ProposeFlags, command) =>
      inContext(command, io, (context) => propose(context, file, flags)),
    );
}

async function propose(
  context: Context,
  file: string | undefined,
  { note, engine = 'cedar' }: ProposeFlags,
): Promise<void> {
  if (file === undefined && engine === 'cedar') {
    throw new CliError('usage', 'Give the file, or - for standard input.');
  }
  const text = file === undefined ? '' : await readPolicy(context, file);
  const { body } = await context.admin().send({
    method: 'POST',
    path: `${await workspacePath(context)}/policies`,
    body: {
      engine,
      text: engine === 'opa' ? text.trim() : text,
      ...(note === undefined ? {} : { note }),
    },
    schema: ProposedPolicySchema,
  });
  const { version } = body.policy;
  if (!context.isJson && body.warnings.length > 0) {
    await context.note(problemLines(context, file ?? '-', body.warnings));
  }
  await context.answer(
    body,
    () =>
      `This is version ${version}. Try it with \`rookery policy dry-run ${version}\`, then activate it.`,
  );
}
