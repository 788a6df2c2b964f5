import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '../domain/error.ts';
import { parseId } from '../domain/id.ts';
import { parseJson } from '../domain/json.ts';
import { UserNameSchema } from '../domain/schema/user.ts';
import { offerOnServer, openCertificates } from './certificates.ts';
import { configOf, type ConfigFlags } from './flags.ts';
import { createLog } from './log.ts';
import { makeDataDir, pathsIn } from './paths.ts';
import { openMigrated } from './postgres.ts';
import { createProgress } from './progress.ts';
import { openSecrets } from './secrets.ts';
import { keepAlone, reachPostgres, requireData } from './stores.ts';

export interface EnrolSecretFlags extends ConfigFlags {
  readonly user?: string;
  readonly name?: string;
  readonly json?: boolean;
}

/** `rookery enrol-secret`: on the server itself, also while Rookery runs. */
export async function runEnrolSecret(flags: EnrolSecretFlags): Promise<void> {
  const config = configOf(flags);
  const name = nameIn(flags);
  const userId = flags.user === undefined ? null : parseId('user', flags.user);
  await requireData(config);
  makeDataDir(config.dataDir);
  const log = createLog(config, `${pathsIn(config.dataDir).log}/enrol-secret.log`);
  const progress = createProgress(process.stderr);
  await using parts = new AsyncDisposableStack();
  parts.defer(await keepAlone(config));
  const authority = await openCertificates(config, openSecrets(config, process.env));
  if (authority === null) {
    throw new AppError(
      'invalid_input',
      'admin.mtls is off, so nobody needs a certificate. Set it to on (ROOKERY_ADMIN_MTLS=on) and start Rookery again.',
    );
  }
  const postgres = await reachPostgres(config, progress.step('database'));
  parts.defer(() => postgres.stop());
  const database = await openMigrated(postgres.url, { name: 'enrol-secret', log });
  parts.defer(() => database.close());
  const { secret, expiresAt } = await offerOnServer({
    db: database.db,
    authority,
    userId,
    ...(name === undefined ? {} : { name }),
  });
  const url = await urlOf(config.dataDir);
  const words = `\nGood once, until ${expiresAt.toISOString()}. On the machine that is to be let in:\n\n  rookery enrol ${url} ${secret}\n`;
  const document = { secret, url, expiresAt: expiresAt.toISOString() };
  process.stdout.write(flags.json === true ? `${JSON.stringify(document)}\n` : words);
}

function nameIn({ name, user }: EnrolSecretFlags): string | undefined {
  if (name === undefined) return undefined;
  if (user !== undefined) {
    throw new AppError(
      'invalid_input',
      '--name is for the first overlord; --user has one already.',
    );
  }
  const parsed = UserNameSchema.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AppError('invalid_input', `--name: ${parsed.error.issues[0]?.message ?? 'not a name'}`);
}

const Connection = z.object({ url: z.string() });

async function urlOf(dataDir: string): Promise<string> {
  const text = await readFile(pathsIn(dataDir).connection, 'utf8').catch(() => '');
  return Connection.safeParse(parseJson(text)).data?.url ?? '<address of the API>';
}
