import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseJson } from '../../domain/json.ts';
import { errnoOf } from '../errno.ts';
import { readPrivate } from '../secrets/private-file.ts';

/** 64 MiB and about 0.2 s for each guess: OWASP's advice is 128 MiB for logins, which happen more than once a start. */
const SCRYPT = { cost: 2 ** 16, blockSize: 8, parallelization: 1 } as const;
/** Above what we write, and below what a file that was tampered with could make us use up. */
const COST_MAX = 2 ** 18;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
/** NIST SP 800-63B-4, 3.1.1.2: what a person chooses has at least 15 characters where it is the only factor. */
const PASSPHRASE_LENGTH_MIN = 15;

const Base64 = z.base64();
const Sealed = z.strictObject({
  kind: z.literal('scrypt+aes-256-gcm'),
  cost: z.int().min(2).max(COST_MAX),
  blockSize: z.int().min(1).max(16),
  parallelization: z.int().min(1).max(4),
  salt: Base64,
  nonce: Base64,
  tag: Base64,
  body: Base64,
});
type Sealed = z.output<typeof Sealed>;

const Content = z.strictObject({
  format: z.literal(1),
  certificate: z.string(),
  key: z.union([z.strictObject({ kind: z.literal('plain'), pem: z.string() }), Sealed]),
});
type Content = z.output<typeof Content>;

/** Certificate and key, both PEM. They are one file, so that there is never one without the other. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export function authorityPath(dataDir: string): string {
  return join(dataDir, 'secrets', 'ca.json');
}

/**
 * What the file holds; null where there is none. One that lies there unsealed is sealed once there is a passphrase.
 * Throws `invalid_input` that says what to do: going on with a new authority would shut everybody out.
 */
export async function readKeyPair(
  path: string,
  passphrase: string | null,
): Promise<KeyPair | null> {
  checkPassphrase(passphrase);
  if ((await stat(path).catch(absent)) === null) return null;
  const parsed = Content.safeParse(parseJson(await readPrivate(path, { isOwnersOnly: true })));
  if (!parsed.success) {
    throw bad(`The file of the internal CA, ${path}, is damaged. Restore it from a backup.`);
  }
  const { certificate, key } = parsed.data;
  if (key.kind !== 'plain') {
    if (passphrase !== null)
      return { certificate, key: await unsealKey(key, { certificate, passphrase, path }) };
    throw bad(
      `The key of the internal CA, ${path}, is sealed. Set admin.caPassphrase to where its passphrase is found.`,
    );
  }
  const pair = { certificate, key: key.pem };
  if (passphrase !== null) await replace(path, await contentOf(pair, passphrase));
  return pair;
}

/** Keeps a pair that is new. Answers the one that is there where another process was first. */
export async function keepKeyPair(
  path: string,
  pair: KeyPair,
  passphrase: string | null,
): Promise<KeyPair> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = await writeDraft(path, await contentOf(pair, passphrase));
  try {
    // Like O_EXCL: fails where the name is taken, and nobody ever reads half a file.
    await link(draft, path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  const kept = await readKeyPair(path, passphrase);
  if (kept === null) throw new AppError('internal', 'The internal CA vanished while it was made.');
  return kept;
}

async function contentOf(
  { certificate, key }: KeyPair,
  passphrase: string | null,
): Promise<Content> {
  const stored =
    passphrase === null
      ? ({ kind: 'plain', pem: key } as const)
      : await sealKey(key, { certificate, passphrase });
  return { format: 1, certificate, key: stored };
}

async function replace(path: string, content: Content): Promise<void> {
  await rename(await writeDraft(path, content), path);
}

async function writeDraft(path: string, content: Content): Promise<string> {
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
}

interface Sealing {
  /** Bound to the key, so that neither can be had with another's half. */
  readonly certificate: string;
  readonly passphrase: string;
}

async function sealKey(key: string, { certificate, passphrase }: Sealing): Promise<Sealed> {
  const [salt, nonce] = [randomBytes(16), randomBytes(NONCE_BYTES)];
  const cipher = createCipheriv('aes-256-gcm', await stretch(passphrase, salt, SCRYPT), nonce);
  cipher.setAAD(Buffer.from(certificate));
  const body = Buffer.concat([cipher.update(key, 'utf8'), cipher.final()]);
  const [saltText, nonceText, bodyText] = [salt, nonce, body].map((part) =>
    part.toString('base64'),
  );
  return {
    kind: 'scrypt+aes-256-gcm',
    ...SCRYPT,
    salt: saltText ?? '',
    nonce: nonceText ?? '',
    tag: cipher.getAuthTag().toString('base64'),
    body: bodyText ?? '',
  };
}

async function unsealKey(
  sealed: Sealed,
  { certificate, passphrase, path }: Sealing & { readonly path: string },
): Promise<string> {
  const [salt, nonce, tag, body] = [sealed.salt, sealed.nonce, sealed.tag, sealed.body].map(
    (part) => Buffer.from(part, 'base64'),
  );
  if (salt === undefined || nonce === undefined || tag === undefined || body === undefined) {
    throw new Error('Four parts stay four.');
  }
  try {
    const key = await stretch(passphrase, salt, sealed);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    decipher.setAAD(Buffer.from(certificate)).setAuthTag(tag);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch (cause) {
    throw bad(
      `The passphrase of admin.caPassphrase does not open the internal CA, ${path}: it is another one, or the file was changed.`,
      cause,
    );
  }
}

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);

function stretch(
  passphrase: string,
  salt: Buffer,
  { cost, blockSize, parallelization }: Pick<Sealed, 'cost' | 'blockSize' | 'parallelization'>,
): Promise<Buffer> {
  const maxmem = 256 * cost * blockSize;
  return derive(passphrase.normalize('NFC'), salt, KEY_BYTES, {
    cost,
    blockSize,
    parallelization,
    maxmem,
  });
}

function checkPassphrase(passphrase: string | null): void {
  if (passphrase === null || passphrase.length >= PASSPHRASE_LENGTH_MIN) return;
  throw bad(
    `The passphrase of admin.caPassphrase is too short: it needs at least ${PASSPHRASE_LENGTH_MIN} characters.`,
  );
}

function absent(error: unknown): null {
  if (errnoOf(error) === 'ENOENT') return null;
  throw error;
}

function bad(message: string, cause?: unknown): AppError {
  return new AppError('invalid_input', message, { cause });
}
