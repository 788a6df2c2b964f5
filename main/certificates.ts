import { randomUUID } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Kysely } from 'kysely';
import { offerEnrolment, type OfferedEnrolment } from '../api/enrolment-offer.ts';
import type { ApiListener } from '../api/server.ts';
import { AppError } from '../domain/error.ts';
import { makeId } from '../domain/id.ts';
import type { CertificateAuthority } from '../infra/ca/contract.ts';
import type { Config } from '../infra/config/config.ts';
import { ADMIN_HOST } from '../infra/config/schema/admin.ts';
import { hasOverlord } from '../infra/db/queries/enrolment.ts';
import { findOldestWorkspace } from '../infra/db/queries/key-view.ts';
import { findLiveUser } from '../infra/db/queries/principal.ts';
import type { Database } from '../infra/db/schema.ts';
import type { Secrets } from './secrets.ts';

/** Names that mean this machine, which everybody on it may use. */
const OWN_NAMES = ['localhost', '127.0.0.1', '::1'];
const EVERYWHERE = ['0.0.0.0', '::'];
const FIRST_NAME = 'Overlord';

/** The internal CA; null where the admin listener asks for no certificates. */
export async function openCertificates(
  config: Pick<Config, 'admin' | 'dataDir'>,
  secrets: Pick<Secrets, 'resolveOwn'>,
): Promise<CertificateAuthority | null> {
  const { mtls, caPassphrase } = config.admin;
  if (mtls === 'off') return null;
  const passphrase = caPassphrase === null ? null : (await secrets.resolveOwn(caPassphrase)).trim();
  // Loaded where it is needed: the library takes a tenth of a second, which others should not wait for.
  const { openAuthority } = await import('../infra/ca/authority.ts');
  return openAuthority({ dataDir: config.dataDir, passphrase });
}

/** With an authority its routes exist behind certificates, and nowhere else. */
export function adminListenerOf(
  { admin }: Pick<Config, 'admin'>,
  authority: CertificateAuthority | null,
): ApiListener {
  if (authority === null) return { kind: 'admin', hostname: ADMIN_HOST, port: admin.port };
  const tls = { authority, names: namesOf(admin) };
  return { kind: 'admin', hostname: admin.host, port: admin.tlsPort, tls };
}

function namesOf({ names, host }: Config['admin']): readonly string[] {
  const own = EVERYWHERE.includes(host) ? OWN_NAMES : [...OWN_NAMES, host];
  return [...new Set([...names, ...own].map((name) => name.toLowerCase()))];
}

/** Where people from elsewhere find the admin listener. */
export function adminUrlOf({ admin }: Pick<Config, 'admin'>, port: number): string {
  const [name = 'localhost'] = admin.names;
  return `https://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

export interface BootstrapEnrolment {
  readonly db: Kysely<Database>;
  readonly authority: Pick<CertificateAuthority, 'fingerprint'>;
  /** Of somebody who is there; the first overlord where null. */
  readonly userId: string | null;
  /** Of the first overlord. */
  readonly name?: string;
}

/** For whoever is on the server itself: he could do anything there, so nobody is asked, and the audit has it. */
export async function offerOnServer(offer: BootstrapEnrolment): Promise<OfferedEnrolment> {
  const { db, authority, userId, name = FIRST_NAME } = offer;
  const made = await db.transaction().execute(async (tx) => {
    if ((await findOldestWorkspace(tx)) === null) {
      throw new AppError('conflict', 'There is no workspace yet: start Rookery once.');
    }
    if (userId === null && (await hasOverlord(tx))) {
      throw new AppError(
        'conflict',
        'There is an overlord already. Name the user whom the secret is for: --user usr_…',
      );
    }
    if (userId !== null && (await findLiveUser(tx, userId)) === null) {
      throw new AppError('not_found', `There is no user ${userId}, or it is disabled.`);
    }
    return offerEnrolment(tx, {
      id: makeId('enrolment', randomUUID()),
      who: userId === null ? { firstUserName: name } : { userId },
      actor: { kind: 'system', id: 'bootstrap' },
      fingerprint: authority.fingerprint,
    });
  });
  if (made === null) throw new Error('A random id is nobody else’s.');
  return made;
}

/** For a start without an overlord: what makes the first one. Null where there is one. */
export async function offerFirst(
  db: Kysely<Database>,
  authority: CertificateAuthority | null,
): Promise<string | null> {
  if (authority === null || (await hasOverlord(db))) return null;
  return (await offerOnServer({ db, authority, userId: null })).secret;
}
