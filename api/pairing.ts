import type { z } from 'zod';
import { AppError } from '../domain/error.ts';
import { parseId, type UserId } from '../domain/id.ts';
import type { ApprovePairingSchema } from '../domain/schema/pairing.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { findOldestWorkspace } from '../infra/db/queries/key-view.ts';
import {
  countWrongToken,
  endPairing,
  findPairingByHash,
  getPairing,
  lockedUntil,
  markPairingShown,
  type GuardRules,
  type Pairing,
} from '../infra/db/queries/pairing.ts';
import type { Executor } from '../infra/db/schema.ts';
import { equalText } from '../infra/digest.ts';
import { pairingHash } from './chat/pair.ts';
import type { ApiDeps } from './deps.ts';
import { repeatableId } from './repeatable-id.ts';
import type { Caller } from './route.ts';
import { grantRole, linkTo, makeUser, requireUser } from './user.ts';

/** A person mistypes a token a few times; an address may be that of several people. */
const OF_ADMIN: GuardRules = { failuresMax: 8, windowMs: 600_000, lockMs: 900_000 };
const OF_ADDRESS: GuardRules = { failuresMax: 30, windowMs: 600_000, lockMs: 900_000 };
/** Compared against where there is no row, so that an unknown token costs what a known one costs. */
const NO_HASH = '0'.repeat(64);

export interface Lookup {
  readonly caller: Caller;
  readonly token: string;
  readonly address: string;
}

/** Who shows this token. Wrong ones are counted, and lock whoever enters too many out for a while. */
export async function lookUpPairing({ db }: ApiDeps, lookup: Lookup): Promise<Pairing> {
  const guards = [
    { who: `user:${lookup.caller.id}`, rules: OF_ADMIN },
    { who: `address:${lookup.address}`, rules: OF_ADDRESS },
  ];
  const until = await lockedUntil(
    db,
    guards.map(({ who }) => who),
  );
  if (until !== null) throw locked(until);
  const hash = pairingHash(lookup.token);
  const found = await findPairingByHash(db, hash);
  const isRight = equalText(hash, found?.tokenHash ?? NO_HASH);
  if (found === null || !isRight) {
    for (const { who, rules } of guards) {
      const lockedTill = await countWrongToken(db, who, rules);
      if (lockedTill !== null) await recordLock(db, { lookup, who, until: lockedTill });
    }
    throw notGood();
  }
  if (found.state !== 'pending' && found.state !== 'shown') throw notGood();
  await db.transaction().execute(async (tx) => {
    await markPairingShown(tx, found.id);
    await record(tx, { caller: lookup.caller, pairing: found, verb: 'show', after: {} });
  });
  return requirePairing(db, found.id);
}

function notGood(): AppError {
  return new AppError(
    'not_found',
    'No such token: it was mistyped, used, or is older than ten minutes. "pair" in a direct chat gives a new one.',
  );
}

function locked(until: Date): AppError {
  const minutes = Math.max(1, Math.ceil((until.getTime() - Date.now()) / 60_000));
  return new AppError('limit_exceeded', `Too many wrong tokens. Try again in ${minutes} min.`);
}

async function recordLock(
  db: Executor,
  lock: { readonly lookup: Lookup; readonly who: string; readonly until: Date },
): Promise<void> {
  const workspaceId = await findOldestWorkspace(db);
  if (workspaceId === null) return;
  const { caller, address } = lock.lookup;
  const until = lock.until.toISOString();
  const key = `pairing:${lock.who}:locked:${until}`;
  const data = { who: lock.who, until };
  await appendRecord(db, {
    workspaceId,
    events: [{ key, type: 'pairing.locked_out', subjectId: caller.id, data }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: 'pairing.lock_out',
        subjectId: caller.id,
        detail: { ...data, address },
      },
    ],
  });
}

export interface Approving {
  readonly caller: Caller;
  readonly id: string;
  readonly body: z.output<typeof ApprovePairingSchema>;
  readonly requestId: string;
}

/** Links the account, and gives the role, in one step: it applies to whatever he says next. */
export async function approvePairing({ db }: ApiDeps, approving: Approving) {
  const { caller, id, body, requestId } = approving;
  return db.transaction().execute(async (tx) => {
    const change = { tx, caller };
    const pairing = await requirePairing(tx, id);
    const newId = repeatableId('user', ['pairing', caller.id, requestId]);
    const user =
      body.newUser === undefined
        ? await requireUser(tx, body.userId ?? '')
        : await makeUser(change, { id: newId, name: body.newUser.name });
    const userId = parseId('user', user.id);
    if (!(await endPairing(tx, { id, state: 'linked', by: caller.id, userId })))
      throw ended(pairing);
    const identity = await linkTo(change, {
      id: repeatableId('identity', ['pairing', id]),
      userId,
      kind: pairing.network,
      issuer: '',
      subject: pairing.subject,
      displayName: pairing.displayName,
    });
    const role = await roleFor(approving, { tx, userId });
    await record(tx, {
      caller,
      pairing,
      verb: 'approve',
      after: { userId, identityId: identity.id },
    });
    return { pairing: await requirePairing(tx, id), user, identity, role };
  });
}

async function roleFor(
  { caller, id, body }: Approving,
  { tx, userId }: { readonly tx: Executor; readonly userId: UserId },
) {
  if (body.role === undefined) return null;
  const place =
    body.workspaceId === undefined
      ? ({ kind: 'installation' } as const)
      : ({ kind: 'workspace', workspaceId: body.workspaceId } as const);
  const bindingId = repeatableId('roleBinding', ['pairing', id]);
  return grantRole({ tx, caller }, { id: bindingId, userId, role: body.role, place });
}

export async function refusePairing(
  { db }: ApiDeps,
  { caller, id }: { readonly caller: Caller; readonly id: string },
): Promise<Pairing> {
  return db.transaction().execute(async (tx) => {
    const pairing = await requirePairing(tx, id);
    const end = { id, state: 'refused' as const, by: caller.id, userId: null };
    if (await endPairing(tx, end)) {
      await record(tx, { caller, pairing, verb: 'refuse', after: { state: 'refused' } });
    } else if (pairing.state !== 'refused') {
      throw ended(pairing);
    }
    return requirePairing(tx, id);
  });
}

function ended({ state }: Pairing): AppError {
  const why =
    state === 'pending'
      ? 'Enter its token first: who has the token is who is to be linked.'
      : `This pairing is ${state}. "pair" in a direct chat begins another one.`;
  return new AppError('conflict', why);
}

async function requirePairing(db: Executor, id: string): Promise<Pairing> {
  const pairing = await getPairing(db, id);
  if (pairing !== null) return pairing;
  throw new AppError('not_found', 'There is no such pairing.');
}

interface PairingRecord {
  readonly caller: Caller;
  readonly pairing: Pairing;
  readonly verb: 'show' | 'approve' | 'refuse';
  readonly after: Readonly<Record<string, unknown>>;
}

const EVENTS = {
  show: 'pairing.shown',
  approve: 'pairing.approved',
  refuse: 'pairing.refused',
} as const;

async function record(
  tx: Executor,
  { caller, pairing, verb, after }: PairingRecord,
): Promise<void> {
  const workspaceId = await findOldestWorkspace(tx);
  if (workspaceId === null) return;
  const { id, connectorId, subject } = pairing;
  const key = `${id}:${verb}:${caller.id}`;
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type: EVENTS[verb], subjectId: id, data: { connectorId, by: caller.id } }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: `pairing.${verb}`,
        subjectId: id,
        detail: { connectorId, subject, via: caller.via, before: { state: pairing.state }, after },
      },
    ],
  });
}

export function pairingView({ seq: _seq, tokenHash: _hash, userId: _user, ...pairing }: Pairing) {
  return {
    ...pairing,
    id: parseId('pairing', pairing.id),
    connectorId: parseId('connector', pairing.connectorId),
    createdAt: pairing.createdAt.toISOString(),
    expiresAt: pairing.expiresAt.toISOString(),
  };
}
