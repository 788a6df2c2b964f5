import type { Kysely } from 'kysely';
import { findActivePolicyId, getPolicy, type Policy } from '../db/queries/policy.ts';
import type { Database } from '../db/schema.ts';

/** For how long a process goes on with what it has read, without asking which version holds. */
const LEASE_MS = 250;
/**
 * How long an activation waits, after its commit, before it is answered. By then every process has asked again: what it
 * had read before the commit is used for `LEASE_MS` and no longer. Only durations count, so clocks need not agree.
 */
export const ACTIVATION_SETTLES_MS = LEASE_MS + 50;

/** Versions never change, so what was read of one is right for ever. */
const TEXTS_MAX = 512;

export interface PolicyVersions {
  /** The version that holds for a decision that begins now; null for the built-in policy. */
  active(workspaceId: string): Promise<Policy | null>;
}

interface Reading {
  /** Before the question was sent. */
  readonly at: number;
  readonly policy: Promise<Policy | null>;
}

/** Throws what the database throws: then nobody knows which version holds. */
export function createPolicyVersions(
  db: Kysely<Database>,
  now: () => number = () => performance.now(),
): PolicyVersions {
  const readings = new Map<string, Reading>();
  const texts = new Map<string, Policy>();

  const read = async (workspaceId: string): Promise<Policy | null> => {
    const id = await findActivePolicyId(db, workspaceId);
    if (id === null) return null;
    const known = texts.get(id) ?? (await getPolicy(db, id));
    if (known === null) throw new Error('The active version of a policy is there.');
    texts.delete(id);
    texts.set(id, known);
    const [oldest] = texts.keys();
    if (texts.size > TEXTS_MAX && oldest !== undefined) texts.delete(oldest);
    return known;
  };
  return {
    async active(workspaceId) {
      const begun = now();
      const last = readings.get(workspaceId);
      // Also one that is under way, if it was begun late enough: an answer that is slow is not newer for that.
      if (last !== undefined && begun - last.at < LEASE_MS) return last.policy;
      const reading = { at: begun, policy: read(workspaceId) };
      readings.set(workspaceId, reading);
      try {
        return await reading.policy;
      } catch (error) {
        // The next decision asks again, rather than fail by what is over.
        if (readings.get(workspaceId) === reading) readings.delete(workspaceId);
        throw error;
      }
    },
  };
}
