import type { IncomingMessage } from 'node:http';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { UserPrincipal } from '../domain/principal.ts';
import type { CertificateAuthority } from '../infra/ca/contract.ts';
import type { ConnectorFactories } from '../infra/connectors/factory.ts';
import type { HostClient } from '../infra/host/contract.ts';
import type { Database } from '../infra/db/schema.ts';
import type { LimitCeilings } from '../domain/limit.ts';
import type { PolicyEngine } from '../domain/policy.ts';
import type { RiskTable } from '../domain/risk.ts';
import type { ApprovalPolicy } from '../workflows/contracts/agent.ts';
import type { EndpointProbe } from '../infra/hosting/endpoint.ts';
import type { LinkHub } from '../infra/link/hub.ts';
import type { PeerCheck } from '../infra/link/peer.ts';
import type { EventListener } from '../infra/db/listen.ts';
import type { OpaEngine } from '../infra/policy/opa.ts';
import type { ModelGateway } from '../infra/models/gateway/gateway.ts';
import type { AgentLiveness } from './agent-liveness.ts';
import type { WebhookSender } from '../infra/webhook/sender.ts';
import type { Metrics } from './metrics.ts';

/** Of the whole configuration, what the API acts on. */
interface ApiConfig {
  /** How approvals behave; copied into each spawn. */
  readonly approvalPolicy: ApprovalPolicy;
  /** What is how risky, who decides it, and what may be approved for ever. */
  readonly risks: RiskTable;
  /** What no workspace, definition or spawn exceeds. */
  readonly limits: LimitCeilings;
  readonly version: string;
  /** How long a repeated request finds the first one's answer. Default: a day. */
  readonly idempotencyKeepMs?: number;
  readonly webhooksPerWorkspace: number;
  readonly documents: DocumentSettings;
  /** How often open streams and terminals show that they live and their keys are looked at again. */
  readonly heartbeatMs?: number;
  /** How long a reader of events may take nothing before it is closed. */
  readonly slowReaderMs?: number;
}

/** Where workspaces keep their documents, and how much of them. */
export interface DocumentSettings {
  /** Has a folder for each workspace. */
  readonly root: string;
  readonly fileBytesMax: number;
  readonly filesMax: number;
  readonly bytesMax: number;
}

/** What the API may do with secrets. */
interface ApiSecrets {
  /** Encrypts what a row may hold until it is delivered. */
  seal(plain: string): Buffer;
  unseal(sealed: Buffer): string;
  /** Signs decisions, after their caller was authenticated. */
  readonly proofKey: Buffer;
}

/** Recognises people by the tokens of their own sign-in. */
export interface TokenSignIn {
  /** Who sends this bearer token; null where it is nobody that we know. */
  authenticate(token: string): Promise<UserPrincipal | null>;
}

/** Recognises people by the client certificate of their connection. */
export interface CertificateSignIn {
  /** Null where the connection showed none, or one that is good for nobody now. */
  authenticate(incoming: IncomingMessage): Promise<UserPrincipal | null>;
}

/** Gives out client certificates. */
export interface CertificateOffice {
  readonly authority: CertificateAuthority;
  /** Where those who have one go. */
  readonly adminUrl: () => string;
}

export interface Clock {
  now(): number;
}

/** Where hosts and other processes of this installation come in. */
export interface LinkDoor {
  readonly hub: LinkHub;
  readonly peers: PeerCheck;
  readonly key: Buffer;
}

/** To administrate connectors: what their networks are, and which secrets they may be given. */
export interface ConnectorDoor {
  /** How many may be there. */
  readonly max: number;
  readonly factories: ConnectorFactories;
  readonly pollTimeoutMs: number;
  /** Whether a connector may have this reference as its secret. */
  readonly mayName: (reference: string) => boolean;
  readonly resolve: (reference: string) => Promise<string>;
  readonly log: Logger;
}

/** For tests of a workspace's hosting. */
export interface HostingProbe extends Pick<EndpointProbe, 'look'> {
  /** The value behind a reference that hosting may name. */
  readonly resolve: (reference: string) => Promise<string>;
}

export interface ApiDeps {
  readonly db: Kysely<Database>;
  readonly temporal: Client;
  /** The client of one machine's terminals; null for a host nobody knows. */
  readonly host: (hostId: string) => HostClient | null;
  /** Absent in a process that takes no hosts. */
  readonly link?: LinkDoor;
  /** Absent in a process that asks no other Rookery. */
  readonly probe?: HostingProbe;
  /** Whether an agent that shows a key is still there. */
  readonly agents: AgentLiveness;
  readonly models: ModelGateway;
  /** What the gate asks about each effect. */
  readonly policy: PolicyEngine;
  readonly config: ApiConfig;
  readonly secrets: ApiSecrets;
  readonly events: EventListener;
  /** For pings, and to judge URLs; events are sent by a listener. */
  readonly webhooks: WebhookSender;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Reads and writes what Temporal stores encrypted; null where it stores plain payloads. */
  readonly codec?: CodecAccess | null;
  /** Absent in a process that has no connectors. */
  readonly connectors?: ConnectorDoor;
  /** To try policies on that OPA decides; absent where there is none. */
  readonly opa?: OpaEngine | null;
  /** Absent where no issuer of tokens is trusted. */
  readonly oidc?: TokenSignIn;
  /** Absent where no certificates are given out. */
  readonly certificates?: CertificateSignIn;
  /** Absent likewise: gives them out. */
  readonly office?: CertificateOffice;
}

interface CodecAccess {
  readonly codec: PayloadCodec;
  /** Of the Web UI that may ask for it. */
  readonly uiOrigin: string | null;
}
