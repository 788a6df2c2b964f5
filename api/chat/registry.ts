import { ACTIONS } from '../../domain/action.ts';
import type { OfferedCommand } from '../../infra/connectors/factory.ts';
import { suggest } from '../../infra/config/suggest.ts';
import { agentCommands } from './agent-commands.ts';
import { approvalCommands } from './approval-commands.ts';
import { firstWord, type ChatCommand } from './command.ts';
import { documentCommands } from './document-commands.ts';
import { hubCommands } from './hub-commands.ts';
import { ownCommands } from './own-commands.ts';
import { bold, cleanLine, code, plain } from './text.ts';
import { line, lines, type Reply } from './turn.ts';

/** Everything that can be asked for in a chat, besides `help` and `pair`, which need nobody to be known. */
const CHAT_COMMANDS: readonly ChatCommand[] = [
  ...agentCommands,
  ...approvalCommands,
  ...documentCommands,
  ...ownCommands,
  ...hubCommands,
];

const HELP = { name: 'help', usage: '[command]', help: 'says what can be asked for' } as const;
const PAIR = { name: 'pair', usage: '', help: 'links you to your user; in a direct chat' } as const;

/** What networks offer while somebody types. They know no `-` in names. */
export const OFFERED_COMMANDS: readonly OfferedCommand[] = [HELP, PAIR, ...CHAT_COMMANDS].map(
  ({ name, usage, help }) => ({
    name: name.replaceAll('-', '_'),
    description: `${usage === '' ? '' : `${usage}: `}${help}`.slice(0, 100),
  }),
);

/** `admin_channel` is `admin-channel`. */
export function findCommand(name: string): ChatCommand | null {
  const wanted = name.toLowerCase().replaceAll('_', '-');
  return CHAT_COMMANDS.find((command) => command.name === wanted) ?? null;
}

export function unknownCommand(name: string): Reply {
  const known = [...CHAT_COMMANDS, HELP, PAIR].map((command) => command.name);
  const meant = suggest(name, known);
  const hint = meant === null ? '/help lists what I know.' : `Did you mean /${meant}?`;
  return line(`I do not know /${cleanLine(name, 40)}. ${hint}`);
}

export function usageOf({ name, usage }: Pick<ChatCommand, 'name' | 'usage'>): string {
  return usage === '' ? `/${name}` : `/${name} ${usage}`;
}

const WHERE_WORDS = {
  anywhere: '',
  staff: ' Only in the admin hub and in direct chats.',
  direct: ' Only in a direct chat.',
} as const;

export function helpReply(args: string): Reply {
  const { word } = firstWord(args);
  if (word !== '') return helpOn(word.replace(/^\//, ''));
  const each = [...CHAT_COMMANDS, HELP, PAIR].map((command) => [
    code(usageOf(command)),
    plain(` ${command.help}`),
  ]);
  return lines([bold('What you can ask for')], ...each);
}

function helpOn(name: string): Reply {
  const command = findCommand(name);
  if (command === null) {
    const other = [HELP, PAIR].find((each) => each.name === name.toLowerCase());
    return other === undefined
      ? unknownCommand(name)
      : lines([code(usageOf(other)), plain(` ${other.help}`)]);
  }
  const { action, where } = command;
  const least =
    action === null ? 'Anybody who is paired.' : `Takes the role ${ACTIONS[action].role}.`;
  return lines(
    [code(usageOf(command)), plain(` ${command.help}`)],
    `${least}${WHERE_WORDS[where]}`,
  );
}
