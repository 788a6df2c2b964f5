import type { z } from 'zod';
import { isTerminal } from '../domain/agent.ts';
import { isId } from '../domain/id.ts';
import { AgentSchema } from '../domain/schema/agent.ts';
import { ApprovalSchema } from '../domain/schema/approval.ts';
import { WorkspaceSchema } from '../domain/schema/workspace.ts';
import type { Context } from './context.ts';
import { CliError } from './exit.ts';

export type Agent = z.output<typeof AgentSchema>;
export type Approval = z.output<typeof ApprovalSchema>;

/** The workspace by flag or environment, or the only one there is, or the one called `default`. */
export async function workspaceOf({ client, flags, io }: Context): Promise<string> {
  const given = flags.workspace ?? io.env['ROOKERY_WORKSPACE'];
  if (given !== undefined && given !== '') return given;
  const found: { id: string; slug: string }[] = [];
  for await (const workspace of client.pages({ path: '/v1/workspaces', item: WorkspaceSchema })) {
    found.push(workspace);
  }
  const [only] = found;
  if (only === undefined) {
    throw new CliError('not_found', 'There is no workspace that this key is good in.', {
      hint: 'Make one: rookery workspace create <slug>',
    });
  }
  const chosen = found.length === 1 ? only : found.find(({ slug }) => slug === 'default');
  if (chosen !== undefined) return chosen.id;
  throw new CliError('usage', `Say which workspace: ${found.map(({ slug }) => slug).join(', ')}.`, {
    hint: 'Use --workspace <slug>, or set ROOKERY_WORKSPACE.',
  });
}

export async function workspacePath(context: Context): Promise<string> {
  return `/v1/workspaces/${encodeURIComponent(await workspaceOf(context))}`;
}

/** For bodies, which name a workspace by its id only. */
export async function workspaceIdOf(context: Context): Promise<string> {
  const given = await workspaceOf(context);
  if (isId('workspace', given)) return given;
  return (await context.client.get(await workspacePath(context), WorkspaceSchema)).id;
}

/** An agent by id or name. A name that two live agents share is no name. */
export async function agentOf(context: Context, reference: string): Promise<Agent> {
  const { client } = context;
  if (isId('agent', reference)) return client.get(`/v1/agents/${reference}`, AgentSchema);
  const path = `${await workspacePath(context)}/agents`;
  const named: Agent[] = [];
  for await (const agent of client.pages({ path, item: AgentSchema })) {
    if (agent.name === reference) named.push(agent);
  }
  const live = named.filter(({ state }) => !isTerminal(state));
  if (live.length > 1) {
    throw new CliError(
      'conflict',
      `${live.length} agents are called ${JSON.stringify(reference)}.`,
      {
        hint: `Use an id: ${live.map(({ id }) => id).join(', ')}`,
      },
    );
  }
  // Names may be used again; of those that have ended the newest is meant.
  const found = live[0] ?? named.at(-1);
  if (found !== undefined) return found;
  throw new CliError(
    'not_found',
    `There is no agent with the id or name ${JSON.stringify(reference)}.`,
    {
      hint: 'See `rookery agents`.',
    },
  );
}

/** An approval by id, or an open one by its six-character code. */
export async function approvalOf({ client }: Context, reference: string): Promise<Approval> {
  if (isId('approval', reference)) return client.get(`/v1/approvals/${reference}`, ApprovalSchema);
  const code = reference.replaceAll(/[ -]/g, '');
  if (!/^[0-9a-z]{6}$/i.test(code)) {
    throw new CliError(
      'usage',
      `Neither the id nor the code of an approval: ${JSON.stringify(reference)}.`,
      {
        hint: 'A code has six letters and digits; see `rookery approvals`.',
      },
    );
  }
  return client.get(`/v1/approvals/code/${code.toUpperCase()}`, ApprovalSchema);
}
