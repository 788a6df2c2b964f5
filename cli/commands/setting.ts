import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { z } from 'zod';
import { APPROVAL_ROUTES } from '../../domain/setting.ts';
import { SettingsViewSchema } from '../../domain/schema/setting.ts';
import { apiCommand, described } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';

export interface SettingsOf {
  /** `workspace` or `context`, and what is said of them. */
  readonly what: 'workspace' | 'context';
  readonly example: string;
  /** What the command takes to say which one. */
  readonly argument: readonly [name: string, description: string] | null;
  readonly pathOf: (context: Context, given: string | undefined) => Promise<string>;
}

/** `… settings show` and `… settings set`, for workspaces and contexts alike. */
export function settingsCommand(io: CliIo, of: SettingsOf): Command {
  return described('settings', {
    summary: `what a ${of.what} says to its agents`,
    description:
      'Instructions before every task, the tools and models that agents may have, whether they keep notes, and where ' +
      'approvals are shown. A context inherits what it does not say, and never allows more than its workspace. Agents ' +
      'that run keep what they were born with.',
    examples: [[`rookery ${of.what} settings show${of.example}`, 'with the origin of each']],
  })
    .addCommand(showCommand(io, of))
    .addCommand(setCommand(io, of));
}

const withArgument = (command: Command, { argument }: SettingsOf): Command =>
  argument === null ? command : command.argument(`<${argument[0]}>`, argument[1]);

/** Commander gives the flags and the command after the arguments, of which there may be none. */
const givenTo = (command: Command): string | undefined => command.args[0];

function showCommand(io: CliIo, of: SettingsOf): Command {
  const command = apiCommand('show', {
    summary: 'what holds, and who said it',
    description: 'Shows each setting as it holds, and where it is from.',
    examples: [[`rookery ${of.what} settings show${of.example}`, 'with the origin of each']],
  });
  return withArgument(command, of).action((...given: readonly unknown[]) => {
    void given;
    return inContext(command, io, async (context) => {
      const path = await of.pathOf(context, givenTo(command));
      await answer(context, await context.client.get(`${path}/settings`, SettingsViewSchema));
    });
  });
}

interface SetFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly tools?: readonly string[];
  readonly models?: readonly string[];
  readonly model?: string;
  readonly memory?: boolean;
  readonly approvals?: string;
  readonly inherit?: readonly Name[];
}

const NAMES = ['systemPrompt', 'tools', 'models', 'model', 'memory', 'approvals'] as const;
type Name = (typeof NAMES)[number];

function setCommand(io: CliIo, of: SettingsOf): Command {
  const command = apiCommand('set', {
    summary: 'say some of it',
    description:
      'Changes the named settings and leaves the others. --inherit takes back what was said. Needs the role admin and ' +
      'the scope contexts:write.',
    examples: [
      [
        `rookery ${of.what} settings set${of.example} --models 'claude-*' --memory off`,
        'two of them',
      ],
      [`rookery ${of.what} settings set${of.example} --prompt-file rules.md`, 'from a file'],
      [`rookery ${of.what} settings set${of.example} --inherit models`, 'take it back'],
    ],
  })
    .option('--prompt <text>', 'put before the task of every agent')
    .option('--prompt-file <file>', 'the same, from a file')
    .option('--tools <names>', 'MCP tools, with commas; * at the end; "" for none', names)
    .option('--models <names>', 'models, in the same way', names)
    .option('--model <name>', 'for agents that name none')
    .option('--memory <on|off>', 'whether agents keep notes', onOff)
    .addOption(new Option('--approvals <where>', 'where they are shown').choices(APPROVAL_ROUTES))
    .option('--inherit <settings>', `take back: ${NAMES.join(', ')}`, inherited);
  return withArgument(command, of).action((...given: readonly unknown[]) => {
    void given;
    return inContext(command, io, (context) => set(context, { of, command }));
  });
}

function names(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function onOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError('It must be on or off.');
}

function inherited(text: string): readonly Name[] {
  return names(text).map((given) => {
    const name = NAMES.find((known) => known === given);
    if (name === undefined) {
      throw new InvalidArgumentError(`It must be of ${NAMES.join(', ')}.`);
    }
    return name;
  });
}

async function set(
  context: Context,
  { of, command }: { readonly of: SettingsOf; readonly command: Command },
): Promise<void> {
  const flags: SetFlags = command.opts();
  const path = `${await of.pathOf(context, givenTo(command))}/settings`;
  const { own } = await context.client.get(path, SettingsViewSchema);
  const { prompt, promptFile, inherit = [], ...rest } = flags;
  const systemPrompt = promptFile === undefined ? prompt : await textOf(promptFile);
  const said = { systemPrompt, ...rest };
  const given = NAMES.flatMap((name) => (said[name] === undefined ? [] : [[name, said[name]]]));
  const body: Record<string, unknown> = { ...own, ...Object.fromEntries(given) };
  for (const name of inherit) delete body[name];
  const answered = await context.client.send({
    method: 'PUT',
    path,
    body,
    schema: SettingsViewSchema,
  });
  await answer(context, answered.body);
}

async function textOf(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new CliError('usage', `${file} cannot be read.`, { cause });
  }
}

async function answer(context: Context, view: z.output<typeof SettingsViewSchema>): Promise<void> {
  await context.answer(view, () =>
    table(
      [
        { title: 'SETTING', value: ({ name }) => name },
        { title: 'FROM', value: ({ origin }) => origin },
        { title: 'VALUE', value: ({ value }) => plainLine(value), cut: true },
      ],
      NAMES.map((name) => {
        const { value, origin } = view.effective[name];
        return { name, origin, value: wordsOf(value) };
      }),
      context,
    ),
  );
}

function wordsOf(value: string | boolean | readonly string[] | null): string {
  if (value === null) return 'nothing said';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value;
  return value.length === 0 ? 'none' : value.join(', ');
}
