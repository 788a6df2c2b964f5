import { X509Certificate } from 'node:crypto';
import { IssuedCertificateSchema } from '../domain/schema/certificate.ts';
import { fingerprintOf, makeRequest, profileOf } from './certificate-request.ts';
import { ApiClient } from './client.ts';
import { CliError } from './exit.ts';
import type { CliIo } from './io.ts';
import { identityIn, readProfile, writeProfile, type Profile } from './profile.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
/** A third of a certificate's time: who works once a week never loses it. */
const RENEW_BEFORE_MS = 10 * DAY_MS;
/** A listener that is away is not asked with every command. */
const TRY_AGAIN_MS = 60 * 60 * 1_000;

export interface Renewal {
  readonly path: string;
  readonly io: CliIo;
  readonly signal: AbortSignal;
}

/** Renews the certificate of this machine while it is good. The earlier one stays good until its own end. */
export async function renewProfile(
  profile: Profile,
  { path, signal }: Omit<Renewal, 'io'>,
): Promise<Profile> {
  const identity = identityIn(profile);
  const client = new ApiClient({ url: new URL(profile.adminUrl), key: null, identity }, signal);
  try {
    const { key, csr } = await makeRequest();
    const { body: issued } = await client.send({
      method: 'POST',
      path: '/v1/certificates/renew',
      body: { csr },
      schema: IssuedCertificateSchema,
    });
    const fingerprint = fingerprintOf(new X509Certificate(profile.authority));
    const renewed = profileOf({ issued, key, fingerprint, url: profile.url });
    // Where it was found, rather than where the listener says that it is: that may be behind a tunnel.
    const written = { ...renewed, adminUrl: profile.adminUrl };
    writeProfile(path, written);
    return written;
  } finally {
    await client.close();
  }
}

/** One that cannot be used is told of by who needs it. */
function readAny(path: string): Profile | null {
  try {
    return readProfile(path);
  } catch (error) {
    if (error instanceof CliError) return null;
    throw error;
  }
}

/** Before a command: in the last third of its time the certificate is renewed. Answers words where that failed. */
export async function renewIfDue(renewal: Renewal): Promise<string | null> {
  const { path, io } = renewal;
  const profile = readAny(path);
  if (profile === null) return null;
  const leftMs = Date.parse(profile.expiresAt) - io.now();
  const triedAt = Date.parse(profile.renewalTriedAt ?? '1970-01-01T00:00:00Z');
  if (leftMs <= 0 || leftMs > RENEW_BEFORE_MS || io.now() - triedAt < TRY_AGAIN_MS) return null;
  try {
    await renewProfile(profile, renewal);
    return null;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    writeProfile(path, { ...profile, renewalTriedAt: new Date(io.now()).toISOString() });
    return `The certificate of this machine ends on ${profile.expiresAt} and was not renewed: ${error.message}`;
  }
}
