import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { AppError } from '../domain/error.ts';
import { makeId, parseId, type UserId } from '../domain/id.ts';
import type { EnrolSchema } from '../domain/schema/certificate.ts';
import type { CertificateRequest } from '../infra/ca/contract.ts';
import { hashOfEnrolment, parseEnrolmentSecret } from '../infra/ca/enrolment-secret.ts';
import { findCertificateOfEnrolment, insertCertificate } from '../infra/db/queries/certificate.ts';
import {
  countFailures,
  hasOverlord,
  lockAddress,
  lockFirstEnrolment,
  noteFailure,
  noteWrongTry,
  takeEnrolment,
  useEnrolment,
  type FoundEnrolment,
} from '../infra/db/queries/enrolment.ts';
import { findLiveUser } from '../infra/db/queries/principal.ts';
import { insertRoleBinding } from '../infra/db/queries/role-binding.ts';
import { insertUser } from '../infra/db/queries/user.ts';
import type { Executor } from '../infra/db/schema.ts';
import { equalText } from '../infra/digest.ts';
import { recordCertificates, type CertificateFact } from './certificate-record.ts';
import { CERTIFICATE_LIFETIME_MS, officeOf, viewIssued } from './certificate-view.ts';
import type { ApiDeps } from './deps.ts';
import { HttpError } from './errors.ts';

/** Compared against where there is no row, so that an unknown secret costs what a wrong one costs. */
const NO_HASH = '0'.repeat(64);
/** Of one secret: whoever has it copies it, and does not try parts of it. */
const TRIES_MAX = 5;
/** Of one address, in the window: more than a person mistypes, and 2^-180 of what a guess would need. */
const FAILURES_MAX = 10;
const WINDOW_MS = 10 * 60 * 1_000;

export interface EnrolmentRequest {
  readonly body: z.output<typeof EnrolSchema>;
  /** Where it comes from. */
  readonly address: string;
}

/**
 * A certificate for whoever shows a secret that is good and has the key of his request. All of it is one transaction:
 * user, certificate and the end of the secret are there together or not at all. Shown again with the same key, the
 * secret answers with the same certificate, for an answer that was lost on its way.
 */
export async function enrol(deps: ApiDeps, { body, address }: EnrolmentRequest) {
  const office = officeOf(deps);
  const request = await office.authority.readRequest(body.csr);
  const outcome = await deps.db.transaction().execute(async (tx) => {
    await lockAddress(tx, address);
    const failures = await countFailures(tx, { address, windowMs: WINDOW_MS });
    if (failures >= FAILURES_MAX) return { kind: 'locked' } as const;
    const found = await findGood(tx, {
      text: body.secret,
      fingerprint: office.authority.fingerprint,
    });
    const isRepeat = found?.isUsed === true;
    const earlier = isRepeat
      ? await findCertificateOfEnrolment(tx, { enrolmentId: found.id, ...request })
      : null;
    if (found === null || (isRepeat && earlier === null)) {
      await noteGuess(tx, { text: body.secret, address, failures: failures + 1 });
      return { kind: 'wrong' } as const;
    }
    const certificate =
      earlier ?? (await issue(tx, deps, { found, request, label: body.label ?? '' }));
    return { kind: 'issued', certificate } as const;
  });
  if (outcome.kind === 'locked') throw lockedOut();
  if (outcome.kind === 'wrong') throw notGood();
  return viewIssued(deps, outcome.certificate);
}

interface Shown {
  readonly text: string;
  readonly fingerprint: string;
}

/** The enrolment whose secret this is, if it may be used or was used in its time. */
async function findGood(tx: Executor, shown: Shown): Promise<FoundEnrolment | null> {
  const parsed = parseEnrolmentSecret(shown.text);
  // Looked up even when malformed: every refusal does the same work.
  const found = await takeEnrolment(tx, parsed?.lookup ?? '');
  const isRight = equalText(hashOfEnrolment(parsed ?? { secret: '' }), found?.hash ?? NO_HASH);
  if (found === null || !isRight || found.isOver) return null;
  return parsed?.fingerprint === shown.fingerprint ? found : null;
}

interface Guess {
  readonly text: string;
  readonly address: string;
  /** With this one. */
  readonly failures: number;
}

async function noteGuess(tx: Executor, { text, address, failures }: Guess): Promise<void> {
  const lookup = parseEnrolmentSecret(text)?.lookup ?? '';
  const isVoided = await noteWrongTry(tx, { lookup, triesMax: TRIES_MAX });
  await noteFailure(tx, { address, windowMs: WINDOW_MS });
  if (!isVoided && failures < FAILURES_MAX) return;
  const what = isVoided ? { secret: lookup } : { failures };
  await recordCertificates(tx, [
    {
      key: `enrolment:${randomUUID()}:locked`,
      type: 'enrolment.locked',
      actor: { kind: 'system', id: 'enrolment' },
      action: 'enrolment.lock',
      subjectId: address,
      data: { address, ...what },
      detail: { before: null, after: { address, ...what } },
    },
  ]);
}

interface Issue {
  readonly found: FoundEnrolment;
  readonly request: CertificateRequest;
  readonly label: string;
}

async function issue(tx: Executor, deps: ApiDeps, { found, request, label }: Issue) {
  const { authority } = officeOf(deps);
  const { userId, facts } = await userOf(tx, found);
  const lifetimeMs = CERTIFICATE_LIFETIME_MS;
  const issued = await authority.issueClient({ userId, publicKey: request.publicKey, lifetimeMs });
  // Before the certificate, which names both.
  await useEnrolment(tx, { id: found.id, userId });
  const id = makeId('certificate', randomUUID());
  const { pem, serial, fingerprint, notAfter: expiresAt } = issued;
  const certificate = await insertCertificate(tx, {
    id,
    userId,
    serial,
    fingerprint,
    publicKeyHash: request.publicKeyHash,
    pem,
    label,
    enrolmentId: found.id,
    renewsId: null,
    expiresAt,
  });
  await recordCertificates(tx, [
    ...facts,
    {
      key: `${id}:issue`,
      type: 'certificate.issued',
      actor: { kind: 'user', id: userId },
      action: 'certificate.issue',
      subjectId: id,
      data: { userId },
      detail: {
        before: null,
        after: { userId, serial, fingerprint, enrolmentId: found.id, offeredBy: found.createdBy },
      },
    },
  ]);
  return certificate;
}

interface FoundUser {
  readonly userId: UserId;
  /** What is to be recorded of him. */
  readonly facts: readonly CertificateFact[];
}

async function userOf(
  tx: Executor,
  { id, userId, userName, createdBy }: FoundEnrolment,
): Promise<FoundUser> {
  if (userId === null) return makeFirst(tx, { enrolmentId: id, name: userName ?? '', createdBy });
  const user = await findLiveUser(tx, userId);
  if (user === null) throw new AppError('policy_denied', 'The user of this secret is disabled.');
  return { userId: user.id, facts: [] };
}

interface First {
  readonly enrolmentId: string;
  readonly name: string;
  readonly createdBy: string;
}

/** The first of all has every power: somebody must be able to give the others theirs. */
async function makeFirst(
  tx: Executor,
  { enrolmentId, name, createdBy }: First,
): Promise<FoundUser> {
  await lockFirstEnrolment(tx);
  if (await hasOverlord(tx)) {
    throw new AppError(
      'conflict',
      'There is an overlord already. Ask for a secret of your own, or make one on the server for a user that is there.',
    );
  }
  const userId = makeId('user', randomUUID());
  const bindingId = makeId('roleBinding', randomUUID());
  const place = { kind: 'installation' } as const;
  await insertUser(tx, { id: userId, name, createdBy });
  await insertRoleBinding(tx, { id: bindingId, userId, role: 'overlord', place, createdBy });
  const actor = { kind: 'system', id: createdBy } as const;
  return {
    userId: parseId('user', userId),
    facts: [
      {
        key: `${userId}:create`,
        type: 'user.created',
        actor,
        action: 'user.create',
        subjectId: userId,
        detail: { before: null, after: { name, enrolmentId } },
      },
      {
        key: `${bindingId}:grant`,
        type: 'role.granted',
        actor,
        action: 'role.grant',
        subjectId: bindingId,
        data: { userId, role: 'overlord' },
        detail: { before: null, after: { userId, role: 'overlord', place } },
      },
    ],
  };
}

/** One answer for every way of not being good: which one it was would help only an attacker. */
function notGood(): AppError {
  return new AppError(
    'unauthenticated',
    'This secret is not good. One works once, for ten minutes: make another with `rookery enrol-secret` on the server, or ask an admin.',
  );
}

function lockedOut(): HttpError {
  return new HttpError(
    'limit_exceeded',
    'Too many wrong secrets came from this address. Try again in ten minutes.',
    { headers: { 'retry-after': String(WINDOW_MS / 1_000) } },
  );
}
