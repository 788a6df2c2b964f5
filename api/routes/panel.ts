import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AGENT_TYPES } from '../../domain/agent.ts';
import { privatesOf, workspacesOf } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import { covers } from '../../domain/principal.ts';
import { ApprovalIdSchema } from '../../domain/schema/id.ts';
import { viewApproval } from '../../infra/db/queries/approval-view.ts';
import { openLoginOf } from '../../infra/db/queries/login.ts';
import { lastEvents } from '../../infra/db/queries/event-view.ts';
import {
  countOpenApprovals,
  namesOfAgents,
  panelAgents,
  panelApprovals,
  type PanelAgent,
} from '../../infra/db/queries/panel-view.ts';
import { namesOfPrincipals } from '../../infra/db/queries/principal.ts';
import { getWorkspace, listWorkspaces } from '../../infra/db/queries/workspace.ts';
import { STANDING_ROLE } from '../../infra/gate/gate.ts';
import type { ApiDeps } from '../deps.ts';
import { loginView } from '../login.ts';
import { noteWords } from '../note.ts';
import { agentPage } from '../panel/agent.ts';
import { AGENT_FILTERS, agentCard, agentsPage, statesOf } from '../panel/agents.ts';
import { approvalPage } from '../panel/approval.ts';
import { APPROVAL_FILTERS, approvalsPage } from '../panel/approvals.ts';
import { approvalsBadge } from '../panel/frame.ts';
import { textOf } from '../panel/markup.ts';
import { ByWorkspace, CORE_SCRIPTS, HTML, pageRoute } from '../panel/page-route.ts';
import { htmlResponse, panelProblem, seeOther } from '../panel/respond.ts';
import { route, type Caller } from '../route.ts';
import { mayStand } from '../standing-approval.ts';
import { mayType } from '../terminal.ts';
import { ByAgent } from './agent.ts';

/** A page of more is slow to read and to draw; the filter finds the others. */
const AGENTS_MAX = 500;
const APPROVALS_MAX = 200;
const AGENT_EVENTS = 50;

const AgentsQuery = z.strictObject({
  show: z.enum(AGENT_FILTERS).default('live'),
  type: z.enum([...AGENT_TYPES, '']).default(''),
  q: z.string().max(80).default(''),
});

export const panelRoutes = [
  route({
    method: 'GET',
    path: '/',
    name: 'getPanel',
    summary: 'Panel: leads to the workspace of the key, or to the first one.',
    rate: 'read',
    target: null,
    response: { ...HTML, description: '303 to a page of the panel.' },
    problem: panelProblem,
    handler: async ({ caller }, { db }) => {
      const [first = null] = await listWorkspaces(db, {
        after: 0,
        limit: 1,
        only: workspacesOf(caller.bindings),
        privates: privatesOf(caller.bindings),
      });
      if (first === null) throw new AppError('not_found', 'There is no workspace yet.');
      return seeOther(`/panel/w/${first.slug}/agents`);
    },
  }),
  pageRoute({
    path: '/panel/w/{workspace}/agents',
    name: 'getPanelAgents',
    summary: 'the agents of a workspace, with their screens.',
    section: 'agents',
    target: 'workspace',
    params: ByWorkspace,
    query: AgentsQuery,
    show: async ({ workspaceId, query, caller, now }, { db }) => {
      const { show, type, q } = query;
      const [workspace, found] = await Promise.all([
        getWorkspace(db, workspaceId),
        panelAgents(db, {
          workspaceId,
          states: statesOf(show),
          ...(type === '' ? {} : { type }),
          ...(q === '' ? {} : { text: q }),
          limit: AGENTS_MAX + 1,
        }),
      ]);
      if (workspace === null) throw new AppError('not_found', 'There is no such workspace.');
      return {
        title: 'Agents',
        scripts: [...CORE_SCRIPTS, 'screens.js'],
        live: 'agents',
        body: agentsPage({
          agents: found.slice(0, AGENTS_MAX),
          isCut: found.length > AGENTS_MAX,
          filter: show,
          type,
          text: q,
          workspace,
          ...cardRights(caller),
          now,
        }),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/panel/agents/{agent}/card',
    name: 'getPanelAgentCard',
    summary: 'Panel: one agent as the list shows it.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: HTML,
    problem: panelProblem,
    handler: async ({ params, workspaceId, caller }, deps) => {
      const agent = await findPanelAgent(deps, { workspaceId, id: params.agent });
      const card = agentCard(agent, { ...cardRights(caller), now: deps.clock.now() });
      return htmlResponse(textOf(card));
    },
  }),
  pageRoute({
    path: '/panel/agents/{agent}',
    name: 'getPanelAgent',
    summary: 'one agent with its terminal, events and open approvals.',
    section: 'agents',
    target: 'agent',
    params: ByAgent,
    show: showAgent,
  }),
  pageRoute({
    path: '/panel/w/{workspace}/approvals',
    name: 'getPanelApprovals',
    summary: 'what waits for a decision, and what was decided.',
    section: 'approvals',
    target: 'workspace',
    params: ByWorkspace,
    query: z.strictObject({ show: z.enum(['open', 'decided', 'lapsed']).default('open') }),
    show: async ({ workspaceId, query: { show }, now }, { db }) => {
      const approvals = await panelApprovals(db, {
        workspaceId,
        states: APPROVAL_FILTERS[show],
        order: show === 'open' ? 'asc' : 'desc',
        limit: APPROVALS_MAX,
      });
      const body = approvalsPage({ approvals, filter: show, now });
      return { title: 'Approvals', scripts: CORE_SCRIPTS, live: 'page', body };
    },
  }),
  pageRoute({
    path: '/panel/approvals/{approval}',
    name: 'getPanelApproval',
    summary: 'one approval with its whole payload, and the form to decide it.',
    section: 'approvals',
    target: 'approval',
    params: z.strictObject({ approval: ApprovalIdSchema }),
    show: async ({ params, caller, now }, deps) => {
      const view = await viewApproval(deps.db, params.approval);
      if (view === null) throw new AppError('not_found', 'There is no such approval.');
      const { approval, votes } = view;
      const people = [approval.requestedBy, ...votes.map(({ principalId }) => principalId)];
      const [names, agents] = await Promise.all([
        namesOfPrincipals(deps.db, people),
        namesOfAgents(deps.db, [approval.askerId]),
      ]);
      const body = approvalPage({
        view,
        agentName: agents.get(approval.askerId) ?? null,
        names,
        notes: votes.map(({ note }) => noteWords(deps, note)),
        mayDecide: may(caller, approval.role, 'approvals:decide'),
        forever:
          mayStand(deps.config.risks, approval) && may(caller, STANDING_ROLE, 'approvals:decide')
            ? deps.config.risks.standing
            : null,
        now,
      });
      return { title: approval.title, scripts: CORE_SCRIPTS, live: 'page', body };
    },
  }),
  route({
    method: 'GET',
    path: '/panel/w/{workspace}/badge',
    name: 'getPanelBadge',
    summary: 'Panel: how many approvals are open.',
    rate: 'read',
    target: { kind: 'workspace', param: 'workspace' },
    params: ByWorkspace,
    response: HTML,
    problem: panelProblem,
    handler: async ({ workspaceId }, { db }) =>
      htmlResponse(textOf(approvalsBadge(await countOpenApprovals(db, workspaceId ?? '')))),
  }),
];

function may(caller: Caller, role: Caller['role'], scope: Caller['scopes'][number]): boolean {
  return covers(caller.role, role) && caller.scopes.includes(scope);
}

function cardRights(caller: Caller) {
  return {
    maySpawn: may(caller, 'operator', 'agents:write'),
    maySee: caller.scopes.includes('terminal:read'),
  };
}

async function findPanelAgent(
  { db }: ApiDeps,
  { workspaceId, id }: { readonly workspaceId: string | null; readonly id: string },
): Promise<PanelAgent> {
  const [agent] = await panelAgents(db, { workspaceId: workspaceId ?? '', id, limit: 1 });
  if (agent === undefined) throw new AppError('not_found', 'There is no such agent.');
  return agent;
}

const NONCE_BYTES = 16;

async function showAgent({ params, workspaceId, caller, now }: AgentInput, deps: ApiDeps) {
  const { db } = deps;
  const id = params.agent;
  const agent = await findPanelAgent(deps, { workspaceId, id });
  const isOwner = agent.ownerId === caller.id && may(caller, 'operator', 'agents:write');
  const [approvals, events, login] = await Promise.all([
    caller.scopes.includes('approvals:read')
      ? panelApprovals(db, { workspaceId, states: ['open'], askerId: id, order: 'asc', limit: 10 })
      : [],
    caller.scopes.includes('events:read')
      ? lastEvents(db, { workspaceId, subjectId: id, limit: AGENT_EVENTS })
      : [],
    isOwner ? openLoginOf(db, id) : null,
  ]);
  return {
    title: agent.name,
    scripts: [...CORE_SCRIPTS, 'terminal.js'],
    styles: ['xterm.css'],
    nonce: randomBytes(NONCE_BYTES).toString('base64'),
    live: 'page' as const,
    body: agentPage({
      agent,
      approvals,
      events,
      login: login === null ? null : loginView(deps, login),
      isOwner,
      mayCommand: may(caller, 'operator', 'agents:write'),
      mayType: mayType(caller),
      maySee: caller.scopes.includes('terminal:read'),
      now,
    }),
  };
}

interface AgentInput {
  readonly params: z.output<typeof ByAgent>;
  readonly workspaceId: string;
  readonly caller: Caller;
  readonly now: number;
}
