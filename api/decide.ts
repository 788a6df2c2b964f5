import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { isTerminal } from '../domain/agent.ts';
import type { DecisionOutcome, Risk } from '../domain/approval.ts';
import { AppError } from '../domain/error.ts';
import { covers, type Role } from '../domain/principal.ts';
import type { DecidedSchema, DecideRequestSchema } from '../domain/schema/approval.ts';
import { findListedAgent } from '../infra/db/queries/agent-view.ts';
import type { Approval } from '../infra/db/queries/approval.ts';
import { viewApproval, type ApprovalView } from '../infra/db/queries/approval-view.ts';
import { getApprovalRequest } from '../infra/db/queries/grant.ts';
import { sealNote } from '../infra/secrets/note.ts';
import { personOf } from '../infra/db/queries/person.ts';
import { findDeciders } from '../infra/db/queries/principal.ts';
import { STANDING_ROLE } from '../infra/gate/gate.ts';
import { signDecision } from '../infra/secrets/proof.ts';
import { decideApproval } from '../workflows/contracts/approval.ts';
import type { ApiDeps } from './deps.ts';
import { HttpError } from './errors.ts';
import type { Caller } from './route.ts';
import { sendUpdate, type Sent } from './update.ts';

type DecideRequest = z.output<typeof DecideRequestSchema>;
export type Decided = z.input<typeof DecidedSchema>;

export interface DecisionCall {
  readonly approvalId: string;
  readonly caller: Caller;
  readonly request: DecideRequest;
  /** Where the same is granted from then on, too. */
  readonly forever?: Forever;
}

interface Forever {
  readonly standingId: string;
  /** Writes down what is to stand, once it is clear that this person may grant it. */
  readonly propose: (approval: Approval) => Promise<void>;
}

type LabelledCall = DecisionCall & { readonly optionLabel: string | null };

/**
 * The one way in for a person's decision, whatever the surface: checks what can be told at once in words, signs
 * what the authenticated caller decided, and hands it to the approval's workflow, which checks all of it again.
 */
export async function decide(deps: ApiDeps, call: DecisionCall): Promise<Decided> {
  const view = await viewApproval(deps.db, call.approvalId);
  if (view === null) throw new AppError('not_found', 'There is no such approval.');
  checkOpen(view);
  checkDigest(view, call.request);
  const optionLabel = labelOf(view, call.request);
  const risk = optionLabel === null ? view.approval.risk : 'high';
  await checkMayDecide(deps, { view, call, risk });
  await checkAsker(deps, view);
  await call.forever?.propose(view.approval);

  const sent = await send(deps, { ...call, optionLabel });
  switch (sent.kind) {
    case 'pending':
      return { status: 'pending' };
    case 'absent':
      throw await closedProblem(deps, call.approvalId);
    case 'answered':
      return answerOf(deps, call, sent.answer);
  }
}

async function answerOf(
  deps: ApiDeps,
  { approvalId, request }: DecisionCall,
  outcome: DecisionOutcome,
): Promise<Decided> {
  switch (outcome.kind) {
    case 'decided':
      // Two votes of one moment both count, and the other one may have decided.
      if ((outcome.state === 'granted') !== (request.verdict === 'grant')) {
        throw await closedProblem(deps, approvalId);
      }
      return { status: 'decided', state: outcome.state };
    case 'counted':
      return { status: 'counted', votes: outcome.votes, quorum: outcome.quorum };
    case 'already':
      throw await closedProblem(deps, approvalId);
    case 'rejected':
      throw new AppError('conflict', outcome.reason);
  }
}

/**
 * The update's id is fixed, so a repeated decision is applied once. A rejection may be that of an earlier try
 * whose proof had grown old on its way: that one is remembered under the id, so the fresh proof needs another.
 */
async function send(deps: ApiDeps, call: LabelledCall): Promise<Sent<DecisionOutcome>> {
  const { approvalId, caller, request, forever } = call;
  const how = forever === undefined ? request.verdict : 'forever';
  const updateId = `${approvalId}:${caller.id}:${how}`;
  const first = await sendProof(deps, call, updateId);
  if (first.kind !== 'answered' || first.answer.kind !== 'rejected') return first;
  return sendProof(deps, call, `${updateId}:${randomBytes(8).toString('hex')}`);
}

async function sendProof(
  { temporal, secrets, clock }: ApiDeps,
  { approvalId, caller, request, optionLabel, forever }: LabelledCall,
  updateId: string,
): Promise<Sent<DecisionOutcome>> {
  const decision = signDecision(secrets.proofKey, {
    approvalId,
    digest: request.digest,
    verdict: request.verdict,
    optionLabel,
    note: sealNote((plain) => secrets.seal(plain), request.note ?? null),
    principalKind: 'user',
    principalId: caller.id,
    issuedAtMs: clock.now(),
    nonce: randomBytes(16).toString('hex'),
    ...(forever === undefined ? {} : { standingId: forever.standingId }),
  });
  return sendUpdate(temporal, {
    workflowId: approvalId,
    update: decideApproval,
    updateId,
    args: [decision],
  });
}

function checkOpen({ approval, votes }: ApprovalView): void {
  if (approval.state === 'open') return;
  throw alreadyClosed({ approval, votes });
}

/** Says who decided what, so that the second person of two knows. */
function alreadyClosed({ approval, votes }: Pick<ApprovalView, 'approval' | 'votes'>): HttpError {
  const by = votes.map(({ principalId }) => principalId).join(', ');
  const whose = by === '' ? '' : ` by ${by}`;
  return new HttpError('conflict', `This approval is already ${approval.state}${whose}.`, {
    current: {
      state: approval.state,
      decidedAt: approval.decidedAt?.toISOString() ?? null,
      votes: votes.map(({ principalId, verdict, issuedAtMs }) => ({
        principalId,
        verdict,
        at: new Date(issuedAtMs).toISOString(),
      })),
    },
  });
}

async function closedProblem({ db }: ApiDeps, approvalId: string): Promise<AppError> {
  const view = await viewApproval(db, approvalId);
  if (view !== null && view.approval.state !== 'open') return alreadyClosed(view);
  return new AppError('conflict', 'Nobody waits for this approval any more.');
}

function checkDigest({ approval }: ApprovalView, { digest }: DecideRequest): void {
  if (approval.digest === digest) return;
  throw new HttpError(
    'conflict',
    'The digest is not the one of this approval: read the payload again before you decide.',
    { current: { digest: approval.digest } },
  );
}

/**
 * The label to send: null where it names what the verdict picks by itself. Any other option may permit more than
 * this one request, which is a high risk of its own.
 */
function labelOf({ prompt }: ApprovalView, { optionLabel, verdict }: DecideRequest): string | null {
  if (optionLabel === undefined) return null;
  const options = prompt?.options ?? [];
  const option = options.find(({ label }) => label === optionLabel);
  if (option === undefined) {
    throw new HttpError('invalid_input', 'The prompt has no option with exactly this label.', {
      current: { options: options.map(({ label }) => label) },
    });
  }
  if (verdict === 'refuse' && (option.effect === 'allow_once' || option.effect === 'widen')) {
    throw new AppError('invalid_input', `This option says otherwise than ${verdict}.`);
  }
  if (verdict === 'grant' && option.effect === 'deny') {
    throw new AppError('invalid_input', 'This option says otherwise than grant.');
  }
  const usual = verdict === 'grant' ? 'allow_once' : 'deny';
  return options.find(({ effect }) => effect === usual) === option ? null : optionLabel;
}

interface Deciding {
  readonly view: ApprovalView;
  readonly call: DecisionCall;
  readonly risk: Risk;
}

/** AR-9: by risk. Who asked does not decide a high one alone, unless there is nobody else. */
async function checkMayDecide(deps: ApiDeps, { view, call, risk }: Deciding): Promise<void> {
  const { db } = deps;
  const { approval } = view;
  const { caller, request } = call;
  if (approval.gate?.verdict === 'deny' && request.verdict === 'grant') {
    const { rule } = approval.gate;
    throw new AppError('policy_denied', `The policy denies this (rule ${rule}).`);
  }
  const role = roleFor(deps, { view, call, risk });
  if (!covers(caller.role, role)) {
    throw new AppError(
      'policy_denied',
      `A decision of ${risk} risk needs the role ${role}; you have ${caller.role}.`,
    );
  }
  // Whoever comes by another key, certificate or chat is the same person.
  if (risk !== 'high' || (await personOf(db, approval.requestedBy)) !== caller.id) return;
  const { workspaceId, contextId } = approval;
  const deciders = await findDeciders(db, { workspaceId, contextId, role });
  if (deciders.some((id) => id !== caller.id)) {
    throw new AppError(
      'policy_denied',
      'You asked for this yourself and its risk is high: somebody else has to decide it.',
    );
  }
}

/** That of the approval; more for an option that permits more, and for what shall hold for ever. */
function roleFor({ config }: ApiDeps, { view, call, risk }: Deciding): Role {
  const needed: Role[] = [view.approval.role];
  if (risk !== view.approval.risk) needed.push(config.risks.terms[risk].role);
  if (call.forever !== undefined) needed.push(STANDING_ROLE);
  return needed.reduce((one, other) => (covers(one, other) ? one : other));
}

async function checkAsker({ db }: ApiDeps, { approval }: ApprovalView): Promise<void> {
  if (approval.askerKind !== 'agent') return;
  const agent = await findListedAgent(db, approval.askerId);
  // What an agent asked for by itself outlives its session; a dialog does not.
  const isSameSession =
    agent?.epoch === approval.askerEpoch || (await getApprovalRequest(db, approval.id)) !== null;
  if (agent !== null && !isTerminal(agent.state) && isSameSession) return;
  throw new AppError('conflict', 'The agent that asked is gone, so there is nothing to decide.');
}
