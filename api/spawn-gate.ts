import { canonicalJson } from '../domain/canonical.ts';
import { AppError } from '../domain/error.ts';
import type { GateNote } from '../domain/gate.ts';
import { parseId } from '../domain/id.ts';
import type { PolicyRequest } from '../domain/policy.ts';
import { riskOf } from '../domain/risk.ts';
import type { AuditEntry } from '../infra/audit/entry.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { dataClassOf } from '../infra/db/queries/gate-view.ts';
import type { ApprovalRequest } from '../infra/db/queries/grant.ts';
import type { Spawn } from '../infra/db/queries/spawn.ts';
import type { SpawnPayload } from '../infra/gate/effects.ts';
import { askGate, gateAudit } from '../infra/gate/gate.ts';
import { startOnce } from '../infra/temporal/start-once.ts';
import { REQUEST_APPROVAL, type RequestApprovalInput } from '../workflows/contracts/approval.ts';
import { shownApproval } from '../workflows/contracts/search.ts';
import { TASK_QUEUES } from '../workflows/contracts/task-queues.ts';
import type { ApiDeps } from './deps.ts';
import { repeatableId } from './repeatable-id.ts';
import type { Caller } from './route.ts';

/** A spawn that may begin now, or that people decide about by this request. */
export interface GatedSpawn {
  readonly audit: AuditEntry;
  readonly request: (Omit<ApprovalRequest, 'gate'> & { readonly gate: GateNote }) | null;
}

interface SpawnAsking {
  readonly caller: Caller;
  readonly workspaceId: string;
  readonly payload: SpawnPayload;
}

const INTENT_CHARS = 500;
const TITLE_CHARS = 120;

/** May these agents be started? Throws `policy_denied` with the rule, which is on record then. */
export async function gateSpawn(deps: ApiDeps, asking: SpawnAsking): Promise<GatedSpawn> {
  const { caller, workspaceId, payload } = asking;
  const { spawnId, contextId, spec } = payload;
  const subject = canonicalJson(payload);
  const facts = { kind: 'spawn', tool: spec.type, subject, floor: 'low', usual: 'medium' } as const;
  const request: PolicyRequest = {
    workspaceId,
    contextId,
    subject,
    principal: { kind: 'user', id: caller.id, role: caller.role },
    action: 'agent.spawn',
    resource:
      payload.definition === null
        ? { kind: 'workspace', id: workspaceId }
        : { kind: 'definition', id: payload.definition.id },
    risk: riskOf(deps.config.risks, facts),
    intent: (spec.task ?? '').slice(0, INTENT_CHARS).toWellFormed(),
    dataClass: await dataClassOf(deps.db, { workspaceId, contextId }),
    tool: spec.type,
    recipients: [],
    // Where it will run is not known yet.
    isolated: false,
    payloadComplete: true,
  };
  const note = await askGate(deps.db, gateOf(deps), { request, template: null });
  const audit = gateAudit({ request, note }, { key: `${spawnId}:gate`, subjectId: spawnId });
  if (note.verdict === 'deny') {
    await appendRecord(deps.db, { workspaceId, audits: [audit] });
    throw deniedBy(note);
  }
  if (note.verdict === 'allow') return { audit, request: null };
  return {
    audit,
    request: { ...approvalRequestOf(asking, subject), risk: request.risk, gate: note },
  };
}

function approvalRequestOf(
  { caller, workspaceId, payload }: SpawnAsking,
  text: string,
): Omit<ApprovalRequest, 'gate' | 'risk'> {
  const { spawnId, count, spec, name, contextId } = payload;
  const what = count === 1 ? `agent ${name}` : `${count} agents ${name}`;
  const task = (spec.task ?? '').split('\n')[0]?.slice(0, TITLE_CHARS).toWellFormed() ?? '';
  return {
    approvalId: repeatableId('approval', ['spawn', spawnId]),
    workspaceId,
    agentId: null,
    kind: 'spawn',
    title: `Start ${what} (${spec.type})${task === '' ? '' : `: ${task}`}`,
    payload: text,
    grants: [],
    requestedBy: caller.id,
    contextId,
    template: null,
    recipients: [],
  };
}

export function gateOf({ policy, config, logger }: ApiDeps) {
  return { policy, risks: config.risks, log: logger };
}

export function deniedBy({ rule, reason }: GateNote): AppError {
  return new AppError('policy_denied', `The policy denies this (rule ${rule}). ${reason}`.trim());
}

/** The approval's id is its workflow's: a repeated request finds the one that runs, or has run. */
export async function askAboutSpawn(deps: ApiDeps, spawn: Spawn): Promise<void> {
  const { approvalId, workspaceId } = spawn;
  if (approvalId === null) return;
  const input: RequestApprovalInput = {
    approvalId: parseId('approval', approvalId),
    workspaceId: parseId('workspace', workspaceId),
    asker: { agentId: null, epoch: 0 },
    promptId: null,
    policy: deps.config.approvalPolicy,
  };
  try {
    await startOnce(deps.temporal, {
      type: REQUEST_APPROVAL,
      workflowId: approvalId,
      taskQueue: TASK_QUEUES.core,
      shown: shownApproval(input),
      args: [input],
    });
  } catch (cause) {
    throw new AppError(
      'upstream_unavailable',
      'Temporal did not take the question. Repeat the request with the same Idempotency-Key.',
      { cause },
    );
  }
}
