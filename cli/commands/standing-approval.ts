import type { Command } from 'commander';
import { isId } from '../../domain/id.ts';
import { StandingApprovalSchema } from '../../domain/schema/standing-approval.ts';
import { confirm } from '../ask.ts';
import { apiCommand, described } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { workspacePath } from '../resolve.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';

export function standingApprovalCommand(io: CliIo): Command {
  return described('standing-approval', {
    summary: 'what was approved for ever: list it, revoke it',
    description:
      'What an admin approved for ever is granted without asking anybody, as long as it is exactly the same: the same ' +
      'template in the same workspace, for the same recipients. Made with `rookery approve --forever`.',
    examples: [['rookery standing-approval list', 'what holds now']],
  })
    .addCommand(listCommand(io))
    .addCommand(revokeCommand(io));
}

interface ListFlags {
  readonly all?: boolean;
}

function listCommand(io: CliIo): Command {
  return apiCommand('list', {
    summary: 'list what was approved for ever',
    description:
      'Lists what is granted without asking, oldest first, with how often it was used. --json has each template whole.',
    examples: [
      ['rookery standing-approval list', 'what holds now'],
      [
        'rookery standing-approval list --all --json',
        'also what was revoked or has expired, whole',
      ],
    ],
  })
    .option('--all', 'also what holds no more')
    .action((flags: ListFlags, command) =>
      inContext(command, io, async (context) => {
        const path = `${await workspacePath(context)}/standing-approvals`;
        const query = { live: flags.all === true ? undefined : 'true' };
        const items = await context.client.list({ path, query, item: StandingApprovalSchema });
        await context.answer({ items }, () =>
          items.length === 0
            ? 'Nothing is approved for ever.'
            : table(
                [
                  { title: 'STATE', value: ({ state }) => state },
                  { title: 'USES', value: ({ uses }) => String(uses), drop: 2 },
                  { title: 'EXPIRES', value: ({ expiresAt }) => context.ago(expiresAt), drop: 1 },
                  { title: 'WHAT', value: ({ title }) => plainLine(title), cut: true },
                  { title: 'BY', value: ({ createdBy }) => createdBy, drop: 0 },
                  { title: 'ID', value: ({ id }) => id },
                ],
                items,
                context,
              ),
        );
      }),
    );
}

interface RevokeFlags {
  readonly yes?: boolean;
}

function revokeCommand(io: CliIo): Command {
  return apiCommand('revoke', {
    summary: 'ask people again from now on',
    description:
      'Revokes what was approved for ever, at once: whatever is not decided yet is asked of people. Needs the role admin.',
    examples: [
      ['rookery standing-approval revoke sta_01kq3zd8c2f5tv7m9x4r6b0wne --yes', 'without asking'],
    ],
  })
    .argument('<standing-approval>', 'its id')
    .option('-y, --yes', 'do not ask')
    .action((id: string, flags: RevokeFlags, command) =>
      inContext(command, io, (context) => revoke(context, id, flags)),
    );
}

async function revoke(context: Context, id: string, { yes }: RevokeFlags): Promise<ExitName> {
  if (!isId('standingApproval', id)) {
    throw new CliError('usage', 'Not an id of a standing approval: it looks like sta_….', {
      hint: 'See them: rookery standing-approval list',
    });
  }
  if (yes !== true && !(await confirm(context, `Revoke ${id}?`))) {
    await context.note('Nothing was revoked.');
    return 'failed';
  }
  const { body } = await context.client.send({
    method: 'DELETE',
    path: `/v1/standing-approvals/${id}`,
    schema: StandingApprovalSchema,
  });
  await context.answer(body, () => `Revoked: ${plainLine(body.title)} (${body.id}).`);
  return 'ok';
}
