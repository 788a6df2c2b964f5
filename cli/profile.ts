import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../domain/json.ts';
import { CliError } from './exit.ts';
import type { CliIo } from './io.ts';
import { readOwn } from './own-file.ts';

/** What a machine shows to the admin listener, and what it knows that one by. All of it is PEM. */
export interface ClientIdentity {
  readonly certificate: string;
  readonly key: string;
  /** Of the installation's own authority: no other vouches for its admin listener. */
  readonly authority: string;
  readonly expiresAt: string;
}

const ProfileFile = z.object({
  /** Of the public listener, where it enrolled. */
  url: z.url(),
  adminUrl: z.url(),
  user: z.object({ id: z.string(), name: z.string() }),
  certificateId: z.string(),
  expiresAt: z.iso.datetime({ offset: true }),
  certificate: z.string(),
  key: z.string(),
  authority: z.string(),
  /** When it was last tried to renew it, and failed. */
  renewalTriedAt: z.iso.datetime({ offset: true }).optional(),
});
export type Profile = Readonly<z.output<typeof ProfileFile>>;

/** Beside the connection file, and like it for its owner only. */
const FILE_NAME = 'admin.json';

export function profilePath(dataDir: string, { cwd }: Pick<CliIo, 'cwd'>): string {
  return resolve(cwd, dataDir, FILE_NAME);
}

/** Null where this machine has not enrolled. */
export function readProfile(path: string): Profile | null {
  const text = readOwn(path);
  if (text === null) return null;
  const parsed = ProfileFile.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `${path} is not what \`rookery enrol\` writes.`, {
    hint: 'Remove it and enrol again.',
  });
}

/** Whole or not at all: half a profile would be a lost key. */
export function writeProfile(path: string, profile: Profile): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  const text = `${JSON.stringify(profile, null, 2)}\n`;
  writeFileSync(draft, text, { mode: 0o600, flush: true });
  renameSync(draft, path);
}

export function identityIn({ certificate, key, authority, expiresAt }: Profile): ClientIdentity {
  return { certificate, key, authority, expiresAt };
}

/** Throws in words where it is over: the listener would only cut the connection. */
export function checkTime({ expiresAt }: ClientIdentity, now: number): void {
  if (Date.parse(expiresAt) > now) return;
  throw new CliError('denied', `The certificate of this machine ended on ${expiresAt}.`, {
    hint: 'Ask an admin for a secret, or run `rookery enrol-secret` on the server, and enrol again.',
    code: 'unauthenticated',
  });
}
