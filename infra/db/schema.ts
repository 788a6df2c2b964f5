import type { Generated, GeneratedAlways, Kysely, Transaction } from 'kysely';
import type { AgentState, AgentType, BodyKind, Lifecycle } from '../../domain/agent.ts';
import type { ApprovalState, Decision, Risk, Verdict } from '../../domain/approval.ts';
import type { EventType } from '../../domain/event.ts';
import type { FactKind, PromptClosure } from '../../domain/fact.ts';
import type { Principal, Role, Scope } from '../../domain/principal.ts';
import type { LoginMethod, PromptKind } from '../../domain/prompt.ts';
import type { DecidingRole } from '../../domain/risk.ts';
import type {
  DefaultedJson,
  Json,
  Nullable,
  NullableJson,
  NullableTime,
  Time,
  TimeNow,
} from './column.ts';
import type { AgentKeyTables } from './tables/agent-key.ts';
import type { CertificateTables } from './tables/certificate.ts';
import type { ChatTables } from './tables/chat.ts';
import type { ChatSurfaceTables } from './tables/chat-surface.ts';
import type { CheckpointTables } from './tables/checkpoint.ts';
import type { PanelTables } from './tables/panel.ts';
import type { PeopleTables } from './tables/people.ts';
import type { PolicyTables } from './tables/policy.ts';
import type { WebhookTables } from './tables/webhook.ts';
import type { HostingTables } from './tables/hosting.ts';
import type { DefinitionTables } from './tables/definition.ts';
import type { DocumentTables } from './tables/document.ts';
import type { GrantTables } from './tables/grant.ts';
import type { LimitTables } from './tables/limit.ts';
import type { MarkdownTables } from './tables/markdown.ts';
import type { MemoryTables } from './tables/memory.ts';
import type { StandingApprovalTables } from './tables/standing-approval.ts';
import type { MessageTables } from './tables/message.ts';
import type { ModelCallTables } from './tables/model-call.ts';

/** The one row per workspace whose lock makes commit order equal number order. */
export interface WorkspaceCounterTable {
  workspace_id: string;
  event_seq: Generated<number>;
  audit_seq: Generated<number>;
  /** Hex SHA-256 of the last audit entry; 64 zeros before the first. */
  audit_head: Generated<string>;
}

export interface EventTable {
  workspace_id: string;
  seq: number;
  /** Unique in the workspace: a retried step that writes it again changes nothing. */
  key: string;
  type: EventType;
  version: number;
  subject_id: string;
  data: Json;
  at: TimeNow;
  purge_after: NullableTime;
}

export interface AuditTable {
  workspace_id: string;
  seq: number;
  key: string;
  at: Time;
  actor_kind: Principal['kind'];
  actor_id: string;
  action: string;
  subject_id: string;
  /** What the hash covers, byte for byte. The columns beside it are copies to search by. */
  canonical: string;
  prev_hash: string;
  hash: string;
}

export interface CursorTable {
  name: string;
  workspace_id: Nullable<string>;
  seq: number;
}

export interface ApiKeyTable {
  id: string;
  seq: GeneratedAlways<number>;
  /** The public part, by which the row is found. */
  prefix: string;
  /** Hex SHA-256 of the whole key. */
  hash: string;
  name: string;
  role: Role;
  scopes: Scope[];
  workspace_id: Nullable<string>;
  created_by: string;
  created_at: TimeNow;
  expires_at: NullableTime;
  revoked_at: NullableTime;
  last_used_at: NullableTime;
  /** Whose it is; null for a key that is nobody's in particular and a principal by itself. */
  user_id: Nullable<string>;
}

/** `asked`: people decide whether it may start; `refused`: they did not let it. */
export const SPAWN_STATES = [
  'asked',
  'refused',
  'requested',
  'running',
  'finished',
  'cancelled',
  'failed',
] as const;
export type SpawnState = (typeof SPAWN_STATES)[number];

export interface SpawnTable {
  id: string;
  seq: GeneratedAlways<number>;
  workspace_id: string;
  request_id: string;
  /** Digest of the request's body: the same request id with another body is a conflict. */
  request_digest: string;
  count: number;
  spec: Json;
  created_by: string;
  created_at: TimeNow;
  state: Generated<SpawnState>;
  /** Where it was asked for. */
  context_id: Nullable<string>;
  /** Of the approval that it waits or has waited for. */
  approval_id: Nullable<string>;
}

export interface AgentTable {
  id: string;
  /** List order. */
  seq: GeneratedAlways<number>;
  workspace_id: string;
  spawn_id: string;
  /** Position in its spawn, from 0. */
  ordinal: number;
  name: string;
  type: AgentType;
  body: BodyKind;
  host_id: Nullable<string>;
  epoch: Generated<number>;
  state: AgentState;
  lifecycle: Lifecycle;
  state_detail: Generated<string>;
  spec: Json;
  cli_session_id: Nullable<string>;
  turn: Generated<number>;
  /** The last fact its workflow has handled in the current epoch. */
  fact_seq: Generated<number>;
  lease_until: NullableTime;
  owner_id: string;
  created_at: TimeNow;
  ended_at: NullableTime;
  exit_code: Nullable<number>;
  error: Nullable<string>;
  /** The version it was born with, and keeps. */
  definition_id: Nullable<string>;
  definition_version: Nullable<number>;
  labels: DefaultedJson;
  capabilities: Generated<string[]>;
  /** Limit → who set it; the values are the spec's. */
  limit_origins: DefaultedJson;
  /** Of the present state. */
  state_since: Generated<Date>;
  /** When the present session was started; null where none runs. */
  session_since: NullableTime;
  /** How long its former sessions ran. */
  session_ms: Generated<number>;
  /** The limit that ended it. */
  limit_reached: Nullable<string>;
  /** Where its spawn was asked for. */
  context_id: Nullable<string>;
}

export const SLOT_STATES = ['queued', 'granted', 'released'] as const;
export type SlotState = (typeof SLOT_STATES)[number];

/** One row per pool: its lock makes a grant exclusive and its counter numbers the fences. */
export interface SlotPoolTable {
  pool: string;
  cap: number;
  fence: Generated<number>;
}

export interface SlotTable {
  id: string;
  /** Order of the queue. */
  seq: GeneratedAlways<number>;
  pool: string;
  holder_id: string;
  /** Rises with every grant in the pool; whoever acts on a slot shows it. 0 while queued. */
  fence: Generated<number>;
  state: Generated<SlotState>;
  requested_at: TimeNow;
  granted_at: NullableTime;
  /** Null where the holder keeps the slot until it gives it back. */
  lease_until: NullableTime;
  released_at: NullableTime;
}

export interface FactTable {
  agent_id: string;
  epoch: number;
  seq: number;
  host_seq: number;
  kind: FactKind;
  data: Json;
  at: Time;
}

export interface PromptTable {
  id: string;
  agent_id: string;
  epoch: number;
  kind: PromptKind;
  text: string;
  subject: string;
  options: Json;
  source: 'hook' | 'screen';
  hook_payload: string;
  /** With the payload they make the digest. */
  cli_session_id: Nullable<string>;
  turn: number;
  payload_complete: boolean;
  digest: string;
  opened_at: TimeNow;
  closed_at: NullableTime;
  how: Nullable<PromptClosure>;
  approval_id: Nullable<string>;
}

export interface ApprovalTable {
  id: string;
  seq: GeneratedAlways<number>;
  workspace_id: string;
  asker_kind: 'agent' | 'system';
  asker_id: string;
  asker_epoch: Generated<number>;
  prompt_id: Nullable<string>;
  title: string;
  /** Canonical text; `digest` is its hex SHA-256. */
  payload: string;
  digest: string;
  risk: Risk;
  state: Generated<ApprovalState>;
  /** Six characters a person types; unique among open approvals. */
  code: string;
  quorum: Generated<number>;
  requested_by: string;
  requested_at: TimeNow;
  remind_at: NullableTime;
  escalate_at: NullableTime;
  expires_at: NullableTime;
  decided_at: NullableTime;
  delivery: NullableJson;
  /** Of the agent that asks: who has a role in that context only may decide it. */
  context_id: Nullable<string>;
  /** Who decides it, as the table of risks said when it was asked. */
  role: Nullable<DecidingRole>;
  /** What the gate answered: `GateNote`. */
  gate: NullableJson;
  /** What may be approved for ever, canonical text; null where it may not. */
  template: Nullable<string>;
  /** Whom it is sent to; part of what is approved for ever. */
  recipients: Generated<string[]>;
}

export interface VoteTable {
  approval_id: string;
  principal_id: string;
  principal_kind: Decision['principalKind'];
  verdict: Verdict;
  option_label: Nullable<string>;
  digest: string;
  nonce: string;
  at: Time;
  note: Nullable<string>;
  mac: string;
  /** What this vote also approves for ever. */
  standing_id: Nullable<string>;
}

export const INPUT_STATES = ['queued', 'delivered', 'refused', 'stale'] as const;
export type InputState = (typeof INPUT_STATES)[number];

export interface InputTable {
  id: string;
  seq: GeneratedAlways<number>;
  agent_id: string;
  epoch: Nullable<number>;
  kind: string;
  /** The text, encrypted. Null once delivered or given up. */
  sealed: Nullable<Buffer>;
  state: Generated<InputState>;
  created_by: string;
  created_at: TimeNow;
  delivered_at: NullableTime;
  outcome: NullableJson;
}

export interface LoginTable {
  agent_id: string;
  epoch: number;
  method: LoginMethod;
  /** URL and code, encrypted. Null once closed. */
  sealed: Nullable<Buffer>;
  needs_paste: boolean;
  expires_at: NullableTime;
  opened_at: TimeNow;
  closed_at: NullableTime;
}

export interface IdempotencyTable {
  /** Empty for routes that are in no workspace. */
  workspace_id: string;
  principal_id: string;
  route: string;
  key: string;
  request_digest: string;
  /** HTTP status of the stored answer; null while the first request is being worked on. */
  status: Nullable<number>;
  body: NullableJson;
  created_at: TimeNow;
  purge_after: Time;
}

export interface UsageTable {
  workspace_id: string;
  agent_id: string;
  day: string;
  kind: string;
  /** Unique in the workspace: the same measurement counts once. */
  key: string;
  quantity: number;
  /** The model that was called; null for what is no model's. */
  model: Nullable<string>;
}

/** One interface per feature, beside its tables. */
export interface Database
  extends
    FirstTables,
    AgentKeyTables,
    CertificateTables,
    ChatTables,
    ChatSurfaceTables,
    CheckpointTables,
    DefinitionTables,
    DocumentTables,
    GrantTables,
    PolicyTables,
    HostingTables,
    LimitTables,
    MarkdownTables,
    MemoryTables,
    MessageTables,
    ModelCallTables,
    PanelTables,
    PeopleTables,
    StandingApprovalTables,
    WebhookTables {}

interface FirstTables {
  workspace_counter: WorkspaceCounterTable;
  event: EventTable;
  audit: AuditTable;
  cursor: CursorTable;
  api_key: ApiKeyTable;
  spawn: SpawnTable;
  agent: AgentTable;
  slot_pool: SlotPoolTable;
  slot: SlotTable;
  fact: FactTable;
  prompt: PromptTable;
  approval: ApprovalTable;
  vote: VoteTable;
  input: InputTable;
  login: LoginTable;
  idempotency: IdempotencyTable;
  usage: UsageTable;
}

/** Either the pool or a transaction: a query does not care which. */
export type Executor = Kysely<Database> | Transaction<Database>;
