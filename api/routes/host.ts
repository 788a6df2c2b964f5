import { z } from 'zod';
import { sees, workspacesOf } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import type { WorkspaceId } from '../../domain/id.ts';
import {
  CreateHostJoinSchema,
  HostJoinSchema,
  HostName,
  HostSchema,
} from '../../domain/schema/hosting.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { getHost, listHosts, type Host } from '../../infra/db/queries/host.ts';
import { insertHostJoin, revokeHost, setDraining } from '../../infra/db/queries/host-link.ts';
import { findOldestWorkspace } from '../../infra/db/queries/key-view.ts';
import { getWorkspace } from '../../infra/db/queries/workspace.ts';
import type { Executor } from '../../infra/db/schema.ts';
import {
  formatJoinToken,
  hashOfJoin,
  JOIN_TOKEN_VALID_MS,
  makeJoinToken,
} from '../../infra/link/join-token.ts';
import { LINK_CLOSE } from '../../infra/link/messages.ts';
import type { ApiDeps } from '../deps.ts';
import { doorOf } from '../host-link.ts';
import { hostView } from '../host-view.ts';
import { route, type Caller } from '../route.ts';
import { onlyOne, placeIn } from '../target.ts';
import { wakeLines } from '../wake.ts';

const ByHost = z.strictObject({ host: HostName });

/** The two states that a person puts a host into and takes it out of. */
function drainRoute(verb: 'drain' | 'undrain', summary: string) {
  return route({
    method: 'POST',
    path: `/v1/hosts/{host}/${verb}`,
    name: `${verb}Host`,
    summary,
    rate: 'write',
    listener: 'admin',
    target: { kind: 'host', param: 'host' },
    params: ByHost,
    response: { status: 200, json: HostSchema },
    handler: async ({ params, caller, idempotencyKey }, deps) => {
      const body = await change(deps, {
        hostId: params.host,
        verb,
        caller,
        key: idempotencyKey,
        apply: (tx) => setDraining(tx, { hostId: params.host, draining: verb === 'drain' }),
      });
      if (verb === 'undrain') await wakeLines(deps);
      return { body };
    },
  });
}

export const hostRoutes = [
  route({
    method: 'GET',
    path: '/v1/hosts',
    name: 'listHosts',
    summary:
      'Machines that agents run on, and how they do. A key of one workspace sees its own hosts.',
    rate: 'read',
    target: null,
    response: { status: 200, json: z.object({ items: z.array(HostSchema) }) },
    handler: async ({ caller }, { db }) => {
      const hosts = await listHosts(db);
      const places = await Promise.all(hosts.map(({ workspaceId }) => placeIn(db, workspaceId)));
      const own = hosts.filter((_host, index) => {
        const place = places[index];
        return place !== undefined && sees(caller.bindings, place);
      });
      return { body: { items: own.map(hostView) } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/hosts/{host}',
    name: 'getHost',
    summary: 'One machine: connected or not, last heartbeat, agents, memory, version, error.',
    rate: 'read',
    target: { kind: 'host', param: 'host' },
    params: ByHost,
    response: { status: 200, json: HostSchema },
    handler: async ({ params }, { db }) => ({ body: hostView(await findHost(db, params.host)) }),
  }),
  route({
    method: 'POST',
    path: '/v1/host-joins',
    name: 'createHostJoin',
    summary: 'Makes a token that lets one machine join as a host, once and for 15 minutes.',
    rate: 'write',
    listener: 'admin',
    target: null,
    body: CreateHostJoinSchema,
    response: { status: 201, json: HostJoinSchema },
    storable: (body) => ({ ...HostJoinSchema.parse(body), token: null }),
    handler: async ({ body, caller }, deps) => ({ body: await createJoin(deps, caller, body) }),
  }),
  drainRoute('drain', 'Places no new agents on a machine; those on it stay.'),
  drainRoute('undrain', 'Places agents on a drained machine again.'),
  route({
    method: 'POST',
    path: '/v1/hosts/{host}/revoke',
    name: 'revokeHost',
    summary: 'Cuts a linked machine off at once and for good; its agents count as lost.',
    rate: 'write',
    listener: 'admin',
    target: { kind: 'host', param: 'host' },
    params: ByHost,
    response: { status: 200, json: HostSchema },
    handler: async ({ params, caller, idempotencyKey }, deps) => {
      const host = await findHost(deps.db, params.host);
      if (host.publicKey === null) {
        throw new AppError(
          'conflict',
          'This host is on a machine of the runtime itself: stop its pty-host instead.',
        );
      }
      const body = await change(deps, {
        hostId: host.id,
        verb: 'revoke',
        caller,
        key: idempotencyKey,
        apply: (tx) => revokeHost(tx, host.id),
      });
      // The process that holds the link hears of the event; where it is this one, nothing is waited for.
      deps.link?.hub.close(host.id, LINK_CLOSE.revoked, 'This host was revoked.');
      return { body };
    },
  }),
];

async function findHost(db: Executor, id: string): Promise<Host> {
  const host = await getHost(db, id);
  if (host === null) throw new AppError('not_found', 'There is no such host.');
  return host;
}

interface HostChange {
  readonly hostId: string;
  readonly verb: 'drain' | 'undrain' | 'revoke';
  readonly caller: Caller;
  /** The request's, so that one that is repeated is on record once. */
  readonly key: string;
  /** False where nothing changed. */
  readonly apply: (tx: Executor) => Promise<boolean>;
}

async function change({ db }: ApiDeps, { hostId, verb, caller, key, apply }: HostChange) {
  return db.transaction().execute(async (tx) => {
    const hasChanged = await apply(tx);
    const host = await findHost(tx, hostId);
    if (hasChanged) {
      const type = verb === 'revoke' ? 'host.revoked' : 'host.draining';
      const data = verb === 'revoke' ? { by: caller.id } : { by: caller.id, on: host.draining };
      await record(tx, { host, caller, key: `host:${hostId}:${verb}:${key}`, verb, type, data });
    }
    return hostView(host);
  });
}

async function record(
  tx: Executor,
  entry: {
    readonly host: Host;
    readonly caller: Caller;
    readonly key: string;
    readonly verb: string;
    readonly type: 'host.revoked' | 'host.draining';
    readonly data: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  const { host, caller, key, verb, type, data } = entry;
  const workspaceId = host.workspaceId ?? (await findOldestWorkspace(tx));
  if (workspaceId === null) return;
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type, subjectId: host.id, data }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: `host.${verb}`,
        subjectId: host.id,
        detail: { kind: host.kind },
      },
    ],
  });
}

async function createJoin(
  deps: ApiDeps,
  caller: Caller,
  body: z.output<typeof CreateHostJoinSchema>,
) {
  const { db } = deps;
  const { fingerprint } = doorOf(deps).hub;
  const workspaceId = await workspaceOf(db, caller, body.workspace);
  const token = makeJoinToken(fingerprint);
  const { kind, labels, name = null, region = null } = body;
  const join = { kind, labels, name, region, workspaceId, id: token.id, createdBy: caller.id };
  const expiresAt = await db.transaction().execute(async (tx) => {
    const until = await insertHostJoin(tx, {
      ...join,
      hash: hashOfJoin(token),
      validMs: JOIN_TOKEN_VALID_MS,
    });
    const logOf = workspaceId ?? (await findOldestWorkspace(tx));
    if (logOf === null) return until;
    const audit = {
      key: `host-join:${token.id}`,
      actorKind: 'user',
      actorId: caller.id,
      action: 'host.invite',
      subjectId: token.id,
      detail: { kind, labels, name, region, workspaceId },
    } as const;
    await appendRecord(tx, { workspaceId: logOf, audits: [audit] });
    return until;
  });
  return {
    id: token.id,
    token: formatJoinToken(token),
    expiresAt: expiresAt.toISOString(),
    fingerprint,
  };
}

/** A host takes agents of the workspace it is bound to: nobody binds one to a workspace that is not his. */
async function workspaceOf(
  db: Executor,
  caller: Caller,
  wanted: string | undefined,
): Promise<WorkspaceId | null> {
  const own = workspacesOf(caller.bindings);
  if (wanted === undefined) return own === 'all' ? null : onlyOne(own);
  const workspace = await getWorkspace(db, wanted);
  const place = workspace === null ? null : await placeIn(db, workspace.id);
  if (place === null || !sees(caller.bindings, place)) {
    throw new AppError('not_found', 'There is no such workspace, or it is not yours.');
  }
  return place.workspaceId;
}
