import type { Command } from 'commander';
import { WorkspaceSchema } from '../../domain/schema/workspace.ts';
import { apiCommand, described } from '../command.ts';
import { inContext } from '../context.ts';
import type { CliIo } from '../io.ts';
import { workspacePath } from '../resolve.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';
import { userId } from './role.ts';
import { settingsCommand } from './setting.ts';

export function workspaceCommand(io: CliIo): Command {
  return described('workspace', {
    summary: 'make and list workspaces',
    description: 'A workspace holds agents, approvals, events and an audit of its own.',
    examples: [['rookery workspace list', 'those your key is good in']],
  })
    .addCommand(createCommand(io))
    .addCommand(listCommand(io))
    .addCommand(
      settingsCommand(io, {
        what: 'workspace',
        example: '',
        argument: null,
        pathOf: (context) => workspacePath(context),
      }),
    );
}

function createCommand(io: CliIo): Command {
  return apiCommand('create', {
    summary: 'make a workspace',
    description:
      'Makes a workspace. Needs the role admin and a key that is good in every one. With --owner it is private: ' +
      'that user is its admin, and nobody else sees it but overlords. It stays so.',
    examples: [
      ['rookery workspace create shop --name "The web shop"', 'with a name for people'],
      ['rookery workspace create anna --owner usr_01kq3zd8c2f5tv7m9x4r6b0wne', 'one person’s own'],
    ],
  })
    .argument('<slug>', '1 to 40 of a-z, 0-9 and -')
    .option('--name <name>', 'for people (default: the slug)')
    .option('--owner <user>', 'id of the user whose own it is', userId)
    .action((slug: string, flags: { readonly name?: string; readonly owner?: string }, command) =>
      inContext(command, io, async (context) => {
        const { body } = await context.client.send({
          method: 'POST',
          path: '/v1/workspaces',
          body: {
            slug,
            name: flags.name ?? slug,
            ...(flags.owner === undefined ? {} : { ownerUserId: flags.owner }),
          },
          schema: WorkspaceSchema,
        });
        await context.answer(body, () => `Workspace ${body.slug} (${body.id}).`);
      }),
    );
}

function listCommand(io: CliIo): Command {
  return apiCommand('list', {
    summary: 'list workspaces',
    description: 'Lists the workspaces this key is good in.',
    examples: [['rookery workspace list --json', 'for a program']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const items = await context.client.list({ path: '/v1/workspaces', item: WorkspaceSchema });
      await context.answer({ items }, () =>
        items.length === 0
          ? 'No workspaces.'
          : table(
              [
                { title: 'SLUG', value: ({ slug }) => slug },
                { title: 'NAME', value: ({ name }) => plainLine(name), cut: true },
                {
                  title: 'AGE',
                  value: ({ createdAt }) => context.ago(createdAt).replace(' ago', ''),
                  drop: 1,
                },
                { title: 'ID', value: ({ id }) => id, style: () => 'dim', drop: 2 },
              ],
              items,
              context,
            ),
      );
    }),
  );
}
