import { ApprovalSummarySchema } from '../../domain/schema/approval.ts';
import { pageOf } from '../../domain/schema/page.ts';
import type { RoleBinding } from '../../domain/principal.ts';
import { noteDirectChat, setWantsApprovals } from '../../infra/db/queries/direct-chat.ts';
import { nothingMore, UsageError, type ChatCommand } from './command.ts';
import { bold, cleanLine, code, plain } from './text.ts';
import { ask, line, lines, Refused, type KnownTurn, type Reply } from './turn.ts';
import { liveAgents, roomOf, workspacesOf } from './where.ts';

/** About whoever asks, and about how things are. */
export const ownCommands: readonly ChatCommand[] = [
  {
    name: 'task',
    usage: '<text>',
    help: 'gives Rookery a task',
    action: null,
    where: 'anywhere',
    async run(_turn, args) {
      if (args.trim() === '') throw new UsageError('Say what is to be done.');
      return lines('I cannot plan and carry out tasks by myself yet, so nothing was started.', [
        plain('What I can do now is start an agent with it: '),
        code(`/spawn claude -- ${cleanLine(args, 120)}`),
      ]);
    },
  },
  {
    name: 'whoami',
    usage: '',
    help: 'says who you are here',
    action: null,
    where: 'anywhere',
    run: whoami,
  },
  {
    name: 'status',
    usage: '[@workspace]',
    help: 'says how things are',
    action: 'listAgents',
    where: 'anywhere',
    run: status,
  },
  {
    name: 'notify',
    usage: 'on | off',
    help: 'shows you approvals in this direct chat, or stops it',
    action: 'listApprovals',
    where: 'direct',
    run: notify,
  },
];

async function whoami(turn: KnownTurn, args: string): Promise<Reply> {
  nothingMore(args);
  const { principal, sender, place, context } = turn;
  const slugs = new Map((await workspacesOf(turn)).map(({ id, slug }) => [id as string, slug]));
  const roles = principal.bindings.map((binding) => roleWords(binding, slugs));
  return lines(
    [
      plain('You are '),
      bold(cleanLine(principal.name, 80)),
      plain(' ('),
      code(principal.id),
      plain(')'),
    ],
    `Recognised by your number ${sender.subject} on ${turn.network}.`,
    roles.length === 0 ? 'You have no role yet.' : `Roles: ${roles.join('; ')}`,
    [
      plain(
        `This chat: ${context === null ? 'bound to nothing' : `${context.kind} ${cleanLine(context.name, 60)}`}, number `,
      ),
      code(place.threadId === null ? place.chatId : `${place.chatId}/${place.threadId}`),
    ],
  );
}

function roleWords({ role, place }: RoleBinding, slugs: ReadonlyMap<string, string>): string {
  if (place.kind === 'installation') return `${role} everywhere`;
  const slug = slugs.get(place.workspaceId) ?? place.workspaceId;
  if (place.kind === 'workspace') return `${role} in ${slug}`;
  if (place.kind === 'context') return `${role} in a context of ${slug}`;
  return `${role} for the ${place.kind} ${cleanLine(place.name, 40)} in ${slug}`;
}

const Approvals = pageOf(ApprovalSummarySchema);
const APPROVALS_MAX = 200;

async function status(turn: KnownTurn, args: string): Promise<Reply> {
  const room = await roomOf(turn, args);
  nothingMore(room.rest);
  const agents = await liveAgents(turn, room);
  const states = Map.groupBy(agents, ({ state }) => state);
  const counts = [...states].map(([state, each]) => `${each.length} ${state}`).join(', ');
  return lines(
    [plain('Workspace '), bold(room.slug)],
    agents.length === 0 ? 'No agents.' : `Agents: ${counts}`,
    await approvalWords(turn, room.id),
  );
}

async function approvalWords(turn: KnownTurn, workspaceId: string): Promise<string> {
  try {
    const { items, next } = await ask(turn, {
      method: 'GET',
      path: `/v1/workspaces/${workspaceId}/approvals?state=open&limit=${APPROVALS_MAX}`,
      answer: Approvals,
    });
    return `Approvals that wait: ${items.length}${next === null ? '' : ' or more'}`;
  } catch (error) {
    if (error instanceof Refused) return 'Approvals are not yours to see.';
    throw error;
  }
}

async function notify(turn: KnownTurn, args: string): Promise<Reply> {
  const word = args.trim().toLowerCase();
  if (word !== 'on' && word !== 'off') throw new UsageError('Say on or off.');
  const { connectorId, sender, place } = turn;
  const { db } = turn.deps.api;
  const chat = { connectorId, subject: sender.subject };
  await noteDirectChat(db, { ...chat, chatId: place.chatId });
  await setWantsApprovals(db, { ...chat, wantsApprovals: word === 'on' });
  return line(
    word === 'on'
      ? 'From now on you are shown here what you may decide.'
      : 'From now on approvals are shown in the admin hub only.',
  );
}
