import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { isId } from '../../domain/id.ts';
import { CertificateSchema, EnrolmentSecretSchema } from '../../domain/schema/certificate.ts';
import { confirm } from '../ask.ts';
import { adminCommand, described } from '../command.ts';
import { dataDirOf, readConnection } from '../connection.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { profilePath, readProfile, type Profile } from '../profile.ts';
import { renewProfile } from '../renewal.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';

export function certificateCommand(io: CliIo): Command {
  return described('certificate', {
    summary: 'show, renew, give out and revoke client certificates',
    description:
      'With admin.mtls on, keys, settings and the like are reached with a client certificate only. ' +
      '`rookery enrol` gets one for this machine.',
    examples: [['rookery certificate show', 'whose this machine is, and until when']],
  })
    .addCommand(showCommand(io))
    .addCommand(renewCommand(io))
    .addCommand(inviteCommand(io))
    .addCommand(listCommand(io))
    .addCommand(revokeCommand(io))
    .addCommand(exportCommand(io));
}

function showCommand(io: CliIo): Command {
  return adminCommand('show', {
    summary: 'show the certificate of this machine',
    description: 'Reads what `rookery enrol` left here; asks nobody.',
    examples: [['rookery certificate show --json', 'for a script']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => tell(context, ownProfile(context))),
  );
}

function renewCommand(io: CliIo): Command {
  return adminCommand('renew', {
    summary: 'renew the certificate of this machine now',
    description:
      'Has a new key certified. It happens by itself in the last ten days; the earlier certificate stays good until its end.',
    examples: [['rookery certificate renew', 'before a long holiday']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const { signal } = context;
      const path = pathOf(context);
      await tell(context, await renewProfile(ownProfile(context), { path, signal }));
    }),
  );
}

function pathOf({ flags, io }: Context): string {
  return profilePath(dataDirOf(flags, io), io);
}

function ownProfile(context: Context): Profile {
  const path = pathOf(context);
  const profile = readProfile(path);
  if (profile !== null) return profile;
  throw new CliError('not_found', `This machine has no certificate: there is no ${path}.`, {
    hint: 'Let it enrol: `rookery enrol <url> <secret>`.',
  });
}

async function tell(context: Context, profile: Profile): Promise<void> {
  const { user, adminUrl, url, certificateId, expiresAt } = profile;
  const isOver = Date.parse(expiresAt) <= context.io.now();
  await context.answer({ user, url, adminUrl, certificateId, expiresAt }, () =>
    [
      `User         ${plainLine(user.name)} (${user.id})`,
      `Certificate  ${certificateId}`,
      `${isOver ? 'Ended       ' : 'Ends        '} ${expiresAt} (${context.ago(expiresAt)})`,
      `Admin        ${adminUrl}`,
    ].join('\n'),
  );
}

function inviteCommand(io: CliIo): Command {
  return adminCommand('invite', {
    summary: 'make a one-time secret that lets a machine of a user enrol',
    description:
      'For a user who has no power that you do not have. The secret works once, for ten minutes, and is shown this once: ' +
      'give it to that person on a way that you trust.',
    examples: [['rookery certificate invite usr_01kq3zd8c2f5tv7m9x4r6b0wne', 'a new laptop']],
  })
    .argument('<user>', 'id of the user')
    .action((userId: string, _flags, command) =>
      inContext(command, io, async (context) => {
        if (!isId('user', userId)) {
          throw new CliError(
            'usage',
            'Not the id of a user: it looks like usr_ and 26 characters.',
          );
        }
        const { body } = await context.admin().send({
          method: 'POST',
          path: '/v1/enrolment-secrets',
          body: { userId },
          schema: EnrolmentSecretSchema,
        });
        await context.answer(body, () => inviteWords(context, body.secret));
      }),
    );
}

function inviteWords({ io, flags }: Context, secret: string | null): string {
  if (secret === null) return 'Its secret was shown when it was made.';
  const { url } = readConnection(flags, io);
  const address = url.protocol === 'https:' ? '<address of the API>' : url.origin;
  return `Good once, for ten minutes. On the machine that is to be let in:\n\n  rookery enrol ${address} ${plainLine(secret)}`;
}

interface ListFlags {
  readonly user?: string;
}

function listCommand(io: CliIo): Command {
  return adminCommand('list', {
    summary: 'list certificates',
    description: 'Lists the certificates that were given out, oldest first.',
    examples: [['rookery certificate list', 'all of them']],
  })
    .option('--user <user>', 'only those of one user, by id')
    .action((flags: ListFlags, command) =>
      inContext(command, io, async (context) => {
        const items = await context.admin().list({
          path: '/v1/certificates',
          query: { userId: flags.user },
          item: CertificateSchema,
        });
        await context.answer({ items }, () =>
          table(
            [
              { title: 'ID', value: ({ id }) => id },
              { title: 'USER', value: ({ userId }) => userId, drop: 3 },
              { title: 'MACHINE', value: ({ label }) => label, cut: true },
              { title: 'STATE', value: (certificate) => stateOf(context, certificate) },
              {
                title: 'USED',
                value: ({ lastUsedAt }) =>
                  lastUsedAt === null ? 'never' : context.ago(lastUsedAt),
                drop: 2,
              },
              { title: 'SERIAL', value: ({ serial }) => serial, style: () => 'dim', drop: 0 },
            ],
            items,
            context,
          ),
        );
      }),
    );
}

function stateOf(
  { io, ago }: Context,
  { revokedAt, expiresAt }: { readonly revokedAt: string | null; readonly expiresAt: string },
): string {
  if (revokedAt !== null) return 'revoked';
  return Date.parse(expiresAt) <= io.now() ? 'expired' : `ends ${ago(expiresAt)}`;
}

function revokeCommand(io: CliIo): Command {
  return adminCommand('revoke', {
    summary: 'revoke a certificate',
    description:
      'Revokes a certificate at once and for good, with those that it was renewed by: what is open with them ends within ' +
      'two seconds. Revoking it again is fine.',
    examples: [['rookery certificate revoke crt_01kq3zd8c2f5tv7m9x4r6b0wne', 'a laptop was lost']],
  })
    .argument('<certificate>', 'id of the certificate')
    .option('-y, --yes', 'do not ask')
    .action((id: string, flags: { readonly yes?: boolean }, command) =>
      inContext(command, io, (context) => revoke(context, id, flags.yes === true)),
    );
}

async function revoke(context: Context, id: string, isSure: boolean): Promise<ExitName | void> {
  if (!isId('certificate', id)) {
    throw new CliError(
      'usage',
      'Not the id of a certificate: it looks like crt_ and 26 characters.',
      {
        hint: 'See `rookery certificate list`.',
      },
    );
  }
  if (!isSure && !(await confirm(context, `Revoke ${id} for good?`))) {
    await context.note('Nothing was revoked.');
    return 'failed';
  }
  const { body } = await context.admin().send({
    method: 'DELETE',
    path: `/v1/certificates/${id}`,
    schema: CertificateSchema,
  });
  await context.answer(body, () => `Revoked: ${body.id} of ${body.userId}.`);
}

function exportCommand(io: CliIo): Command {
  return adminCommand('export', {
    summary: 'write key, certificate and authority as PEM files, for curl and browsers',
    description:
      'Writes key.pem, cert.pem and ca.pem into a folder, readable to you only. A browser wants a PKCS #12 file, which ' +
      'openssl makes of them: openssl pkcs12 -export -in cert.pem -inkey key.pem -certfile ca.pem -out rookery.p12',
    examples: [['rookery certificate export ./pem', 'for curl --cert, --key and --cacert']],
  })
    .argument('<folder>', 'where to; it is made')
    .action((folder: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const { key, certificate, authority } = ownProfile(context);
        const path = resolve(io.cwd, folder);
        await mkdir(path, { recursive: true, mode: 0o700 });
        const files = { 'key.pem': key, 'cert.pem': certificate, 'ca.pem': authority };
        for (const [name, text] of Object.entries(files)) {
          await writeNew(join(path, name), text);
        }
        await context.answer({ folder: path, files: Object.keys(files) }, () =>
          Object.keys(files)
            .map((name) => join(path, name))
            .join('\n'),
        );
      }),
    );
}

/** Over nothing that is there: another's mode would stay, and another's key would be gone. */
async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx' }).catch((cause: unknown) => {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new CliError(
      isThere ? 'conflict' : 'failed',
      `${path} ${isThere ? 'is there already' : 'cannot be written'}.`,
      {
        hint: isThere ? 'Remove it, or name another folder.' : 'Is the folder yours?',
        cause,
      },
    );
  });
}
