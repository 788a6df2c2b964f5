import { setTimeout as delay } from 'node:timers/promises';
import { createTwoFilesPatch } from 'diff';
import type { z } from 'zod';
import { AppError } from '../domain/error.ts';
import type { Id, WorkspaceId } from '../domain/id.ts';
import type { PolicyProblem } from '../domain/policy.ts';
import type { ProposePolicySchema } from '../domain/schema/policy.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import {
  activatePolicy,
  findActivePolicyId,
  findPolicyVersion,
  getPolicy,
  insertPolicy,
  listPolicyRequests,
  type Policy,
  type PolicyVersion,
} from '../infra/db/queries/policy.ts';
import type { Executor } from '../infra/db/schema.ts';
import { storableText } from '../infra/db/storable.ts';
import { digestOf } from '../infra/digest.ts';
import { OPA_PATH } from '../infra/config/schema/policy.ts';
import { readAside } from '../infra/policy/aside.ts';
import type { PolicyReading } from '../infra/policy/cedar-read.ts';
import { DEFAULT_CEDAR } from '../infra/policy/default-policy.ts';
import { dryRun as compare } from '../infra/policy/trial.ts';
import { ACTIVATION_SETTLES_MS } from '../infra/policy/versions.ts';
import type { ApiDeps } from './deps.ts';
import { HttpError } from './errors.ts';
import type { Caller } from './route.ts';

/** Two texts that have nothing in common take long to compare. */
const DIFF_TIMEOUT_MS = 1_000;

type Proposal = z.output<typeof ProposePolicySchema> & {
  readonly id: Id<'policy'>;
  readonly workspaceId: WorkspaceId;
};

export interface Proposed {
  readonly policy: Policy;
  readonly isNew: boolean;
  readonly warnings: readonly PolicyProblem[];
}

/** Keeps a text as a version, once it was found good. Nothing changes until it is activated. */
export async function propose(
  deps: Pick<ApiDeps, 'db' | 'opa'>,
  caller: Caller,
  { id, workspaceId, engine, note, text: given }: Proposal,
): Promise<Proposed> {
  const text = storableText(given);
  const { rules, problems } = await readProposal(deps, engine, text);
  if (problems.some(({ severity }) => severity === 'error')) throw refused(problems);
  const digest = digestOf({ engine, text });
  const made = await deps.db.transaction().execute(async (tx) => {
    const policy = { id, workspaceId, engine, text, rules, digest, note, createdBy: caller.id };
    const result = await insertPolicy(tx, policy);
    if (result.isNew) {
      const { version } = result.policy;
      await record(tx, {
        caller,
        workspaceId,
        policyId: id,
        verb: 'propose',
        facts: { version, engine, digest, note },
      });
    }
    return result;
  });
  return { ...made, warnings: problems };
}

async function readProposal(
  { opa }: Pick<ApiDeps, 'opa'>,
  engine: Proposal['engine'],
  text: string,
): Promise<PolicyReading> {
  if (engine === 'cedar') return readAside(text);
  if (engine === 'built-in') {
    return text === '' ? { rules: [], problems: [] } : problem('The built-in policy has no text.');
  }
  if ((opa ?? null) === null) return problem('There is no OPA server: set policy.opa.url.');
  if (text !== '' && !OPA_PATH.test(text)) {
    return problem('For OPA the text is the path of a document, such as rookery/decision.');
  }
  return { rules: [], problems: [] };
}

function problem(message: string): PolicyReading {
  return { rules: [], problems: [{ severity: 'error', message, line: 0, column: 0 }] };
}

function refused(problems: readonly PolicyProblem[]): HttpError {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  const others = errors.length > 1 ? ` There are ${errors.length - 1} more.` : '';
  const where =
    first === undefined || first.line === 0 ? '' : `line ${first.line}, column ${first.column}: `;
  return new HttpError(
    'invalid_input',
    `The policy is not good: ${where}${first?.message ?? ''}.${others}`.replace('..', '.'),
    { current: { problems } },
  );
}

/**
 * Makes a version hold. When this answers, each decision that begins anywhere decides by it: the wait is what makes
 * that true in other processes.
 */
export async function activate(
  { db }: Pick<ApiDeps, 'db'>,
  caller: Caller,
  policyId: string,
): Promise<Policy> {
  const policy = await findPolicy(db, policyId);
  const { workspaceId, version, engine, digest } = policy;
  await db.transaction().execute(async (tx) => {
    const before = await activatePolicy(tx, { id: policyId, workspaceId, by: caller.id });
    if (before?.id === policyId) return;
    const was =
      before === null ? { id: null, version: 0, engine: 'built-in', digest: '' } : pick(before);
    const facts = { version, engine, digest, before: was };
    await record(tx, { caller, workspaceId, policyId, verb: 'activate', facts });
  });
  await delay(ACTIVATION_SETTLES_MS);
  return findPolicy(db, policyId);
}

function pick({ id, version, engine, digest }: PolicyVersion) {
  return { id, version, engine, digest };
}

interface PolicyRecord {
  readonly caller: Caller;
  readonly workspaceId: string;
  readonly policyId: string;
  readonly verb: 'propose' | 'activate';
  readonly facts: Readonly<Record<string, unknown>>;
}

async function record(
  tx: Executor,
  { caller, workspaceId, policyId, verb, facts }: PolicyRecord,
): Promise<void> {
  const key = `policy:${policyId}:${verb}:${verb === 'propose' ? '' : crypto.randomUUID()}`;
  const type = verb === 'propose' ? 'policy.proposed' : 'policy.activated';
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type, subjectId: policyId, data: { by: caller.id, ...facts } }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: `policy.${verb}`,
        subjectId: policyId,
        detail: facts,
      },
    ],
  });
}

export async function findPolicy(db: Executor, id: string): Promise<Policy> {
  const policy = await getPolicy(db, id);
  if (policy === null) throw new AppError('not_found', 'There is no such version of a policy.');
  return policy;
}

/** By its number: 0 is the built-in policy, and nothing the one that holds. Null for the built-in one. */
export async function findVersion(
  db: Executor,
  { workspaceId, version }: { readonly workspaceId: string; readonly version: number | undefined },
): Promise<Policy | null> {
  if (version === 0) return null;
  if (version === undefined) {
    const id = await findActivePolicyId(db, workspaceId);
    return id === null ? null : findPolicy(db, id);
  }
  const found = await findPolicyVersion(db, { workspaceId, version });
  if (found === null) throw new AppError('not_found', `There is no version ${version} here.`);
  return found;
}

/** What differs between a version and another of its workspace, as `diff -u` prints it. */
export function diffOf(before: Policy | null, after: Policy) {
  const [from, to] = [textOf(before), textOf(after)];
  const patch =
    from === to
      ? ''
      : createTwoFilesPatch(nameOf(before), nameOf(after), from, to, undefined, undefined, {
          timeout: DIFF_TIMEOUT_MS,
        });
  if (patch === undefined) {
    throw new AppError('limit_exceeded', 'The two have too little in common to be compared.');
  }
  const shown = { version: before?.version ?? 0, engine: before?.engine ?? ('built-in' as const) };
  return { from: shown, to: { version: after.version, engine: after.engine }, diff: patch };
}

/** The built-in policy is compared by the text that says the same. */
function textOf(policy: Policy | null): string {
  if (policy === null || policy.engine === 'built-in') return DEFAULT_CEDAR;
  return policy.engine === 'opa' ? `opa ${policy.text}\n` : policy.text;
}

function nameOf(policy: Policy | null): string {
  return policy === null ? 'built-in' : `version ${policy.version} (${policy.engine})`;
}

/** What would be answered otherwise, of what was asked lately, if this version took the place of the one that holds. */
export async function dryRun(
  { db, opa = null }: Pick<ApiDeps, 'db' | 'opa'>,
  { policyId, last }: { readonly policyId: string; readonly last: number },
) {
  const after = await findPolicy(db, policyId);
  const { workspaceId } = after;
  const before = await findVersion(db, { workspaceId, version: undefined });
  const recorded = await listPolicyRequests(db, { workspaceId, limit: last });
  const result = await compare({ before, after, opa }, recorded);
  const changes = result.changes.map((change) => ({ ...change }));
  return {
    from: before?.version ?? 0,
    to: after.version,
    ...result,
    counts: { ...result.counts },
    changes,
  };
}
