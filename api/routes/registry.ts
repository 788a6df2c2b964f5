import { z } from 'zod';
import { AGENT_STATES, AGENT_TYPES } from '../../domain/agent.ts';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { LabelSelector } from '../../domain/schema/label.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import { RegistrationSchema, RuntimeSchema } from '../../domain/schema/registry.ts';
import {
  findRegistration,
  listRegistrations,
  runtimeHosts,
  type Registration,
  type RuntimeHost,
} from '../../infra/db/queries/registry.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { listOf } from '../query.ts';
import { route } from '../route.ts';
import { ByAgent } from './agent.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
/** Of one name: `model:` and the longest name of a model. */
const CAPABILITY_LENGTH_MAX = 160;
const CAPABILITIES_MAX = 20;

const Capabilities = z
  .string()
  .max(CAPABILITIES_MAX * CAPABILITY_LENGTH_MAX)
  .transform((text) => text.split(','))
  .pipe(z.array(z.string().min(1).max(CAPABILITY_LENGTH_MAX)).max(CAPABILITIES_MAX))
  .meta({ type: 'string', description: 'Names with commas; an agent has all of them.' });

export const registryRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/registry',
    name: 'listRegistry',
    summary:
      'Agents that are alive: their lease holds. To watch it, follow the event stream with ' +
      '`types=agent.state_changed,host.lost,host.connected` and ask again when one comes.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    query: PageQuery.extend({
      state: listOf(AGENT_STATES).optional(),
      type: listOf(AGENT_TYPES).optional(),
      label: LabelSelector.optional(),
      capability: Capabilities.optional(),
    }),
    response: { status: 200, json: pageOf(RegistrationSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listRegistrations(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
        ...(query.state === undefined ? {} : { states: query.state }),
        ...(query.type === undefined ? {} : { types: query.type }),
        ...(query.label === undefined ? {} : { labels: query.label }),
        ...(query.capability === undefined ? {} : { capabilities: query.capability }),
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(registrationView), next } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/registration',
    name: 'getRegistration',
    summary: 'One agent as the registry has it, alive or not.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: RegistrationSchema },
    handler: async ({ params }, { db }) => {
      const found = await findRegistration(db, params.agent);
      if (found === null) throw new AppError('not_found', 'There is no such agent.');
      return { body: registrationView(found) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/runtime',
    name: 'getRuntime',
    summary: 'The hosts a workspace may use: connected or not, last heartbeat, agents, error.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    response: { status: 200, json: RuntimeSchema },
    handler: async ({ workspaceId }, { db }) => {
      const id = parseId('workspace', workspaceId);
      const hosts = await runtimeHosts(db, id);
      return {
        body: { workspaceId: id, runtimeStatus: statusOf(hosts), hosts: hosts.map(hostView) },
      };
    },
  }),
];

function registrationView({ id, definitionId, leaseUntil, createdAt, ...rest }: Registration) {
  return {
    ...rest,
    agentId: parseId('agent', id),
    capabilities: [...rest.capabilities],
    labels: { ...rest.labels },
    definitionId: definitionId === null ? null : parseId('definition', definitionId),
    leaseUntil: leaseUntil?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}

function hostView({ id, lastHeartbeat, connectedAt, ...rest }: RuntimeHost) {
  return {
    ...rest,
    hostId: id,
    lastHeartbeat: lastHeartbeat.toISOString(),
    connectedAt: connectedAt.toISOString(),
  };
}

/** A workspace without a host is not connected, and says so. */
function statusOf(hosts: readonly RuntimeHost[]) {
  const newest = hosts.toSorted((a, b) => b.lastHeartbeat.getTime() - a.lastHeartbeat.getTime())[0];
  const connected = hosts.some((host) => host.connected);
  const lost = hosts.find((host) => !host.connected);
  return {
    connected,
    lastHeartbeat: newest?.lastHeartbeat.toISOString() ?? null,
    activeAgents: hosts.reduce((sum, { activeAgents }) => sum + activeAgents, 0),
    version: newest?.version ?? null,
    error:
      newest === undefined
        ? 'No host is known.'
        : lost === undefined
          ? null
          : `${lost.id}: ${lost.error ?? 'The lease has ended.'}`,
  };
}
