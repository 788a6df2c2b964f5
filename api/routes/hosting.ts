import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import type { WorkspaceId } from '../../domain/id.ts';
import { serves } from '../../domain/hosting.ts';
import { HostingSchema, HostingTestSchema, PutHostingSchema } from '../../domain/schema/hosting.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { listHosts } from '../../infra/db/queries/host.ts';
import { getHosting, putHosting, type StoredHosting } from '../../infra/db/queries/hosting.ts';
import type { Executor } from '../../infra/db/schema.ts';
import type { ApiDeps } from '../deps.ts';
import { hostView } from '../host-view.ts';
import { testHosting } from '../hosting-test.ts';
import { route, type Caller } from '../route.ts';
import { wakeLines } from '../wake.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
const target = { kind: 'workspace', param: 'workspace' } as const;

export const hostingRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/hosting',
    name: 'getHosting',
    summary: "Where a workspace's agents run, and the hosts that would take one.",
    rate: 'read',
    target,
    params: ByWorkspace,
    response: { status: 200, json: HostingSchema },
    handler: async ({ workspaceId }, { db }) => ({ body: await view(db, mustBe(workspaceId)) }),
  }),
  route({
    method: 'PUT',
    path: '/v1/workspaces/{workspace}/hosting',
    name: 'putHosting',
    summary: "Sets where a workspace's agents run from now on. Those that run stay where they are.",
    rate: 'write',
    listener: 'admin',
    target,
    params: ByWorkspace,
    body: PutHostingSchema,
    response: { status: 200, json: HostingSchema },
    handler: async ({ workspaceId, body, caller }, deps) => {
      const changed = await change(deps, { workspaceId: mustBe(workspaceId), body, caller });
      await wakeLines(deps);
      return { body: changed };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/hosting/test',
    name: 'testHosting',
    summary: 'Proves step by step that the hosting works, and says what to do where it does not.',
    rate: 'spawn',
    listener: 'admin',
    target,
    params: ByWorkspace,
    response: { status: 200, json: HostingTestSchema },
    handler: async ({ workspaceId: given, caller, idempotencyKey }, deps) => {
      const workspaceId = mustBe(given);
      const hosting = await getHosting(deps.db, workspaceId);
      const steps = await testHosting(deps, hosting, workspaceId);
      const ok = steps.every(({ result }) => result !== 'failed');
      const wrong = steps.filter(({ result }) => result === 'failed').map(({ step }) => step);
      await appendRecord(deps.db, {
        workspaceId,
        events: [
          {
            key: `hosting:${workspaceId}:test:${caller.id}:${idempotencyKey}`,
            type: 'hosting.tested',
            subjectId: workspaceId,
            data: { ok, failed: wrong, by: caller.id },
          },
        ],
      });
      return { body: { ok, steps: [...steps] } };
    },
  }),
];

function mustBe(workspaceId: WorkspaceId | null): WorkspaceId {
  // The target of these routes is a workspace, so this would be a bug of the gate.
  if (workspaceId === null) throw new Error('A route of a workspace was called without one.');
  return workspaceId;
}

async function view(db: Executor, workspaceId: WorkspaceId) {
  const hosting = await getHosting(db, workspaceId);
  const hosts = (await listHosts(db)).filter(
    (host) => host.revokedAt === null && serves(host, hosting, workspaceId),
  );
  return {
    ...hosting,
    selector: { ...hosting.selector },
    workspaceId,
    updatedAt: hosting.updatedAt?.toISOString() ?? null,
    hosts: hosts.map(hostView),
  };
}

async function change(
  { db }: ApiDeps,
  {
    workspaceId,
    body,
    caller,
  }: {
    readonly workspaceId: WorkspaceId;
    readonly body: z.output<typeof PutHostingSchema>;
    readonly caller: Caller;
  },
) {
  const { revision, ...hosting } = body;
  return db.transaction().execute(async (tx) => {
    const before = await getHosting(tx, workspaceId);
    const after =
      revision === undefined || revision === before.revision
        ? await putHosting(tx, {
            workspaceId,
            hosting,
            revision: before.revision,
            by: caller.id,
          })
        : null;
    if (after === null) {
      throw new AppError(
        'conflict',
        'Somebody else has changed the hosting meanwhile: read it again.',
      );
    }
    const key = `hosting:${workspaceId}:${after.revision}`;
    await appendRecord(tx, {
      workspaceId,
      events: [
        {
          key,
          type: 'hosting.changed',
          subjectId: workspaceId,
          data: { mode: after.mode, region: after.region, by: caller.id },
        },
      ],
      audits: [
        {
          key,
          actorKind: 'user',
          actorId: caller.id,
          action: 'hosting.change',
          subjectId: workspaceId,
          detail: { before: auditOf(before), after: auditOf(after) },
        },
      ],
    });
    return view(tx, workspaceId);
  });
}

/** The reference is on record, never what is behind it. */
function auditOf({ mode, endpoint, authType, credentialRef, region, selector }: StoredHosting) {
  return { mode, endpoint, authType, credentialRef, region, selector };
}
