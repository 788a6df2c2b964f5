import { Option, type Command } from 'commander';
import { IssuedCertificateSchema } from '../../domain/schema/certificate.ts';
import { makeRequest, profileOf } from '../certificate-request.ts';
import { ApiClient } from '../client.ts';
import { CONNECTION, described } from '../command.ts';
import { DATA_DIR_DEFAULT, dataDirOf, isLoopback, parseUrl } from '../connection.ts';
import { CliError } from '../exit.ts';
import { write, type CliIo } from '../io.ts';
import { profilePath, readProfile, writeProfile, type Profile } from '../profile.ts';
import { createStopper } from '../stop.ts';
import { plainLine } from '../text.ts';

interface EnrolFlags {
  readonly label?: string;
  readonly adminUrl?: string;
  readonly replace?: boolean;
  readonly json?: boolean;
  readonly dataDir?: string;
}

export function enrolCommand(io: CliIo): Command {
  return described('enrol', {
    summary: 'let this machine in to the admin listener, with a one-time secret',
    description:
      'Makes a key here, which never leaves this machine, and has it certified. The secret is one of ' +
      '`rookery enrol-secret` on the server, or of `rookery certificate invite` by an admin; it works once, for ' +
      'ten minutes, and names the authority that the answer must come from. Key and certificate go into ' +
      'admin.json in the data folder, mode 0600. The certificate lasts 30 days and is renewed by whatever ' +
      'command is run in the last ten.',
    examples: [
      ['rookery enrol https://rookery.example rkb_…', 'this machine, for whom the secret was made'],
      ['rookery enrol http://127.0.0.1:7600 rkb_… --label laptop', 'with a name for lists'],
    ],
  })
    .argument('<url>', 'address of the API')
    .argument('<secret>', 'the one-time secret')
    .option('--label <text>', 'which machine it is, for lists')
    .option('--replace', 'in the place of a certificate that this machine has')
    .addOption(new Option('--json', 'one JSON document'))
    .addOption(
      new Option(
        '--admin-url <url>',
        'address of the admin listener (default: what the answer says)',
      ).helpGroup(CONNECTION),
    )
    .addOption(
      new Option(
        '--data-dir <folder>',
        `where to keep it (env: ROOKERY_DATA_DIR; default: ${DATA_DIR_DEFAULT})`,
      ).helpGroup(CONNECTION),
    )
    .action((url: string, secret: string, flags: EnrolFlags) =>
      enrol(io, { url: parseUrl(url), secret, flags }),
    );
}

interface Enrolment {
  readonly url: URL;
  readonly secret: string;
  readonly flags: EnrolFlags;
}

/** Also for the terminal UI, which asks for address and secret. */
export async function enrol(io: CliIo, { url, secret, flags }: Enrolment): Promise<void> {
  const fingerprint = fingerprintIn(secret);
  checkWay(url);
  const path = profilePath(dataDirOf(flags, io), io);
  if (flags.replace !== true) checkNone(path, io);
  const adminUrl = flags.adminUrl === undefined ? null : parseUrl(flags.adminUrl);
  const stopper = createStopper();
  const client = new ApiClient({ url, key: null }, stopper.signal);
  try {
    const { key, csr } = await makeRequest();
    const { label } = flags;
    const { body: issued } = await client.send({
      method: 'POST',
      path: '/v1/enrolments',
      body: { secret: secret.trim(), csr, ...(label === undefined ? {} : { label }) },
      schema: IssuedCertificateSchema,
    });
    const made = profileOf({ issued, key, fingerprint, url: url.href });
    const profile = adminUrl === null ? made : { ...made, adminUrl: adminUrl.href };
    writeProfile(path, profile);
    await tell(io, { profile, path, isJson: flags.json === true });
  } catch (error) {
    throw stopper.signal.aborted ? stopper.signal.reason : error;
  } finally {
    await client.close();
    stopper.dispose();
  }
}

async function tell(
  io: CliIo,
  {
    profile,
    path,
    isJson,
  }: { readonly profile: Profile; readonly path: string; readonly isJson: boolean },
): Promise<void> {
  const { user, adminUrl, certificateId, expiresAt } = profile;
  const document = { user, adminUrl, certificateId, expiresAt, path };
  const words =
    `This machine is ${plainLine(user.name)} (${user.id}) now, until ${expiresAt}; it is renewed by itself.\n` +
    `Admin listener: ${adminUrl}. Key and certificate: ${path}.`;
  await write(io.stdout, `${isJson ? JSON.stringify(document) : words}\n`);
}

/** Not repeated in the message: it may be another secret, pasted by mistake. */
function fingerprintIn(secret: string): string {
  const [, fingerprint] = /^rkb_[0-9a-f]{60}_([0-9a-f]{64})$/.exec(secret.trim()) ?? [];
  if (fingerprint !== undefined) return fingerprint;
  throw new CliError(
    'usage',
    'This is no secret to enrol with: one begins with rkb_ and has 129 characters.',
    {
      hint: 'Run `rookery enrol-secret` on the server, or ask an admin.',
    },
  );
}

/** Who hears the secret on its way can use it first. */
function checkWay({ protocol, hostname, host }: URL): void {
  if (protocol === 'https:' || isLoopback(hostname)) return;
  throw new CliError('usage', `The secret would travel unencrypted to ${host}.`, {
    hint: `Use https, or a tunnel: ssh -L 7600:127.0.0.1:7600 ${hostname}`,
  });
}

function checkNone(path: string, io: CliIo): void {
  const profile = readProfile(path);
  if (profile === null || Date.parse(profile.expiresAt) <= io.now()) return;
  throw new CliError(
    'conflict',
    `This machine is ${plainLine(profile.user.name)} at ${profile.adminUrl} until ${profile.expiresAt}.`,
    { hint: 'Give --replace to put the new certificate in its place, or another --data-dir.' },
  );
}
