import type { Kysely } from 'kysely';
import type { Risk } from '../domain/approval.ts';
import type { GateNote } from '../domain/gate.ts';
import type { PolicyAction, PolicyRequest } from '../domain/policy.ts';
import { riskOf, riskOfAsked } from '../domain/risk.ts';
import { promptTemplate, toolOf } from '../domain/standing-approval.ts';
import type { AuditEntry } from '../infra/audit/entry.ts';
import type { Agent } from '../infra/db/queries/agent.ts';
import { readFacts } from '../infra/db/queries/fact.ts';
import { dataClassOf } from '../infra/db/queries/gate-view.ts';
import type { ApprovalRequest } from '../infra/db/queries/grant.ts';
import { personOf } from '../infra/db/queries/person.ts';
import { findRole } from '../infra/db/queries/principal.ts';
import type { Prompt } from '../infra/db/queries/prompt.ts';
import type { Database } from '../infra/db/schema.ts';
import { digestOf } from '../infra/digest.ts';
import { askGate, gateAudit, type GateDeps, type Template } from '../infra/gate/gate.ts';

type Db = Kysely<Database>;

/** What the gate answered to an approval that is opened, and what of it is on record. */
export interface Gated {
  readonly risk: Risk;
  readonly note: GateNote;
  readonly template: Template;
  readonly audit: AuditEntry;
}

interface Asking {
  readonly approvalId: string;
  readonly agent: Agent;
  /** Of the session that asks. */
  readonly epoch: number;
}

/** A dialog of a CLI: may the runtime answer it by itself? */
export async function gatePrompt(
  db: Db,
  deps: GateDeps,
  { prompt, ...asking }: Asking & { readonly prompt: Prompt },
): Promise<Gated> {
  const tool = toolOf(prompt.hookPayload);
  const subject = prompt.subject === '' ? prompt.text : prompt.subject;
  const isolated = await isIsolated(db, { agentId: asking.agent.id, epoch: asking.epoch });
  const { payloadComplete } = prompt;
  const facts = { ...prompt, isolated, tool, chosenEffect: 'allow_once' } as const;
  const risk = riskOfAsked(deps.risks, { ...facts, subject });
  const template = templateOf(asking.agent, prompt, tool);
  return gate({ db, deps }, asking, {
    action: 'agent.prompt',
    resource: { kind: 'prompt', id: prompt.id },
    intent: prompt.text,
    risk,
    tool,
    subject,
    isolated,
    payloadComplete,
    template,
    recipients: [],
  });
}

/** What an agent asks for by itself: permission for something it describes, or wider access. */
export async function gateRequest(
  db: Db,
  deps: GateDeps,
  { request, ...asking }: Asking & { readonly request: ApprovalRequest },
): Promise<Gated> {
  const { kind, payload, title } = request;
  const isGrant = kind === 'grant';
  const floor = isGrant || request.risk === 'high' ? 'high' : 'low';
  const facts = { kind, tool: '', subject: payload, floor, usual: request.risk } as const;
  return gate({ db, deps }, asking, {
    action: isGrant ? 'agent.grant' : 'agent.question',
    resource: { kind: 'agent', id: asking.agent.id },
    risk: riskOf(deps.risks, facts),
    intent: title,
    tool: '',
    subject: isGrant ? request.grants.join(' ') : payload,
    isolated: await isIsolated(db, { agentId: asking.agent.id, epoch: asking.epoch }),
    payloadComplete: true,
    recipients: [],
    template: null,
  });
}

interface Effect extends Pick<
  PolicyRequest,
  | 'resource'
  | 'risk'
  | 'intent'
  | 'tool'
  | 'subject'
  | 'isolated'
  | 'payloadComplete'
  | 'recipients'
> {
  readonly action: PolicyAction;
  readonly template: Template;
}

/** Longer intents are cut: they are for people, and nothing that decides may trust them. */
const INTENT_CHARS = 500;

async function gate(
  { db, deps }: { readonly db: Db; readonly deps: GateDeps },
  { approvalId, agent, epoch }: Asking,
  { template, intent, ...effect }: Effect,
): Promise<Gated> {
  const { workspaceId, contextId } = agent;
  const session = { agentId: agent.id, epoch };
  const owner = await personOf(db, agent.ownerId);
  const role = await findRole(db, { principalId: owner, workspaceId, contextId });
  const request: PolicyRequest = {
    workspaceId,
    contextId,
    principal: { kind: 'agent', id: agent.id, role },
    dataClass: await dataClassOf(db, { workspaceId, contextId, session }),
    intent: intent.slice(0, INTENT_CHARS).toWellFormed(),
    ...effect,
  };
  const note = await askGate(db, deps, { request, template });
  const audit = gateAudit({ request, note }, { key: `${approvalId}:gate`, subjectId: approvalId });
  return { risk: request.risk, note, template, audit };
}

/** Null where it is not known what exactly would happen, so that nobody approves that for ever. */
function templateOf({ type, spec }: Agent, prompt: Prompt, tool: string): Template {
  const { kind, subject, hookPayload, payloadComplete } = prompt;
  if (!payloadComplete || kind !== 'permission' || subject.trim() === '') return null;
  const { workDir, env = {}, secretRefs = {} } = spec;
  return promptTemplate({
    agentType: type,
    kind,
    tool,
    subject,
    hookPayload,
    workDir: typeof workDir === 'string' ? workDir : '',
    environment: digestOf({ env, secretRefs }),
  });
}

/** As the session's first fact says; a session that has not said so counts as not isolated. */
async function isIsolated(
  db: Db,
  { agentId, epoch }: { readonly agentId: string; readonly epoch: number },
): Promise<boolean> {
  const facts = await readFacts(db, { agentId, epoch, after: 0, limit: STARTED_WITHIN });
  return facts.some(({ fact }) => fact.kind === 'started' && fact.isolation.isolated);
}
/** The first fact of an epoch is its start. */
const STARTED_WITHIN = 3;
