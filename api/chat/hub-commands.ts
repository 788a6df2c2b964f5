import { AppError } from '../../domain/error.ts';
import { ContextSchema } from '../../domain/schema/context.ts';
import { firstWord, nothingMore, UsageError, type ChatCommand } from './command.ts';
import { bold, cleanLine, plain } from './text.ts';
import { ask, line, lines, type KnownTurn, type Reply } from './turn.ts';
import { workspacesOf } from './where.ts';

export const hubCommands: readonly ChatCommand[] = [
  {
    name: 'admin-channel',
    usage: 'enable [workspace] | disable',
    help: 'makes this chat the admin hub, where approvals are shown and taken',
    action: 'setHub',
    where: 'anywhere',
    async run(turn, args) {
      const { word, rest } = firstWord(args);
      switch (word.toLowerCase()) {
        case 'enable':
          return enable(turn, rest);
        case 'disable':
          nothingMore(rest);
          return disable(turn);
        default:
          throw new UsageError('Say enable or disable.');
      }
    },
  },
];

/** The API says who may: an admin of the whole workspace. */
async function enable(turn: KnownTurn, args: string): Promise<Reply> {
  if (turn.place.kind === 'dm') {
    throw new AppError('invalid_input', 'A hub is a group or a channel: say it there.');
  }
  const { word, rest } = firstWord(args);
  nothingMore(rest);
  const slug = word.replace(/^@/, '').toLowerCase();
  const contextId = turn.context?.id ?? (await bind(turn, slug));
  if (turn.context !== null && slug !== '') await checkBound(turn, slug);
  const hub = await ask(turn, {
    method: 'POST',
    path: `/v1/contexts/${contextId}/hub`,
    part: 'hub',
    answer: ContextSchema,
  });
  return lines(
    [plain('This chat is the admin hub '), bold(cleanLine(hub.name, 80)), plain(' now.')],
    'Approvals are shown here, with all that is asked: everybody in this chat reads them, and whoever has the role decides. What staff write me directly is shown here too.',
  );
}

async function checkBound(turn: KnownTurn, slug: string): Promise<void> {
  const bound = (await workspacesOf(turn)).find(({ id }) => id === turn.context?.workspaceId);
  if (bound?.slug === slug) return;
  throw new AppError(
    'conflict',
    'This chat is bound to another workspace. Take it from that one first, with /admin-channel disable.',
  );
}

const SLUG_CHARS_MAX = 40;

async function bind(turn: KnownTurn, slug: string): Promise<string> {
  const { place, connectorId } = turn;
  const workspaces = await workspacesOf(turn);
  const [only, second] = workspaces;
  const workspace =
    slug === '' && second === undefined ? only : workspaces.find((each) => each.slug === slug);
  if (workspace === undefined) {
    const names = workspaces.map((each) => each.slug).join(', ');
    throw new UsageError(`Say which workspace this chat belongs to. Yours: ${names || 'none'}.`);
  }
  const number = `${place.chatId}${place.threadId ?? ''}`.replaceAll(/\D/g, '');
  const made = await ask(turn, {
    method: 'POST',
    path: `/v1/workspaces/${workspace.id}/contexts`,
    part: 'context',
    body: {
      slug: `${turn.network}-${number}`.slice(0, SLUG_CHARS_MAX),
      name: cleanLine(place.title, 100) || `${turn.network} ${number}`.slice(0, 100),
      kind: place.threadId === null ? (place.kind === 'channel' ? 'channel' : 'group') : 'thread',
      chat: { connectorId, chatId: place.chatId, threadId: place.threadId },
    },
    answer: ContextSchema,
  });
  return made.id;
}

async function disable(turn: KnownTurn): Promise<Reply> {
  const { context } = turn;
  if (context?.kind !== 'admin_hub') throw new AppError('conflict', 'This chat is no admin hub.');
  await ask(turn, {
    method: 'DELETE',
    path: `/v1/contexts/${context.id}`,
    answer: ContextSchema,
  });
  return line(
    'This chat is no admin hub any more: nothing is shown or decided here. It is bound to nothing.',
  );
}
