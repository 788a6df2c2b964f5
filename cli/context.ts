import type { Command } from 'commander';
import { ApiClient } from './client.ts';
import {
  dataDirOf,
  isLoopback,
  readAdminConnection,
  readConnection,
  type ConnectionFlags,
} from './connection.ts';
import { CliExit, type ExitName } from './exit.ts';
import { hasColor, widthOf, write, type CliIo } from './io.ts';
import { profilePath } from './profile.ts';
import { renewIfDue } from './renewal.ts';
import { createStopper, Stopped } from './stop.ts';
import { relative } from './text.ts';
import { painter, type Paint } from './text.ts';

/** The flags that every command of the API has. */
export interface CommonFlags extends ConnectionFlags {
  readonly json?: boolean;
  readonly workspace?: string;
}

/** What one run of a command has in its hands. */
export interface Context {
  readonly io: CliIo;
  /** Of the public listener. */
  readonly client: ApiClient;
  /** Of the admin listener, which has the routes that the public one lacks. Throws where its address is unknown. */
  readonly admin: () => ApiClient;
  readonly flags: CommonFlags;
  readonly isJson: boolean;
  /** Aborted by Ctrl-C, SIGTERM, SIGHUP and a reader that went away. */
  readonly signal: AbortSignal;
  readonly width: number;
  readonly paint: Paint;
  /** Lines for people on stdout. */
  readonly print: (text: string) => Promise<void>;
  /** One JSON document on one line. */
  readonly json: (document: unknown) => Promise<void>;
  /** JSON where asked for, else words. */
  readonly answer: (document: unknown, words: () => string) => Promise<void>;
  /** Progress and remarks on stderr, so that stdout stays what was asked for. */
  readonly note: (text: string) => Promise<void>;
  readonly ago: (iso: string) => string;
}

export type Run = (context: Context) => Promise<ExitName | void>;

/** Runs a command's body with everything it needs, and cleans up after it however it ends. */
export async function inContext(command: Command, io: CliIo, run: Run): Promise<void> {
  const flags: CommonFlags = command.optsWithGlobals();
  await keepCertificate(flags, io);
  const connection = readConnection(flags, io);
  const stopper = createStopper();
  const onOutputError = (): void => stopper.stop(new Stopped(0));
  io.stdout.on('error', onOutputError);
  const client = new ApiClient(connection, stopper.signal);
  const adminClients: ApiClient[] = [];
  const admin = (): ApiClient => {
    const [opened] = adminClients;
    if (opened !== undefined) return opened;
    const made = new ApiClient(readAdminConnection(flags, io), stopper.signal);
    adminClients.push(made);
    return made;
  };
  const context = makeContext({ io, flags, client, admin, signal: stopper.signal });
  try {
    if (connection.key !== null && connection.url.protocol === 'http:') {
      if (!isLoopback(connection.url.hostname) && io.stderr.isTTY === true) {
        await context.note(`The API key travels unencrypted to ${connection.url.host}.`);
      }
    }
    const exit = (await run(context)) ?? 'ok';
    stopper.signal.throwIfAborted();
    if (exit !== 'ok') throw new CliExit(exit);
  } catch (error) {
    // Whatever broke in the end did so because of the stop.
    throw stopper.signal.aborted ? stopper.signal.reason : error;
  } finally {
    io.stdout.off('error', onOutputError);
    for (const one of [client, ...adminClients]) await one.close();
    stopper.dispose();
  }
}

/** A certificate that ends soon is renewed by whatever is run. The command goes on where that fails: it is good still. */
async function keepCertificate(flags: CommonFlags, io: CliIo): Promise<void> {
  const stopper = createStopper();
  try {
    const path = profilePath(dataDirOf(flags, io), io);
    const failure = await renewIfDue({ path, io, signal: stopper.signal });
    if (failure !== null) await write(io.stderr, `${failure}\n`);
  } catch (error) {
    throw stopper.signal.aborted ? stopper.signal.reason : error;
  } finally {
    stopper.dispose();
  }
}

interface Parts {
  readonly io: CliIo;
  readonly flags: CommonFlags;
  readonly client: ApiClient;
  readonly admin: () => ApiClient;
  readonly signal: AbortSignal;
}

function makeContext({ io, flags, client, admin, signal }: Parts): Context {
  const isJson = flags.json === true;
  const print = (text: string): Promise<void> => write(io.stdout, text === '' ? '' : `${text}\n`);
  const json = (document: unknown): Promise<void> => print(JSON.stringify(document));
  return {
    io,
    client,
    admin,
    flags,
    isJson,
    signal,
    width: widthOf(io.stdout, io.env),
    paint: painter(!isJson && hasColor(io.stdout, io.env)),
    print,
    json,
    answer: (document, words) => (isJson ? json(document) : print(words())),
    note: (text) => write(io.stderr, `${text}\n`),
    ago: (iso) => relative(iso, io.now()),
  };
}
