import type { Command } from 'commander';
import { z } from 'zod';
import { RoleBindingSchema } from '../../domain/schema/role-binding.ts';
import { IdentitySchema, UserSchema } from '../../domain/schema/user.ts';
import { confirm } from '../ask.ts';
import { adminCommand, described } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import type { ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';
import { placeWords, userId } from './role.ts';

export function userCommand(io: CliIo): Command {
  return described('user', {
    summary: 'people: who there is, and how they are recognised',
    description:
      'A user is a person. He may do what his roles say (`rookery role`), by whatever he is recognised: an API key ' +
      'of his, a client certificate, a token of your sign-in, or an account of a chat network. Needs the role ' +
      'admin, the scope users:write, and the admin listener.',
    examples: [
      ['rookery user create "Anna Example"', 'a person, who may do nothing yet'],
      ['rookery user list', 'who there is'],
    ],
  })
    .addCommand(createCommand(io))
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(switchCommand(io, 'disable'))
    .addCommand(switchCommand(io, 'enable'))
    .addCommand(linkCommand(io))
    .addCommand(unlinkCommand(io));
}

function createCommand(io: CliIo): Command {
  return adminCommand('create', {
    summary: 'make a user',
    description: 'Makes a user, who may do nothing until he is given a role.',
    examples: [['rookery user create "Anna Example"', 'then: rookery role grant usr_… operator']],
  })
    .argument('<name>', 'for lists and the audit')
    .action((name: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const { body } = await context
          .admin()
          .send({ method: 'POST', path: '/v1/users', body: { name }, schema: UserSchema });
        await context.answer(body, () => `User ${plainLine(body.name)} (${body.id}).`);
      }),
    );
}

function listCommand(io: CliIo): Command {
  return adminCommand('list', {
    summary: 'list users',
    description: 'Lists the users, oldest first: all, or those of the workspaces you manage.',
    examples: [['rookery user list', 'who there is']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const items = await context.admin().list({ path: '/v1/users', item: UserSchema });
      await context.answer({ items }, () =>
        items.length === 0
          ? 'No users.'
          : table(
              [
                { title: 'NAME', value: ({ name }) => plainLine(name), cut: true },
                { title: 'STATE', value: stateOf },
                { title: 'MADE', value: ({ createdAt }) => context.ago(createdAt), drop: 1 },
                { title: 'ID', value: ({ id }) => id },
              ],
              items,
              context,
            ),
      );
    }),
  );
}

function stateOf({ disabledAt }: z.output<typeof UserSchema>): string {
  return disabledAt === null ? 'good' : 'disabled';
}

const Roles = z.object({ items: z.array(RoleBindingSchema) });
const Identities = z.object({ items: z.array(IdentitySchema) });

function showCommand(io: CliIo): Command {
  return adminCommand('show', {
    summary: 'one user with his roles and identities',
    description: 'Shows a user, the roles that he has now, and by what he is recognised.',
    examples: [['rookery user show usr_01kq3zd8c2f5tv7m9x4r6b0wne', 'one person']],
  })
    .argument('<user>', 'id of the user', userId)
    .action((id: string, _flags, command) =>
      inContext(command, io, (context) => show(context, id)),
    );
}

async function show(context: Context, id: string): Promise<void> {
  const admin = context.admin();
  const [user, roles, identities] = await Promise.all([
    admin.get(`/v1/users/${id}`, UserSchema),
    admin.get(`/v1/users/${id}/role-bindings`, Roles),
    admin.get(`/v1/users/${id}/identities`, Identities),
  ]);
  const known = identities.items.filter(({ unlinkedAt }) => unlinkedAt === null);
  const document = { user, roles: roles.items, identities: identities.items };
  await context.answer(document, () =>
    [
      `${plainLine(user.name)} (${user.id}), ${stateOf(user)}`,
      ...(roles.items.length === 0 ? ['No roles.'] : ['Roles:']),
      ...roles.items.map(
        ({ role, place, id: given }) => `  ${role} ${placeWords(place)}  ${given}`,
      ),
      ...(known.length === 0 ? ['Recognised by nothing but keys.'] : ['Recognised by:']),
      ...known.map(
        ({ kind, issuer, subject, displayName, id: identity }) =>
          `  ${[kind, issuer, subject, displayName]
            .filter((word) => word !== '')
            .map(plainLine)
            .join(' ')}  ${identity}`,
      ),
    ].join('\n'),
  );
}

function switchCommand(io: CliIo, verb: 'disable' | 'enable'): Command {
  const isEnd = verb === 'disable';
  return adminCommand(verb, {
    summary: isEnd ? 'refuse a user from now on' : 'let a disabled user in again',
    description: isEnd
      ? 'Ends everything of a user at once: keys, sessions, certificates and chats are refused, open streams close ' +
        'within seconds. The last overlord cannot be disabled.'
      : 'Lets a disabled user in again, with the roles that he has.',
    examples: [[`rookery user ${verb} usr_01kq3zd8c2f5tv7m9x4r6b0wne`, 'by his id']],
  })
    .argument('<user>', 'id of the user', userId)
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const path = `/v1/users/${id}/${verb}`;
        const { body } = await context
          .admin()
          .send({ method: 'POST', path, body: {}, schema: UserSchema });
        await context.answer(body, () => `${plainLine(body.name)} (${body.id}): ${stateOf(body)}.`);
      }),
    );
}

interface LinkFlags {
  readonly telegram?: string;
  readonly discord?: string;
  readonly issuer?: string;
  readonly subject?: string;
}

function linkCommand(io: CliIo): Command {
  return adminCommand('link', {
    summary: 'recognise a user by an account',
    description:
      'Links an account of a chat network by its number, or one of your sign-in by issuer and subject. Names are not ' +
      'taken: anybody can choose one. People link their chats themselves with `pair`; see docs/chat.md.',
    examples: [
      ['rookery user link usr_01kq3zd8c2f5tv7m9x4r6b0wne --telegram 123456789', 'by a number'],
      [
        'rookery user link usr_01kq3zd8c2f5tv7m9x4r6b0wne --issuer https://login.example --subject 00u1',
        'by a sign-in',
      ],
    ],
  })
    .argument('<user>', 'id of the user', userId)
    .option('--telegram <number>', 'number of his account')
    .option('--discord <number>', 'number of his account')
    .option('--issuer <url>', 'of the tokens of your sign-in')
    .option('--subject <text>', 'his `sub` there')
    .action((id: string, flags: LinkFlags, command) =>
      inContext(command, io, async (context) => {
        const path = `/v1/users/${id}/identities`;
        const { body } = await context
          .admin()
          .send({ method: 'POST', path, body: linkOf(flags), schema: IdentitySchema });
        await context.answer(
          body,
          () => `Linked: ${body.kind} ${plainLine(body.subject)} (${body.id}).`,
        );
      }),
    );
}

function linkOf({ telegram, discord, issuer, subject }: LinkFlags) {
  if (telegram !== undefined) return { kind: 'telegram', subject: telegram };
  if (discord !== undefined) return { kind: 'discord', subject: discord };
  return { kind: 'oidc', issuer, subject };
}

function unlinkCommand(io: CliIo): Command {
  return adminCommand('unlink', {
    summary: 'recognise nobody by an account any more',
    description: 'Takes a link back, at once. It can be made again, also to another user.',
    examples: [['rookery user unlink idn_01kq3zd8c2f5tv7m9x4r6b0wne', 'see `rookery user show`']],
  })
    .argument('<identity>', 'id of the identity')
    .option('-y, --yes', 'do not ask')
    .action((id: string, flags: { readonly yes?: boolean }, command) =>
      inContext(command, io, (context) => unlink(context, id, flags.yes === true)),
    );
}

async function unlink(context: Context, id: string, isSure: boolean): Promise<ExitName | void> {
  if (!isSure && !(await confirm(context, `Unlink ${plainLine(id)}?`))) {
    await context.note('Nothing was unlinked.');
    return 'failed';
  }
  const path = `/v1/identities/${encodeURIComponent(id)}`;
  const { body } = await context.admin().send({ method: 'DELETE', path, schema: IdentitySchema });
  await context.answer(body, () => `Unlinked: ${body.kind} ${plainLine(body.subject)}.`);
}
