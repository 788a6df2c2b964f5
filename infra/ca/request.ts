import 'reflect-metadata';
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import type { CertificateRequest } from './contract.ts';

/** A request with an RSA key of 4096 bits takes less than two. */
const PEM_LENGTH_MAX = 8_192;
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1'];
const RSA_BITS = { min: 2_048, max: 4_096 } as const;
const HASHES: readonly string[] = ['SHA-256', 'SHA-384', 'SHA-512'];

/** Who asks for a certificate must show that the key is his; what else the request says plays no part. */
export async function readRequest(pem: string): Promise<CertificateRequest> {
  if (pem.length > PEM_LENGTH_MAX) throw bad(`It is longer than ${PEM_LENGTH_MAX} characters.`);
  const request = parse(pem);
  const publicKey = Buffer.from(request.publicKey.rawData);
  checkKey(importKey(publicKey));
  checkHash(request.signatureAlgorithm);
  // A signature that is no signature at all is thrown about by some algorithms.
  const isOwn = await request.verify().catch(() => false);
  if (!isOwn) throw bad('Its signature was not made with its own key.');
  return { publicKey, publicKeyHash: createHash('sha256').update(publicKey).digest('hex') };
}

function parse(pem: string): x509.Pkcs10CertificateRequest {
  try {
    const blocks = x509.PemConverter.decodeWithHeaders(pem);
    const [block] = blocks;
    if (block === undefined || blocks.length > 1 || !block.type.endsWith('CERTIFICATE REQUEST')) {
      throw new Error('Not one block of that type.');
    }
    return new x509.Pkcs10CertificateRequest(block.rawData);
  } catch (cause) {
    throw bad('It is no certificate request in PEM.', cause);
  }
}

function importKey(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (cause) {
    throw bad('Its key is none that is known.', cause);
  }
}

function checkKey(key: KeyObject): void {
  if (isStrong(key)) return;
  throw bad('Its key must be ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits.');
}

function isStrong({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (asymmetricKeyType === 'ed25519') return true;
  if (asymmetricKeyType === 'ec') return CURVES.includes(asymmetricKeyDetails?.namedCurve);
  if (asymmetricKeyType !== 'rsa') return false;
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {};
  return (
    modulusLength >= RSA_BITS.min && modulusLength <= RSA_BITS.max && publicExponent >= 65_537n
  );
}

const Signature = z.object({ hash: z.object({ name: z.string() }) });

/** Ed25519 names none: it has its own. */
function checkHash(algorithm: unknown): void {
  const named = Signature.safeParse(algorithm);
  if (named.success && !HASHES.includes(named.data.hash.name)) {
    throw bad(`It is signed with ${named.data.hash.name}; use SHA-256.`);
  }
}

function bad(why: string, cause?: unknown): AppError {
  return new AppError('invalid_input', `\`csr\` is not taken: ${why}`, { cause });
}
