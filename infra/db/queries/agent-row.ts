import { z } from 'zod';
import type { AgentState, AgentType, BodyKind, Lifecycle } from '../../../domain/agent.ts';

export interface Agent {
  readonly id: string;
  /** List order. */
  readonly seq: number;
  readonly workspaceId: string;
  readonly spawnId: string;
  readonly ordinal: number;
  readonly name: string;
  readonly type: AgentType;
  readonly body: BodyKind;
  readonly hostId: string | null;
  readonly epoch: number;
  readonly state: AgentState;
  readonly lifecycle: Lifecycle;
  readonly stateDetail: string;
  /** As the spawn gave it. Its reader parses the fields it needs. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly cliSessionId: string | null;
  readonly turn: number;
  readonly factSeq: number;
  readonly leaseUntil: Date | null;
  readonly ownerId: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly exitCode: number | null;
  readonly error: string | null;
  readonly definitionId: string | null;
  readonly definitionVersion: number | null;
  readonly labels: Readonly<Record<string, string>>;
  /** The limit that ended it. */
  readonly limitReached: string | null;
  /** Where it was spawned from. */
  readonly contextId: string | null;
}

export const AGENT_COLUMNS = [
  'agent.id',
  'agent.seq',
  'agent.workspace_id as workspaceId',
  'agent.spawn_id as spawnId',
  'agent.ordinal',
  'agent.name',
  'agent.type',
  'agent.body',
  'agent.host_id as hostId',
  'agent.epoch',
  'agent.state',
  'agent.lifecycle',
  'agent.state_detail as stateDetail',
  'agent.spec',
  'agent.cli_session_id as cliSessionId',
  'agent.turn',
  'agent.fact_seq as factSeq',
  'agent.lease_until as leaseUntil',
  'agent.owner_id as ownerId',
  'agent.created_at as createdAt',
  'agent.ended_at as endedAt',
  'agent.exit_code as exitCode',
  'agent.error',
  'agent.definition_id as definitionId',
  'agent.definition_version as definitionVersion',
  'agent.labels',
  'agent.limit_reached as limitReached',
  'agent.context_id as contextId',
] as const;

const Spec = z.record(z.string(), z.unknown());
const Labels = z.record(z.string(), z.string());

type AgentRow = Omit<Agent, 'spec' | 'labels'> & {
  readonly spec: unknown;
  readonly labels: unknown;
};

export function toAgent<T extends AgentRow>(row: T): T & Agent {
  return { ...row, spec: Spec.parse(row.spec), labels: Labels.parse(row.labels) };
}
