import type { z } from 'zod';
import { AGENT_STATES, isTerminal } from '../../domain/agent.ts';
import { AppError } from '../../domain/error.ts';
import { isId } from '../../domain/id.ts';
import { AgentSchema } from '../../domain/schema/agent.ts';
import { pageOf } from '../../domain/schema/page.ts';
import { WorkspaceSchema } from '../../domain/schema/workspace.ts';
import { getWorkspace } from '../../infra/db/queries/workspace.ts';
import { firstWord } from './command.ts';
import { cleanLine } from './text.ts';
import { ask, type KnownTurn } from './turn.ts';

export interface Room {
  readonly id: string;
  readonly slug: string;
  /** What is left of the arguments. */
  readonly rest: string;
}

const Workspaces = pageOf(WorkspaceSchema);
/** Somebody with more of them names the one he means. */
const WORKSPACES_MAX = 200;

/**
 * The workspace that a command is about: in a chat that is bound to one, that one and no other, so that nothing of
 * another is said there; in a direct chat the one named by `@slug`, or the only one.
 */
export async function roomOf(turn: KnownTurn, args: string): Promise<Room> {
  const { word, rest } = firstWord(args);
  const named = word.startsWith('@') ? word.slice(1).toLowerCase() : null;
  const after = named === null ? args.trim() : rest;
  const bound = turn.context?.workspaceId ?? null;
  if (turn.place.kind !== 'dm') {
    if (bound === null) throw unbound();
    const workspace = await getWorkspace(turn.deps.api.db, bound);
    if (workspace === null) throw unbound();
    if (named !== null && named !== workspace.slug) {
      throw new AppError(
        'policy_denied',
        `This chat belongs to the workspace ${workspace.slug}: of another one nothing is said here. Ask in a direct chat.`,
      );
    }
    return { id: workspace.id, slug: workspace.slug, rest: after };
  }
  return { ...(await ownRoom(turn, named, bound)), rest: after };
}

async function ownRoom(turn: KnownTurn, named: string | null, bound: string | null) {
  const workspaces = await workspacesOf(turn);
  const slugs = workspaces.map(({ slug }) => `@${slug}`).join(', ');
  if (named !== null) {
    const found = workspaces.find(({ slug }) => slug === named);
    if (found !== undefined) return found;
    throw new AppError(
      'not_found',
      `There is no workspace @${cleanLine(named, 40)}. Yours: ${slugs}.`,
    );
  }
  const found = workspaces.find(({ id }) => id === bound);
  if (found !== undefined) return found;
  const [only, second] = workspaces;
  if (only === undefined)
    throw new AppError(
      'policy_denied',
      'You have to do with no workspace yet: ask an admin for a role.',
    );
  if (second === undefined) return only;
  throw new AppError('invalid_input', `Say which workspace you mean, as the first word: ${slugs}.`);
}

/** All that somebody has to do with. */
export async function workspacesOf(turn: KnownTurn) {
  const { items } = await ask(turn, {
    method: 'GET',
    path: `/v1/workspaces?limit=${WORKSPACES_MAX}`,
    answer: Workspaces,
  });
  return items;
}

function unbound(): AppError {
  return new AppError(
    'conflict',
    'This chat is bound to no workspace. An admin binds it with /admin-channel enable <workspace>, or as a context.',
  );
}

const Agents = pageOf(AgentSchema);
export type AgentView = z.output<typeof AgentSchema>;

const LIVE = AGENT_STATES.filter((state) => !isTerminal(state)).join(',');
const AGENTS_PER_PAGE = 200;
/** A thousand living agents in a workspace are beyond what is looked at by name. */
const PAGES_MAX = 5;

export async function liveAgents(turn: KnownTurn, room: Room): Promise<readonly AgentView[]> {
  const agents: AgentView[] = [];
  let cursor: string | null = null;
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { items, next }: z.output<typeof Agents> = await ask(turn, {
      method: 'GET',
      path: `/v1/workspaces/${room.id}/agents?state=${LIVE}&limit=${AGENTS_PER_PAGE}${after}`,
      answer: Agents,
    });
    agents.push(...items);
    cursor = next;
    if (cursor === null) break;
  }
  return agents;
}

/** By its name, its id, or the end of its id. Throws where there is none, or where several have the name. */
export async function findAgent(turn: KnownTurn, room: Room, word: string): Promise<AgentView> {
  if (isId('agent', word)) {
    const agent = await ask(turn, {
      method: 'GET',
      path: `/v1/agents/${word}`,
      answer: AgentSchema,
    });
    if (agent.workspaceId === room.id) return agent;
    throw new AppError('not_found', 'There is no such agent here.');
  }
  const agents = await liveAgents(turn, room);
  const wanted = word.toLowerCase();
  const named = agents.filter(({ name }) => name.toLowerCase() === wanted);
  const found = named.length > 0 ? named : agents.filter(({ id }) => endsWith(id, wanted));
  const [agent, second] = found;
  if (agent === undefined) {
    throw new AppError(
      'not_found',
      `No agent "${cleanLine(word, 80)}" is there now. /agents lists them.`,
    );
  }
  if (second === undefined) return agent;
  const ids = found.slice(0, 5).map(({ id }) => shortId(id));
  throw new AppError('conflict', `Several agents are called so: say which by ${ids.join(', ')}.`);
}

const SHORT_CHARS = 6;

/** The end of an id, which differs most. */
export function shortId(id: string): string {
  return id.slice(-SHORT_CHARS);
}

function endsWith(id: string, wanted: string): boolean {
  const end = wanted.replace(/^[.…]+/, '');
  return end.length >= SHORT_CHARS && id.endsWith(end);
}
