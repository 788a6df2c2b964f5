import { resolve } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../domain/json.ts';
import { CliError } from './exit.ts';
import type { CliIo } from './io.ts';
import { readOwn } from './own-file.ts';
import {
  identityIn,
  profilePath,
  readProfile,
  type ClientIdentity,
  type Profile,
} from './profile.ts';

export interface ConnectionFlags {
  readonly url?: string;
  readonly adminUrl?: string;
  readonly key?: string;
  readonly dataDir?: string;
}

export interface Connection {
  readonly url: URL;
  /** Null where none was given: the API then says what it thinks of that. */
  readonly key: string | null;
  /** Of a machine that enrolled, for the admin listener. */
  readonly identity?: ClientIdentity | null;
}

/** The ports `rookery up` listens on unless it is told otherwise. */
export const URL_DEFAULT = 'http://127.0.0.1:7600';
export const ADMIN_URL_DEFAULT = 'http://127.0.0.1:7601';
export const DATA_DIR_DEFAULT = '.rookery';
const FILE_NAME = 'connection.json';

const ConnectionFile = z.object({
  url: z.string(),
  apiKey: z.string(),
  adminUrl: z.string().optional(),
});

/**
 * Flags, then environment, then the file that `rookery up` leaves for its own user. The key of the file goes to the
 * address of the file only, so that neither can be had with a wrong half of the other.
 */
export function readConnection(flags: ConnectionFlags, io: CliIo): Connection {
  const { env } = io;
  const givenUrl = flags.url ?? nonEmpty(env['ROOKERY_URL']);
  const givenKey = flags.key ?? nonEmpty(env['ROOKERY_API_KEY']);
  if (givenUrl !== null && givenKey !== null) {
    return { url: parseUrl(givenUrl), key: checkKey(givenKey) };
  }
  const file = readFile(flags, io);
  const profile = readOwnProfile(flags, io);
  if (givenUrl === null && givenKey === null && file === null && profile !== null) {
    // A certificate opens everything that its user may ask for, on the one listener.
    return { url: parseUrl(profile.adminUrl), key: null, identity: identityIn(profile) };
  }
  const url = parseUrl(givenUrl ?? file?.url ?? URL_DEFAULT);
  if (givenKey !== null) {
    if (givenUrl === null && file !== null) checkOwnKey(givenKey, file.url, file);
    return { url, key: checkKey(givenKey) };
  }
  const isItsOwn = file !== null && new URL(file.url).origin === url.origin;
  return { url, key: isItsOwn ? checkKey(file.apiKey) : null };
}

/**
 * The admin listener of the same runtime, with the certificate of this machine where it is asked over TLS. Its address is
 * given, or the one that stands beside the public one in the file, or where this machine enrolled.
 */
export function readAdminConnection(flags: ConnectionFlags, io: CliIo): Connection {
  const profile = readOwnProfile(flags, io);
  const connection = adminConnection(flags, io, profile);
  if (profile === null || connection.url.protocol !== 'https:') return connection;
  return { ...connection, identity: identityIn(profile) };
}

function adminConnection(flags: ConnectionFlags, io: CliIo, profile: Profile | null): Connection {
  const { env } = io;
  const given = flags.adminUrl ?? nonEmpty(env['ROOKERY_ADMIN_URL']);
  const givenKey = flags.key ?? nonEmpty(env['ROOKERY_API_KEY']);
  if (given !== null && givenKey !== null) {
    return { url: parseUrl(given, ADMIN_URL_DEFAULT), key: checkKey(givenKey) };
  }
  const { url, key } = readConnection(flags, io);
  const file = readFile(flags, io);
  const isOfFile = file !== null && new URL(file.url).origin === url.origin;
  const beside = isOfFile ? (file.adminUrl ?? null) : null;
  const isDefault = file === null && url.origin === URL_DEFAULT;
  const enrolled = profile !== null && isOf(profile, url) ? profile.adminUrl : null;
  const text = given ?? beside ?? enrolled ?? (isDefault ? ADMIN_URL_DEFAULT : null);
  if (text === null) throw noAdminUrl(url);
  const adminUrl = parseUrl(text, ADMIN_URL_DEFAULT);
  if (givenKey !== null) {
    if (given === null && file !== null) checkOwnKey(givenKey, text, file);
    return { url: adminUrl, key };
  }
  const isItsOwn = beside !== null && new URL(beside).origin === adminUrl.origin;
  return { url: adminUrl, key: isItsOwn ? key : null };
}

/** Whether a profile is of the runtime at this address. */
function isOf(profile: Profile, { origin }: URL): boolean {
  return [profile.url, profile.adminUrl].some((own) => new URL(own).origin === origin);
}

export function dataDirOf(flags: ConnectionFlags, { env }: CliIo): string {
  return flags.dataDir ?? nonEmpty(env['ROOKERY_DATA_DIR']) ?? DATA_DIR_DEFAULT;
}

function readOwnProfile(flags: ConnectionFlags, io: CliIo): Profile | null {
  return readProfile(profilePath(dataDirOf(flags, io), io));
}

function noAdminUrl(url: URL): CliError {
  return new CliError('usage', `Where the admin listener of ${url.origin} is, nobody said.`, {
    hint: 'Run this on the machine of the runtime, let this one enrol, or say it with --admin-url.',
  });
}

/** A key from elsewhere is not sent to whatever address a folder's file names, unless it is this machine. */
function checkOwnKey(key: string, url: string, file: FoundConnection): void {
  const { hostname } = new URL(url);
  if (key === file.apiKey || isLoopback(hostname)) return;
  throw new CliError(
    'usage',
    `An API key was given, but its address only comes from ${file.path}.`,
    {
      hint: `Say --${url === file.url ? 'url' : 'admin-url'} ${url} too if this key is for it.`,
    },
  );
}

export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

interface FoundConnection {
  readonly path: string;
  readonly url: string;
  readonly adminUrl?: string | undefined;
  readonly apiKey: string;
}

function readFile(flags: ConnectionFlags, io: CliIo): FoundConnection | null {
  const path = resolve(io.cwd, dataDirOf(flags, io), FILE_NAME);
  const text = readOwn(path);
  if (text === null) return null;
  const parsed = ConnectionFile.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new CliError('usage', `${path} is not what \`rookery up\` writes.`, {
      hint: 'Remove it and start the runtime again, or give --url and --key.',
    });
  }
  parseUrl(parsed.data.url);
  if (parsed.data.adminUrl !== undefined) parseUrl(parsed.data.adminUrl, ADMIN_URL_DEFAULT);
  return { path, ...parsed.data };
}

export function parseUrl(text: string, example = URL_DEFAULT): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new CliError('usage', `Not an address of an API: ${JSON.stringify(text)}.`, {
      hint: `It looks like ${example}`,
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new CliError('usage', 'The address of the API must not hold a user name or password.');
  }
  return url;
}

/** Keys are tokens; a newline in one (a copied file, say) would otherwise fail deep inside the HTTP client. */
function checkKey(key: string): string {
  const trimmed = key.trim();
  if (/^[\x21-\x7e]{1,256}$/.test(trimmed)) return trimmed;
  throw new CliError('usage', 'The API key holds characters that no API key has.');
}

function nonEmpty(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value;
}
