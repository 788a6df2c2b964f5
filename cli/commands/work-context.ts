import { Option, type Command } from 'commander';
import { CONTEXT_KINDS } from '../../domain/context.ts';
import { ContextSchema } from '../../domain/schema/context.ts';
import { apiCommand, described } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { workspacePath } from '../resolve.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';
import { settingsCommand } from './setting.ts';

export function contextCommand(io: CliIo): Command {
  return described('context', {
    summary: 'the rooms of a workspace',
    description:
      'A context is where work happens inside a workspace: a channel, thread, group or direct chat of a network, or ' +
      'plain, bound to none. It has settings of its own, and people can have roles in it alone.',
    examples: [
      ['rookery context create support', 'a plain one'],
      ['rookery context list', 'of the only workspace'],
    ],
  })
    .addCommand(createCommand(io))
    .addCommand(listCommand(io))
    .addCommand(byIdCommand(io, 'hub'))
    .addCommand(byIdCommand(io, 'archive'))
    .addCommand(
      settingsCommand(io, {
        what: 'context',
        example: ' ctx_01kq3zd8c2f5tv7m9x4r6b0wne',
        argument: ['context', 'id of the context'],
        pathOf: async (_context, given = '') => pathOf(given),
      }),
    );
}

const pathOf = (id: string): string => `/v1/contexts/${encodeURIComponent(id)}`;

interface CreateFlags {
  readonly name?: string;
  readonly kind?: string;
  readonly connector?: string;
  readonly chat?: string;
  readonly thread?: string;
}

function createCommand(io: CliIo): Command {
  const kinds = CONTEXT_KINDS.filter((kind) => kind !== 'admin_hub' && kind !== 'plain');
  return apiCommand('create', {
    summary: 'make a context',
    description:
      'Makes a context, plain or bound to a chat by the numbers that the network gives it. A chat is bound to one ' +
      'context at most. Needs the role admin.',
    examples: [
      ['rookery context create support --name "Support"', 'a plain one'],
      [
        'rookery context create shop --kind group --connector "$BOT" --chat -1001234',
        'bound to a group',
      ],
    ],
  })
    .argument('<slug>', '1 to 40 of a-z, 0-9 and -')
    .option('--name <name>', 'for people (default: the slug)')
    .addOption(new Option('--kind <kind>', 'of the chat').choices(kinds))
    .option('--connector <connector>', 'id of the connector that the chat is on')
    .option('--chat <number>', 'of the chat')
    .option('--thread <number>', 'of the thread, or topic')
    .action((slug: string, flags: CreateFlags, command) =>
      inContext(command, io, async (context) => {
        const { body } = await context.client.send({
          method: 'POST',
          path: `${await workspacePath(context)}/contexts`,
          body: { slug, name: flags.name ?? slug, ...chatOf(flags) },
          schema: ContextSchema,
        });
        await context.answer(body, () => `Context ${body.slug} (${body.id}).`);
      }),
    );
}

function chatOf({ kind, connector, chat, thread }: CreateFlags) {
  if (connector === undefined && chat === undefined && kind === undefined) return {};
  if (connector === undefined || chat === undefined || kind === undefined) {
    throw new CliError('usage', 'A chat is named by --kind, --connector and --chat together.');
  }
  return { kind, chat: { connectorId: connector, chatId: chat, threadId: thread ?? null } };
}

function listCommand(io: CliIo): Command {
  return apiCommand('list', {
    summary: 'list contexts',
    description: 'Lists the contexts of a workspace, oldest first, without archived ones.',
    examples: [['rookery context list -w shop', 'of one workspace']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const path = `${await workspacePath(context)}/contexts`;
      const items = await context.client.list({ path, item: ContextSchema });
      await context.answer({ items }, () =>
        items.length === 0
          ? 'No contexts.'
          : table(
              [
                { title: 'SLUG', value: ({ slug }) => slug },
                { title: 'KIND', value: ({ kind }) => kind },
                { title: 'NAME', value: ({ name }) => plainLine(name), cut: true },
                { title: 'CHAT', value: ({ chat }) => chat?.chatId ?? '', drop: 1 },
                { title: 'ID', value: ({ id }) => id },
              ],
              items,
              context,
            ),
      );
    }),
  );
}

const ACTIONS = {
  hub: {
    summary: 'make a chat the admin hub',
    description:
      'Makes a chat the place where approvals of the workspace are shown and taken; the one before on the same ' +
      'connector is it no longer. Needs the role admin in the whole workspace.',
    run: (context: Context, id: string) =>
      context.client.send({
        method: 'POST',
        path: `${pathOf(id)}/hub`,
        body: {},
        schema: ContextSchema,
      }),
    done: 'is the admin hub',
  },
  archive: {
    summary: 'archive a context',
    description:
      'Archives a context: its chat and slug are free again. Archiving it again is fine.',
    run: (context: Context, id: string) =>
      context.client.send({ method: 'DELETE', path: pathOf(id), schema: ContextSchema }),
    done: 'is archived',
  },
} as const;

function byIdCommand(io: CliIo, name: keyof typeof ACTIONS): Command {
  const { summary, description, run, done } = ACTIONS[name];
  return apiCommand(name, {
    summary,
    description,
    examples: [[`rookery context ${name} ctx_01kq3zd8c2f5tv7m9x4r6b0wne`, 'by its id']],
  })
    .argument('<context>', 'id of the context')
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const { body } = await run(context, id);
        await context.answer(body, () => `${body.slug} (${body.id}) ${done}.`);
      }),
    );
}
