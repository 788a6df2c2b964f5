import type { Logger } from 'pino';
import type { GateNote } from '../../domain/gate.ts';
import type { PolicyDecision, PolicyEngine, PolicyRequest } from '../../domain/policy.ts';
import type { RiskTable } from '../../domain/risk.ts';
import type { AuditEntry } from '../audit/entry.ts';
import { findDeciders } from '../db/queries/principal.ts';
import {
  matchStandingApprovals,
  type StandingApproval,
  type StandingQuery,
} from '../db/queries/standing-approval.ts';
import type { Executor } from '../db/schema.ts';
import { sha256Hex } from '../digest.ts';

export interface GateDeps {
  readonly policy: PolicyEngine;
  readonly risks: RiskTable;
  readonly log?: Logger;
}

/** What may be approved for ever: the canonical text, or null for what may not. */
export type Template = string | null;

/** Longer than any engine takes that works; a question that waits for it must not wait for ever. */
const ENGINE_TIMEOUT_MS = 5_000;

/** A standing approval is made by an admin, and holds while whoever made it could make it again. */
export const STANDING_ROLE = 'admin';

/**
 * May it happen? The policy first: what it denies is denied, whatever people approved for ever. What it leaves to
 * people is allowed where they have approved exactly this for ever. Fails closed: an engine that throws or does not
 * answer denies by the rule `error`.
 */
export async function askGate(
  db: Executor,
  { policy, risks, log }: GateDeps,
  { request, template }: { readonly request: PolicyRequest; readonly template: Template },
): Promise<GateNote> {
  const decision = restrained(await ask(policy, request, log), request);
  const { rule, engine, version, reason } = decision;
  const note = { rule, engine, version, reason } as const;
  if (decision.verdict !== 'ask' || template === null)
    return { ...note, verdict: decision.verdict, by: 'policy', standingId: null };
  const standing = await findStanding(db, risks, {
    workspaceId: request.workspaceId,
    templateHash: sha256Hex(template),
    recipients: request.recipients,
    risk: request.risk,
  });
  return standing === null
    ? { ...note, verdict: 'ask', by: 'policy', standingId: null }
    : { ...note, verdict: 'allow', by: 'standing', standingId: standing.id };
}

async function ask(
  policy: PolicyEngine,
  request: PolicyRequest,
  log: Logger | undefined,
): Promise<PolicyDecision> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const give = () => reject(new Error('The policy engine did not answer in time.'));
    timer = setTimeout(give, ENGINE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([policy.decide(request), late]);
  } catch (error) {
    log?.error({ err: error, action: request.action }, 'the policy engine failed: denied');
    return {
      verdict: 'deny',
      rule: 'error',
      engine: 'built-in',
      version: 0,
      reason: 'The policy could not be asked.',
    };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * How a rule says that it allows what has a high risk, too: by its name, which is in every audit entry, and which all
 * engines answer with. A rule that allows much, written with smaller things in mind, cannot do so by accident.
 */
const HIGH_RISK_RULE = /^high-risk(?:[._-]|$)/;

/** What has a high risk is allowed only by a rule that says so itself; any other leaves it to people. */
function restrained(decision: PolicyDecision, { risk }: PolicyRequest): PolicyDecision {
  if (decision.verdict !== 'allow' || risk !== 'high' || HIGH_RISK_RULE.test(decision.rule))
    return decision;
  return {
    ...decision,
    verdict: 'ask',
    reason: 'Its risk is high, and the rule that allows it is not named high-risk.',
  };
}

async function findStanding(
  db: Executor,
  { standing }: RiskTable,
  query: StandingQuery,
): Promise<StandingApproval | null> {
  if (query.risk === 'high' && !standing.highRisk) return null;
  for (const each of await matchStandingApprovals(db, query))
    if (await mayStillMake(db, each)) return each;
  return null;
}

/** Nothing is approved for ever in the name of somebody who could not approve it now. */
export async function mayStillMake(
  db: Executor,
  { workspaceId, createdBy }: Pick<StandingApproval, 'workspaceId' | 'createdBy'>,
): Promise<boolean> {
  const makers = await findDeciders(db, { workspaceId, role: STANDING_ROLE });
  return makers.includes(createdBy);
}

/** What was asked and what decided, without the words of it: those are in the approval, if there is one. */
export function gateAudit(
  { request, note }: { readonly request: PolicyRequest; readonly note: GateNote },
  { key, subjectId }: { readonly key: string; readonly subjectId: string },
): AuditEntry {
  const { action, principal, risk, dataClass, tool, isolated, payloadComplete } = request;
  const { verdict, by, rule, engine, version, standingId } = note;
  return {
    key,
    actorKind: principal.kind,
    actorId: principal.id,
    action: 'gate.decide',
    subjectId,
    detail: {
      action,
      verdict,
      by,
      rule,
      engine,
      version,
      standingId,
      risk,
      dataClass,
      tool,
      isolated,
      payloadComplete,
      contextId: request.contextId,
      recipients: [...request.recipients],
      digest: sha256Hex(request.subject),
    },
  };
}
