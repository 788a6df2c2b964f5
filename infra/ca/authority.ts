import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { AppError } from '../../domain/error.ts';
import { uriOfUser } from './identity.ts';
import { authorityPath, keepKeyPair, readKeyPair, type KeyPair } from './key-file.ts';
import { readRequest } from './request.ts';
import type { CertificateAuthority, IssuedCertificate } from './contract.ts';

/** The one curve that Node, openssl, curl and every browser take for keys and client certificates alike. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const AUTHORITY_LIFETIME_MS = 3_652 * 24 * 60 * 60 * 1_000;
/** Clocks of clients may be behind ours by as much. */
const BACKDATED_MS = 60 * 60 * 1_000;
const SERIAL_BYTES = 16;

export interface AuthorityOptions {
  readonly dataDir: string;
  /** Seals the key; without one the file's mode is what guards it. */
  readonly passphrase: string | null;
}

/**
 * Opens the authority of this data directory, or makes it. Several processes that open it at once get the same one.
 * Throws `invalid_input`, with what to do, where its file is open to others, sealed by another passphrase or damaged.
 */
export async function openAuthority({
  dataDir,
  passphrase,
}: AuthorityOptions): Promise<CertificateAuthority> {
  const path = authorityPath(dataDir);
  const pair =
    (await readKeyPair(path, passphrase)) ??
    (await keepKeyPair(path, await makeKeyPair(), passphrase));
  const authority = await authorityOf(pair, path);
  // For other programs: the folder of secrets is closed to them, and this is none.
  await writeFile(join(dataDir, 'ca.pem'), pair.certificate, { mode: 0o644 });
  return authority;
}

async function makeKeyPair(): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: 'CN=Rookery internal CA',
    notBefore: new Date(now - BACKDATED_MS),
    notAfter: new Date(now + AUTHORITY_LIFETIME_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      // No authority below it, and nothing but the two ends of a TLS connection.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await pemOfKey(keys.privateKey) };
}

async function authorityOf(pair: KeyPair, path: string): Promise<CertificateAuthority> {
  const own = new x509.X509Certificate(pair.certificate);
  const key = await importKey(pair.key);
  if (own.notAfter.getTime() <= Date.now()) {
    throw new AppError(
      'invalid_input',
      `The internal CA ended on ${own.notAfter.toISOString()}. Move ${path} away: a new one is made, and everybody enrols again.`,
    );
  }
  const issue = async (leaf: Leaf): Promise<IssuedCertificate> => {
    const now = Date.now();
    const notAfter = new Date(Math.min(now + leaf.lifetimeMs, own.notAfter.getTime()));
    const serial = newSerial();
    const made = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: leaf.subject,
      issuer: own.subject,
      notBefore: new Date(now - BACKDATED_MS),
      notAfter,
      publicKey: leaf.publicKey,
      signingKey: key,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([leaf.usage]),
        new x509.SubjectAlternativeNameExtension(leaf.names),
        await x509.AuthorityKeyIdentifierExtension.create(own),
      ],
    });
    const { notBefore } = made;
    return {
      pem: pemOf(made),
      serial,
      fingerprint: fingerprintOf(made),
      notBefore,
      notAfter: made.notAfter,
    };
  };

  return {
    certificate: pair.certificate,
    fingerprint: fingerprintOf(own),
    notAfter: own.notAfter,
    readRequest,
    async issueClient({ userId, publicKey, lifetimeMs }) {
      const subject = `CN=${userId}`;
      const names: x509.JsonGeneralNames = [{ type: 'url', value: uriOfUser(userId) }];
      const usage = x509.ExtendedKeyUsage.clientAuth;
      return issue({
        subject,
        names,
        usage,
        lifetimeMs,
        publicKey: new x509.PublicKey(new Uint8Array(publicKey)),
      });
    },
    async issueServer({ names, lifetimeMs }) {
      const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const issued = await issue({
        subject: 'CN=Rookery admin listener',
        names: names.map(generalName),
        usage: x509.ExtendedKeyUsage.serverAuth,
        lifetimeMs,
        publicKey: keys.publicKey,
      });
      return { ...issued, key: await pemOfKey(keys.privateKey) };
    },
  };
}

interface Leaf {
  readonly subject: string;
  readonly names: x509.JsonGeneralNames;
  readonly usage: x509.ExtendedKeyUsage;
  readonly lifetimeMs: number;
  readonly publicKey: webcrypto.CryptoKey | x509.PublicKey;
}

function generalName(name: string): x509.JsonGeneralName {
  return { type: isIP(name) === 0 ? 'dns' : 'ip', value: name };
}

/** Positive, and as long for all: a first byte from 0x40 to 0x7f. */
function newSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function fingerprintOf({ rawData }: x509.X509Certificate): string {
  return createHash('sha256').update(new Uint8Array(rawData)).digest('hex');
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new Error('A key that was kept as PEM is PEM.');
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
