import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import type { z } from 'zod';
import type { IssuedCertificateSchema } from '../domain/schema/certificate.ts';
import { CliError } from './exit.ts';
import type { Profile } from './profile.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface OwnRequest {
  /** PKCS #8 as PEM. It goes into this machine's profile and nowhere else. */
  readonly key: string;
  /** PEM. It says nothing of who asks: the secret, or the earlier certificate, does. */
  readonly csr: string;
}

export async function makeRequest(): Promise<OwnRequest> {
  // Loaded where it is needed: it takes a tenth of a second, which other commands should not wait for.
  await import('reflect-metadata');
  const { PemConverter, Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const made = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=rookery',
    keys,
    signingAlgorithm: ALGORITHM,
  });
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: `${PemConverter.encode(der, 'PRIVATE KEY')}\n`, csr: `${made.toString('pem')}\n` };
}

type Issued = z.output<typeof IssuedCertificateSchema>;

export interface Answered {
  readonly issued: Issued;
  readonly key: string;
  /** Hex SHA-256 of the authority's certificate, known before it was asked. */
  readonly fingerprint: string;
  readonly url: string;
}

/** What an answer is worth: made by the authority that was expected, for our own key. Throws where it is not. */
export function profileOf({ issued, key, fingerprint, url }: Answered): Profile {
  const authority = readCertificate(issued.chain);
  const certificate = readCertificate(issued.pem);
  if (authority === null || fingerprintOf(authority) !== fingerprint) {
    throw notTrusted(
      'It names another authority than the secret does: somebody may be in between.',
    );
  }
  if (certificate === null || !isIssuedBy(certificate, authority)) {
    throw notTrusted('Its certificate was not made by that authority.');
  }
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw notTrusted('Its certificate is for another key than ours.');
  }
  return {
    url,
    adminUrl: issued.adminUrl,
    user: issued.user,
    certificateId: issued.certificate.id,
    expiresAt: issued.certificate.expiresAt,
    certificate: issued.pem,
    key,
    authority: issued.chain,
  };
}

/** Lower-case hex SHA-256. */
export function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(':', '').toLowerCase();
}

function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function isIssuedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function notTrusted(why: string): CliError {
  return new CliError('denied', `The answer is not trusted. ${why}`, {
    hint: 'Nothing was stored. The secret may be used up: ask for another, and tell an admin.',
  });
}
