import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { riskOf } from '../domain/risk.ts';
import type { SignedDecision } from '../domain/approval.ts';
import { AppError } from '../domain/error.ts';
import { policyVoter, type GateNote } from '../domain/gate.ts';
import type { AgentId, ApprovalId, PromptId, WorkspaceId } from '../domain/id.ts';
import { sha256Hex } from '../infra/digest.ts';
import { getAgent, type Agent } from '../infra/db/queries/agent.ts';
import { openApproval, type Approval, type NewApproval } from '../infra/db/queries/approval.ts';
import { getApprovalRequest, type ApprovalRequest } from '../infra/db/queries/grant.ts';
import { getPrompt, setPromptApproval, type Prompt } from '../infra/db/queries/prompt.ts';
import type { Database } from '../infra/db/schema.ts';
import type { GateDeps } from '../infra/gate/gate.ts';
import { termsOf } from '../infra/gate/terms.ts';
import { promptPayload } from '../infra/host/prompt-digest.ts';
import { sealNote } from '../infra/secrets/note.ts';
import { signDecision } from '../infra/secrets/proof.ts';
import type { ApprovalPolicy } from '../workflows/contracts/agent.ts';
import { recordOf } from './approval-record.ts';
import { gatePrompt, gateRequest, type Gated } from './gate.ts';

export interface OpenApproval {
  readonly approvalId: ApprovalId;
  readonly workspaceId: WorkspaceId;
  /** Null where a person asks. */
  readonly agentId: AgentId | null;
  readonly epoch: number;
  readonly promptId: PromptId | null;
  readonly policy: ApprovalPolicy;
}

/** How the approval behaves, and the decision where the gate has made it by itself. */
export interface ApprovalOpened {
  readonly policy: ApprovalPolicy;
  readonly decision: SignedDecision | null;
}

export interface OpeningDeps extends GateDeps {
  readonly db: Kysely<Database>;
  readonly proofKey: Buffer;
  readonly seal: (plain: string) => Buffer;
}

/** Of a CLI's dialog, of what the agent asked for by itself, or of what a person wants to start. */
export async function openApprovalOf(
  deps: OpeningDeps,
  input: OpenApproval,
): Promise<ApprovalOpened> {
  if (input.policy.quorum < 1)
    throw new AppError('invalid_input', 'Somebody has to decide an approval.');
  const approval = await open(deps, input);
  const { role: _role, ...policy } = termsOf(deps.risks, approval.risk, input.policy);
  return { policy, decision: gateDecision(deps, approval) };
}

function open(deps: OpeningDeps, input: OpenApproval): Promise<Approval> {
  const { promptId } = input;
  return promptId === null
    ? openRequestedApproval(deps, input)
    : openPromptApproval(deps, { ...input, promptId });
}

async function openRequestedApproval(deps: OpeningDeps, input: OpenApproval): Promise<Approval> {
  const { approvalId } = input;
  const request = await getApprovalRequest(deps.db, approvalId);
  if (request === null || request.agentId !== input.agentId) throw nobodyAsked('something');
  if (request.agentId === null) return openSpawnApproval(deps, input, request);
  const agent = await getAgent(deps.db, request.agentId);
  if (agent === null) throw nobodyAsked('something');
  const gated =
    request.gate === null
      ? await gateRequest(deps.db, deps, { approvalId, agent, epoch: input.epoch, request })
      : gatedBefore(deps, request, request.gate);
  return insert(deps, input, {
    ...askerOf(agent, input),
    ...asked(request),
    gated,
    recipients: request.recipients,
    data: { agentId: agent.id, kind: request.kind },
  });
}

function openSpawnApproval(
  deps: OpeningDeps,
  input: OpenApproval,
  request: ApprovalRequest,
): Promise<Approval> {
  const { gate, requestedBy, contextId, kind } = request;
  if (gate === null || requestedBy === null) throw nobodyAsked('a spawn');
  return insert(deps, input, {
    ...asked(request),
    requestedBy,
    contextId,
    askerKind: 'system',
    askerId: input.approvalId,
    gated: gatedBefore(deps, request, gate),
    recipients: [],
    data: { kind },
  });
}

function asked({ title, payload }: ApprovalRequest) {
  return { title, payload, digest: sha256Hex(payload) };
}

/** Whoever asked the gate has put its answer on record, too. */
function gatedBefore(
  { risks }: OpeningDeps,
  { kind, payload, template, risk }: ApprovalRequest,
  note: GateNote,
): Omit<Gated, 'audit'> {
  const facts = { kind, tool: '', subject: payload, floor: risk, usual: risk };
  return { note, template, risk: riskOf(risks, facts) };
}

/** Opens the approval of a CLI's prompt: its payload is what the host saw, byte for byte. */
async function openPromptApproval(
  deps: OpeningDeps,
  input: OpenApproval & { readonly promptId: PromptId },
): Promise<Approval> {
  const { db } = deps;
  const { approvalId, promptId, epoch } = input;
  const prompt = await getPrompt(db, promptId);
  const agent = await getAgent(db, input.agentId ?? '');
  if (prompt === null || agent === null || prompt.agentId !== agent.id)
    throw nobodyAsked('a prompt');
  const approval = await insert(deps, input, {
    ...askerOf(agent, input),
    title: titleOf(agent.name, prompt),
    ...payloadOf(prompt),
    gated: await gatePrompt(db, deps, { approvalId, agent, epoch, prompt }),
    recipients: [],
    data: { agentId: agent.id, promptId },
  });
  await setPromptApproval(db, { id: promptId, approvalId });
  return approval;
}

function askerOf(agent: Agent, { epoch }: OpenApproval) {
  return {
    askerKind: 'agent',
    askerId: agent.id,
    askerEpoch: epoch,
    requestedBy: agent.ownerId,
    contextId: agent.contextId,
  } as const;
}

type Opening = Pick<
  NewApproval,
  | 'askerKind'
  | 'askerId'
  | 'title'
  | 'payload'
  | 'digest'
  | 'requestedBy'
  | 'contextId'
  | 'recipients'
> & {
  readonly askerEpoch?: number;
  readonly gated: Omit<Gated, 'audit'> & Partial<Pick<Gated, 'audit'>>;
  /** Of its event. */
  readonly data: Readonly<Record<string, string>>;
};

async function insert(
  { db, risks }: OpeningDeps,
  { approvalId, workspaceId, promptId, policy }: OpenApproval,
  { gated, data, askerEpoch = 0, ...opening }: Opening,
): Promise<Approval> {
  const { risk, note, template, audit } = gated;
  const { role, quorum, ...times } = termsOf(risks, risk, policy);
  const record = recordOf(approvalId, 'requested', {
    ...data,
    risk,
    role,
    rule: note.rule,
  });
  const { approval } = await openApproval(db, {
    ...opening,
    id: approvalId,
    workspaceId,
    promptId,
    askerEpoch,
    risk,
    role,
    quorum,
    template,
    ...times,
    gate: note,
    record: {
      // The event tells people that they are asked; what the gate decides is told as decided.
      ...(note.verdict === 'ask' ? { events: record.events ?? [] } : {}),
      audits: [...(record.audits ?? []), ...(audit === undefined ? [] : [audit])],
    },
  });
  return approval;
}

/** What the row says that the gate decided: a step that runs again decides no differently. */
function gateDecision(
  { proofKey, seal }: OpeningDeps,
  { id, digest, gate, state }: Approval,
): SignedDecision | null {
  if (gate === null || gate.verdict === 'ask' || state !== 'open') return null;
  const isAllowed = gate.verdict === 'allow';
  const words = `The policy denies this (rule ${gate.rule}). ${gate.reason}`.trim();
  return signDecision(proofKey, {
    approvalId: id,
    digest,
    verdict: isAllowed ? 'grant' : 'refuse',
    optionLabel: null,
    note: isAllowed ? null : sealNote(seal, words),
    principalKind: gate.by,
    principalId: gate.by === 'standing' ? (gate.standingId ?? '') : policyVoter(gate),
    issuedAtMs: Date.now(),
    nonce: randomBytes(16).toString('hex'),
  });
}

function nobodyAsked(what: string): AppError {
  return new AppError('not_found', `This approval asks about ${what} that nobody asked for.`);
}

/** The digest a person approves is that of the text they see; it has to be the one the host computed. */
function payloadOf(prompt: Prompt): { readonly payload: string; readonly digest: string } {
  const payload = promptPayload(prompt);
  const digest = sha256Hex(payload);
  if (digest !== prompt.digest) {
    throw new AppError('conflict', 'The stored prompt is not the one its host saw.');
  }
  return { payload, digest };
}

const TITLE_LENGTH_MAX = 200;

function titleOf(agentName: string, prompt: Prompt): string {
  const subject = prompt.subject === '' ? prompt.text : prompt.subject;
  const line = `${agentName}: ${subject.split('\n')[0] ?? ''}`;
  return line.length > TITLE_LENGTH_MAX ? `${line.slice(0, TITLE_LENGTH_MAX - 1)}…` : line;
}
