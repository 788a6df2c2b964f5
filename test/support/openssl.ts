import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program of somebody else's, with what it is told on its stdin. */
export async function run(program: string, args: readonly string[], stdin = ''): Promise<Ran> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  // Who ended before it read all does not mind.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}

/** Fails where it fails. */
export async function openssl(args: readonly string[], stdin = ''): Promise<string> {
  const ran = await run('openssl', args, stdin);
  if (ran.code !== 0) throw new Error(`openssl ${args.join(' ')}:\n${ran.err}`);
  return ran.out;
}

export const KEYS = {
  'P-256': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'P-521': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  Ed25519: ['ED25519'],
  'RSA-1024': ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  'RSA-2048': ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
} as const;
export type KeyKind = keyof typeof KEYS;

/** PKCS #8 in PEM. */
export function makeKeyPem(kind: KeyKind = 'P-256'): Promise<string> {
  return openssl(['genpkey', '-algorithm', ...KEYS[kind]]);
}

/** A request in PEM for a key in a file. */
export function makeCsr(keyFile: string, more: readonly string[] = []): Promise<string> {
  return openssl(['req', '-new', '-key', keyFile, '-subj', '/CN=whoever', ...more]);
}
