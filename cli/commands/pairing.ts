import { Option, type Command } from 'commander';
import { isId } from '../../domain/id.ts';
import { ROLES } from '../../domain/principal.ts';
import { ApprovedPairingSchema, PairingSchema } from '../../domain/schema/pairing.ts';
import { WorkspaceSchema } from '../../domain/schema/workspace.ts';
import { confirm } from '../ask.ts';
import { adminCommand, described } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';

export function pairingCommand(io: CliIo): Command {
  return described('pairing', {
    summary: 'link accounts of chat networks to users',
    description:
      'Somebody writes "pair" to the bot in a direct chat and brings you the token. With it you see whose account ' +
      'it is; approved, the account speaks for the user that you name, at once. Needs the role admin everywhere, the ' +
      'scope pairings:write, and the admin listener.',
    examples: [['rookery pairing list', 'who waits']],
  })
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(approveCommand(io))
    .addCommand(refuseCommand(io));
}

function listCommand(io: CliIo): Command {
  return adminCommand('list', {
    summary: 'list accounts that wait',
    description: 'Lists the accounts that wait to be linked, oldest first, without their tokens.',
    examples: [['rookery pairing list', 'all of them']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const items = await context.admin().list({ path: '/v1/pairings', item: PairingSchema });
      await context.answer({ items }, () =>
        items.length === 0
          ? 'Nobody waits to be linked.'
          : table(
              [
                { title: 'NAME', value: ({ displayName }) => displayName, cut: true },
                { title: 'NUMBER', value: ({ subject }) => subject },
                { title: 'NETWORK', value: ({ network }) => network },
                {
                  title: 'TOKEN',
                  value: ({ state }) => (state === 'shown' ? 'entered' : 'not yet'),
                },
                { title: 'ENDS', value: ({ expiresAt }) => context.ago(expiresAt), drop: 1 },
                { title: 'CONNECTOR', value: ({ connectorName }) => connectorName, drop: 2 },
                { title: 'ID', value: ({ id }) => id, style: () => 'dim', drop: 0 },
              ],
              items,
              context,
            ),
      );
    }),
  );
}

type Pairing = ReturnType<typeof PairingSchema.parse>;

const TOKEN = 'as it was shown in the chat, such as ABCD-EFGH-JKMN';

function showCommand(io: CliIo): Command {
  return adminCommand('show', {
    summary: 'show whose token it is',
    description:
      'Shows the account behind a token: its connector, its number, and the name that it gives itself, which proves ' +
      'nothing. Too many wrong tokens lock you out for a quarter of an hour.',
    examples: [['rookery pairing show ABCD-EFGH-JKMN', 'before you approve it']],
  })
    .argument('<token>', TOKEN)
    .action((token: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const pairing = await lookUp(context, token);
        await context.answer(pairing, () => pairingFacts(pairing, context));
      }),
    );
}

async function lookUp(context: Context, token: string): Promise<Pairing> {
  const { body } = await context.admin().send({
    method: 'POST',
    path: '/v1/pairings/lookup',
    body: { token },
    schema: PairingSchema,
  });
  return body;
}

function pairingFacts(pairing: Pairing, { ago }: Context): string {
  return [
    `Number:     ${plainLine(pairing.subject)} on ${pairing.network}`,
    `Calls itself: ${plainLine(pairing.displayName)}`,
    `Connector:  ${plainLine(pairing.connectorName)}`,
    `State:      ${pairing.state}, ends ${ago(pairing.expiresAt)}`,
    `Id:         ${pairing.id}`,
  ].join('\n');
}

interface ApproveFlags {
  readonly user?: string;
  readonly newUser?: string;
  readonly role?: string;
  readonly workspace?: string;
  readonly yes?: boolean;
}

function approveCommand(io: CliIo): Command {
  return adminCommand('approve', {
    summary: 'link an account to a user',
    description:
      'Links the account to a user, there or new, and gives him a role with it where you say one: in the workspace of ' +
      '--workspace, else everywhere. Nobody links an account to somebody above himself.',
    examples: [
      [
        'rookery pairing approve ABCD-EFGH-JKMN --new-user "Ada" --role operator --workspace default',
        'a new colleague',
      ],
      [
        'rookery pairing approve ABCD-EFGH-JKMN --user usr_01kq3zd8c2f5tv7m9x4r6b0wne',
        'another account of one who is there',
      ],
    ],
  })
    .argument('<token>', `${TOKEN}, or the id of a pairing whose token you have shown`)
    .option('--user <user>', 'id of the user')
    .option('--new-user <name>', 'make a user of that name')
    .addOption(new Option('--role <role>', 'give him a role').choices(ROLES))
    .option('-y, --yes', 'do not ask')
    .action((token: string, _flags, command) =>
      inContext(command, io, (context) => approve(context, token, command.opts())),
    );
}

async function approve(
  context: Context,
  given: string,
  flags: ApproveFlags,
): Promise<ExitName | void> {
  const { user, newUser, role } = flags;
  if ((user === undefined) === (newUser === undefined)) {
    throw new CliError('usage', 'Say who it is: --user or --new-user, and not both.');
  }
  const workspace = context.flags.workspace;
  const id = await idOf(context, given, flags.yes === true);
  if (id === null) return 'failed';
  const workspaceId =
    role === undefined || workspace === undefined
      ? undefined
      : await workspaceIdOf(context, workspace);
  const { body } = await context.admin().send({
    method: 'POST',
    path: `/v1/pairings/${id}/approve`,
    body: {
      ...(user === undefined ? {} : { userId: user }),
      ...(newUser === undefined ? {} : { newUser: { name: newUser } }),
      ...(role === undefined ? {} : { role }),
      ...(workspaceId === undefined ? {} : { workspaceId }),
    },
    schema: ApprovedPairingSchema,
  });
  await context.answer(body, () => {
    const roleWords = body.role === null ? '' : `, with the role ${body.role.role}`;
    return `Linked: ${plainLine(body.pairing.subject)} on ${body.pairing.network} is ${plainLine(body.user.name)} (${body.user.id})${roleWords}.`;
  });
}

/** By its token an account is shown first; null where that was not who was meant. */
async function idOf(context: Context, given: string, isSure: boolean): Promise<string | null> {
  if (isId('pairing', given)) return given;
  const pairing = await lookUp(context, given);
  if (isSure) return pairing.id;
  await context.note(pairingFacts(pairing, context));
  if (await confirm(context, 'Link this account?')) return pairing.id;
  await context.note('Nobody was linked.');
  return null;
}

/** The body names a workspace by id only. */
async function workspaceIdOf({ client }: Context, given: string): Promise<string> {
  if (isId('workspace', given)) return given;
  return (await client.get(`/v1/workspaces/${encodeURIComponent(given)}`, WorkspaceSchema)).id;
}

function refuseCommand(io: CliIo): Command {
  return adminCommand('refuse', {
    summary: 'refuse to link an account',
    description: 'Ends a pairing, and tells whoever asked. Refusing again is fine.',
    examples: [
      ['rookery pairing refuse pai_01kq3zd8c2f5tv7m9x4r6b0wne', 'by its id, from the list'],
    ],
  })
    .argument('<pairing>', 'id of the pairing')
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context) => {
        if (!isId('pairing', id)) {
          throw new CliError(
            'usage',
            'Not the id of a pairing: it looks like pai_ and 26 characters.',
            {
              hint: 'See `rookery pairing list`.',
            },
          );
        }
        const { body } = await context.admin().send({
          method: 'POST',
          path: `/v1/pairings/${id}/refuse`,
          schema: PairingSchema,
        });
        await context.answer(body, () => `Refused: ${plainLine(body.subject)} on ${body.network}.`);
      }),
    );
}
