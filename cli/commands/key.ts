import { Option, type Command } from 'commander';
import { ROLES, SCOPES } from '../../domain/principal.ts';
import { ApiKeySchema, CreatedApiKeySchema } from '../../domain/schema/key.ts';
import { WorkspaceSchema } from '../../domain/schema/workspace.ts';
import { confirm } from '../ask.ts';
import { adminCommand, described, listOf, milliseconds } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { isId } from '../../domain/id.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';
import { userId } from './role.ts';

export function keyCommand(io: CliIo): Command {
  return described('key', {
    summary: 'make, list and revoke API keys',
    description:
      'API keys say who you are: each has a role, scopes and perhaps one workspace and an end. Needs ' +
      'the role admin, the scope keys:write, and the admin listener, which is on the machine of the runtime only.',
    examples: [['rookery key list', 'who has one']],
  })
    .addCommand(createCommand(io))
    .addCommand(listCommand(io))
    .addCommand(revokeCommand(io));
}

interface CreateFlags {
  readonly role: string;
  readonly scopes?: readonly string[];
  readonly expires?: number;
  readonly user?: string;
  readonly workspace?: string;
}

function createCommand(io: CliIo): Command {
  return adminCommand('create', {
    summary: 'make a key',
    description:
      'Makes a key, never above your own, and prints its secret once: it is kept nowhere. With ' +
      '--workspace the key is good in that one only. Without --scopes it gets every scope.',
    examples: [
      ['rookery key create ci --role operator --scopes agents:read,agents:write', 'for a machine'],
      ['rookery key create anna --role admin --expires 90d', 'for a person'],
    ],
  })
    .argument('<name>', 'whose it is, for lists and the audit')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).default('operator'))
    .option('--scopes <scopes>', `with commas: ${SCOPES.join(', ')}`, listOf(SCOPES))
    .option('--expires <time>', 'end, from now: 90d', milliseconds)
    .option('--user <user>', 'id of the user it acts as; an overlord may name another', userId)
    .action((name: string, _flags, command) =>
      inContext(command, io, (context) => create(context, name, command.opts())),
    );
}

async function create(context: Context, name: string, flags: CreateFlags): Promise<void> {
  const workspaceId = await workspaceIdOf(context, flags.workspace);
  const { body } = await context.admin().send({
    method: 'POST',
    path: '/v1/keys',
    body: {
      name,
      role: flags.role,
      scopes: flags.scopes ?? SCOPES,
      ...(workspaceId === undefined ? {} : { workspaceId }),
      ...(flags.user === undefined ? {} : { userId: flags.user }),
      ...(flags.expires === undefined
        ? {}
        : { expiresAt: new Date(context.io.now() + flags.expires).toISOString() }),
    },
    schema: CreatedApiKeySchema,
  });
  await context.answer(body, () => {
    const { key, secret } = body;
    const about = `Key ${key.id} for ${plainLine(key.name)}, role ${key.role}, ${key.expiresAt === null ? 'without end' : `until ${key.expiresAt}`}.`;
    if (secret === null) return `${about}\nIts secret was shown when it was made.`;
    return `${about}\nIts secret, shown this once:\n\n${plainLine(secret)}`;
  });
}

/** The body names a workspace by id only. */
async function workspaceIdOf(
  { client }: Context,
  given: string | undefined,
): Promise<string | undefined> {
  if (given === undefined || isId('workspace', given)) return given;
  return (await client.get(`/v1/workspaces/${encodeURIComponent(given)}`, WorkspaceSchema)).id;
}

function listCommand(io: CliIo): Command {
  return adminCommand('list', {
    summary: 'list keys',
    description: 'Lists the keys, oldest first, without their secrets.',
    examples: [['rookery key list', 'all keys']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const items = await context.admin().list({ path: '/v1/keys', item: ApiKeySchema });
      await context.answer({ items }, () =>
        table(
          [
            { title: 'NAME', value: ({ name }) => name, cut: true },
            { title: 'ROLE', value: ({ role }) => role },
            { title: 'STATE', value: (key) => stateOf(context, key) },
            {
              title: 'USED',
              value: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : context.ago(lastUsedAt)),
              drop: 3,
            },
            { title: 'BEGINS', value: ({ prefix }) => `rk_${prefix}_…`, drop: 2 },
            { title: 'USER', value: ({ userId: user }) => user ?? '', drop: 1 },
            { title: 'WORKSPACE', value: ({ workspaceId }) => workspaceId ?? 'every', drop: 1 },
            { title: 'ID', value: ({ id }) => id, style: () => 'dim', drop: 4 },
            { title: 'SCOPES', value: ({ scopes }) => scopes.join(','), cut: true, drop: 0 },
          ],
          items,
          context,
        ),
      );
    }),
  );
}

function stateOf(
  context: Context,
  key: { readonly revokedAt: string | null; readonly expiresAt: string | null },
): string {
  if (key.revokedAt !== null) return 'revoked';
  if (key.expiresAt === null) return 'good';
  const isOver = Date.parse(key.expiresAt) <= context.io.now();
  return isOver ? 'expired' : `ends ${context.ago(key.expiresAt)}`;
}

function revokeCommand(io: CliIo): Command {
  return adminCommand('revoke', {
    summary: 'revoke a key',
    description:
      'Revokes a key at once and for good: its streams and terminals are closed within seconds. ' +
      'Revoking it again is fine.',
    examples: [['rookery key revoke key_01kq3zd8c2f5tv7m9x4r6b0wne', 'take it back']],
  })
    .argument('<key>', 'id of the key (not its secret)')
    .option('-y, --yes', 'do not ask')
    .action((id: string, flags: { readonly yes?: boolean }, command) =>
      inContext(command, io, (context) => revoke(context, id, flags.yes === true)),
    );
}

async function revoke(context: Context, id: string, isSure: boolean): Promise<ExitName | void> {
  if (!isId('apiKey', id)) {
    // Not repeated in the message: it may be a secret, typed by mistake.
    throw new CliError('usage', 'Not the id of a key: it looks like key_ and 26 characters.', {
      hint: 'See `rookery key list`.',
    });
  }
  if (!isSure && !(await confirm(context, `Revoke ${id} for good?`))) {
    await context.note('Nothing was revoked.');
    return 'failed';
  }
  const { body } = await context.admin().send({
    method: 'DELETE',
    path: `/v1/keys/${id}`,
    schema: ApiKeySchema,
  });
  await context.answer(body, () => `Revoked: ${plainLine(body.name)} (${body.id}).`);
}
