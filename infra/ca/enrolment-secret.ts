import { randomBytes } from 'node:crypto';
import { sha256Hex } from '../digest.ts';

/** Long enough to walk to another machine, short enough that one left in a shell's history is worthless. */
export const ENROLMENT_VALID_MS = 10 * 60 * 1_000;
const LOOKUP_BYTES = 6;
const SECRET_BYTES = 24;
const FORM = /^rkb_([0-9a-f]{12})([0-9a-f]{48})_([0-9a-f]{64})$/;

export interface EnrolmentSecret {
  /** Finds the row, and may be shown. */
  readonly lookup: string;
  readonly secret: string;
  /** Of the authority: what a client trusts before it says anything. */
  readonly fingerprint: string;
}

export function makeEnrolmentSecret(fingerprint: string): EnrolmentSecret {
  return {
    lookup: randomBytes(LOOKUP_BYTES).toString('hex'),
    secret: randomBytes(SECRET_BYTES).toString('hex'),
    fingerprint,
  };
}

export function formatEnrolmentSecret({ lookup, secret, fingerprint }: EnrolmentSecret): string {
  return `rkb_${lookup}${secret}_${fingerprint}`;
}

/** Null for what is no such secret. */
export function parseEnrolmentSecret(text: string): EnrolmentSecret | null {
  const [, lookup, secret, fingerprint] = FORM.exec(text.trim()) ?? [];
  if (lookup === undefined || secret === undefined || fingerprint === undefined) return null;
  return { lookup, secret, fingerprint };
}

/** It is random, so a slow hash would only slow us. */
export function hashOfEnrolment({ secret }: Pick<EnrolmentSecret, 'secret'>): string {
  return sha256Hex(secret);
}
