import { Argument, InvalidArgumentError, type Command } from 'commander';
import { z } from 'zod';
import { isId } from '../../domain/id.ts';
import { ROLES, THING_KINDS, type RolePlace } from '../../domain/principal.ts';
import { RoleBindingSchema } from '../../domain/schema/role-binding.ts';
import { confirm } from '../ask.ts';
import { adminCommand, described } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { workspaceIdOf } from '../resolve.ts';
import { table } from '../table.ts';

export function roleCommand(io: CliIo): Command {
  return described('role', {
    summary: 'give users roles, and take them back',
    description:
      `Roles, from most to least: ${ROLES.join(', ')}. Each is given at a place: everywhere, in a workspace, in one of ` +
      'its contexts, or for one thing in it. Nobody gives more than he has there himself. Needs the role admin, ' +
      'the scope users:write, and the admin listener.',
    examples: [
      ['rookery role grant usr_01kq3zd8c2f5tv7m9x4r6b0wne operator -w shop', 'in one workspace'],
      ['rookery role list usr_01kq3zd8c2f5tv7m9x4r6b0wne', 'what he has'],
    ],
  })
    .addCommand(grantCommand(io))
    .addCommand(listCommand(io))
    .addCommand(revokeCommand(io));
}

/** The id of a user, told apart from a name, which recognises nobody. */
export function userId(text: string): string {
  if (isId('user', text)) return text;
  throw new InvalidArgumentError('It must be the id of a user (usr_…): see `rookery user list`.');
}

export function placeWords(place: RolePlace): string {
  if (place.kind === 'installation') return 'everywhere';
  if (place.kind === 'workspace') return `in ${place.workspaceId}`;
  if (place.kind === 'context') return `in ${place.contextId} of ${place.workspaceId}`;
  return `for the ${place.kind} ${place.name} in ${place.workspaceId}`;
}

interface PlaceFlags {
  readonly everywhere?: boolean;
  readonly context?: string;
  readonly thing?: { readonly kind: string; readonly name: string };
}

function thing(text: string): { readonly kind: string; readonly name: string } {
  const [, kind = '', name = ''] = /^([a-z]+):(.{1,200})$/.exec(text) ?? [];
  if (THING_KINDS.some((known) => known === kind)) return { kind, name };
  throw new InvalidArgumentError(
    `It must be kind:name, and the kind one of ${THING_KINDS.join(', ')}.`,
  );
}

function grantCommand(io: CliIo): Command {
  const command = adminCommand('grant', {
    summary: 'give a user a role',
    description:
      'Gives a user a role in a workspace, or with --context in one context of it, with --thing for one thing in it, ' +
      'with --everywhere in the whole installation. What he has already is left as it is.',
    examples: [
      ['rookery role grant usr_01kq3zd8c2f5tv7m9x4r6b0wne operator -w shop', 'in one workspace'],
      ['rookery role grant usr_01kq3zd8c2f5tv7m9x4r6b0wne admin --everywhere', 'in all of them'],
      ['rookery role grant usr_01kq3zd8c2f5tv7m9x4r6b0wne member --context "$ROOM"', 'in one room'],
    ],
  })
    .argument('<user>', 'id of the user', userId)
    .addArgument(new Argument('<role>', 'what he may do').choices(ROLES))
    .option('--everywhere', 'in the whole installation, but for private workspaces')
    .option('--context <context>', 'id of a context of the workspace')
    .option('--thing <kind:name>', `one thing: ${THING_KINDS.join(', ')}`, thing)
    .action((user: string, role: string) =>
      inContext(command, io, async (context) => {
        const flags: PlaceFlags = command.opts();
        const path = `/v1/users/${user}/role-bindings`;
        const body = { role, place: await placeOf(context, flags) };
        const { body: given } = await context
          .admin()
          .send({ method: 'POST', path, body, schema: RoleBindingSchema });
        await context.answer(
          given,
          () => `${given.userId} is ${given.role} ${placeWords(given.place)} (${given.id}).`,
        );
      }),
    );
  return command;
}

async function placeOf(context: Context, flags: PlaceFlags): Promise<unknown> {
  const { everywhere = false, context: contextId, thing: one } = flags;
  const named = [everywhere, contextId !== undefined, one !== undefined].filter(Boolean);
  if (named.length > 1) {
    throw new CliError('usage', 'Say one place: --everywhere, --context or --thing.');
  }
  if (everywhere) return { kind: 'installation' };
  const workspaceId = await workspaceIdOf(context);
  if (contextId !== undefined) return { kind: 'context', workspaceId, contextId };
  return one === undefined ? { kind: 'workspace', workspaceId } : { ...one, workspaceId };
}

const Roles = z.object({ items: z.array(RoleBindingSchema) });

function listCommand(io: CliIo): Command {
  return adminCommand('list', {
    summary: 'list the roles of a user',
    description: 'Lists the roles that a user has now, where you are an admin yourself.',
    examples: [['rookery role list usr_01kq3zd8c2f5tv7m9x4r6b0wne', 'what he has']],
  })
    .argument('<user>', 'id of the user', userId)
    .action((user: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const { items } = await context.admin().get(`/v1/users/${user}/role-bindings`, Roles);
        await context.answer({ items }, () =>
          items.length === 0
            ? 'No roles.'
            : table(
                [
                  { title: 'ROLE', value: ({ role }) => role },
                  { title: 'PLACE', value: ({ place }) => placeWords(place), cut: true },
                  { title: 'GIVEN', value: ({ createdAt }) => context.ago(createdAt), drop: 1 },
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

function revokeCommand(io: CliIo): Command {
  return adminCommand('revoke', {
    summary: 'take a role back',
    description: 'Takes a role back, at once. The last overlord keeps his.',
    examples: [['rookery role revoke rbn_01kq3zd8c2f5tv7m9x4r6b0wne', 'see `rookery role list`']],
  })
    .argument('<role>', 'id of the given role')
    .option('-y, --yes', 'do not ask')
    .action((id: string, flags: { readonly yes?: boolean }, command) =>
      inContext(command, io, (context) => revoke(context, id, flags.yes === true)),
    );
}

async function revoke(context: Context, id: string, isSure: boolean): Promise<ExitName | void> {
  if (!isSure && !(await confirm(context, `Take back ${id}?`))) {
    await context.note('Nothing was taken back.');
    return 'failed';
  }
  const path = `/v1/role-bindings/${encodeURIComponent(id)}`;
  const { body } = await context
    .admin()
    .send({ method: 'DELETE', path, schema: RoleBindingSchema });
  await context.answer(
    body,
    () => `${body.userId} is no longer ${body.role} ${placeWords(body.place)}.`,
  );
}
