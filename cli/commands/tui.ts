import { Option, type Command } from 'commander';
import { parseDetachKey } from '../attach/detach-key.ts';
import { adminCommand } from '../command.ts';
import { readConnection } from '../connection.ts';
import { inContext } from '../context.ts';
import type { CliIo } from '../io.ts';
import { SCREEN, SCREENS, type ScreenName } from '../tui/screens.ts';

interface TuiFlags {
  readonly screen: ScreenName;
  readonly ascii?: boolean;
}

export function tuiCommand(io: CliIo): Command {
  const screens = SCREENS.map((name, index) => `${index + 1} ${name}: ${SCREEN[name].about}`);
  return adminCommand('tui', {
    summary: 'the terminal UI: approvals, agents, people, connectors, policy, audit',
    description:
      'Shows and does on one screen what the other commands do one by one, with what your key or ' +
      'certificate may, and nothing else. It follows the events of the workspace; nothing has to be ' +
      'asked for again. The keys of each page stand in the last line, and ? shows them all. What cannot ' +
      'be undone wants a word to be typed; Enter alone never does it, and pasted text goes into fields ' +
      'only. It needs a terminal of 40×12 or more, neither mouse nor colours, and works through SSH and ' +
      `tmux.\n\nScreens: ${screens.join('; ')}.`,
    examples: [
      ['rookery tui', 'what waits for a decision'],
      ['rookery tui --screen agents --workspace shop', 'straight to the agents of a workspace'],
      ['rookery tui --ascii', 'where the terminal has no Unicode'],
      ['NO_COLOR=1 rookery tui', 'without colours'],
    ],
  })
    .addOption(
      new Option('--screen <name>', 'begin here').choices([...SCREENS]).default('approvals'),
    )
    .option('--ascii', 'draw with ASCII characters only; others are shown as ?')
    .action((_flags, command) =>
      inContext(command, io, async (context) => {
        const { runTui } = await import('../tui/start.ts');
        const { ascii, screen }: TuiFlags = command.opts();
        const { key, identity = null } = readConnection(context.flags, io);
        const isStranger = key === null && identity === null;
        const detachKey = parseDetachKey(io.env['ROOKERY_DETACH_KEY'] ?? 'ctrl-]');
        // Who has neither key nor certificate begins where he gets one.
        const first = isStranger ? 'access' : screen;
        await runTui(context, { screen: first, isAscii: ascii === true, detachKey });
      }),
    );
}
