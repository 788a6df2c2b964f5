import { Option, type Command } from 'commander';
import { z } from 'zod';
import { ActionRuleSchema, ExplanationSchema } from '../../domain/schema/explain.ts';
import { apiCommand, described } from '../command.ts';
import { inContext } from '../context.ts';
import type { CliIo } from '../io.ts';
import { table } from '../table.ts';
import { plainLine } from '../text.ts';
import { placeWords } from './role.ts';

export function accessCommand(io: CliIo): Command {
  return described('access', {
    summary: 'who may do what, and why not',
    description:
      'Tells for a person or key, an action and a place whether it is allowed, by which rule, and what is missing.',
    examples: [
      ['rookery access why me spawnAgents -w shop', 'why may I not?'],
      ['rookery access actions', 'everything that can be asked for'],
    ],
  })
    .addCommand(whyCommand(io))
    .addCommand(actionsCommand(io));
}

interface WhyFlags {
  readonly context?: string;
  readonly via?: string;
  readonly workspace?: string;
}

function whyCommand(io: CliIo): Command {
  const command = apiCommand('why', {
    summary: 'why somebody may do something, or may not',
    description:
      'Shows the decision, the rule that made it, every role that was looked at, and what would be needed. Of ' +
      'yourself you may always ask; of others, where you are an admin. Without a workspace it is about actions that ' +
      'name none. Exit code 0 either way.',
    examples: [
      ['rookery access why me spawnAgents -w shop', 'of yourself'],
      [
        'rookery access why usr_01kq3zd8c2f5tv7m9x4r6b0wne decideApproval -w shop --via chat',
        'of a person who writes in a chat',
      ],
    ],
  })
    .argument('<who>', 'id of a user or of a key; `me`')
    .argument('<action>', 'see `rookery access actions`')
    .option('--context <context>', 'id of the context that it is about')
    .addOption(new Option('--via <way>', 'how he asks').choices(['oidc', 'certificate', 'chat']))
    .action((who: string, action: string) =>
      inContext(command, io, async (context) => {
        const flags: WhyFlags = command.optsWithGlobals();
        const given: Record<string, string | undefined> = {
          action,
          principal: who === 'me' ? undefined : who,
          workspace: flags.workspace,
          context: flags.context,
          via: flags.via,
        };
        const query = new URLSearchParams();
        for (const [name, value] of Object.entries(given)) {
          if (value !== undefined) query.set(name, value);
        }
        const path = `/v1/explain?${query.toString()}`;
        const found = await context.client.get(path, ExplanationSchema);
        await context.answer(found, () => explanationText(found));
      }),
    );
  return command;
}

function explanationText(found: z.output<typeof ExplanationSchema>): string {
  const { principal, needs, bindings, missing } = found;
  const yes = found.decision === 'allow' ? 'Yes' : 'No';
  return [
    `${yes}. ${found.message} (${found.rule})`,
    `${found.action} needs the role ${needs.role} and the scope ${needs.scope}.`,
    bindings.length === 0
      ? `${plainLine(principal.name)} has no roles that you may see.`
      : `Roles of ${plainLine(principal.name)} (${principal.id}):`,
    ...bindings.map(
      ({ role, place, reaches, covers, why }) =>
        `  ${reaches && covers ? '+' : '-'} ${role} ${plainLine(placeWords(place))}: ${why}`,
    ),
    ...(missing.length === 0 ? [] : [`Missing: ${missing.join('; ')}.`]),
  ].join('\n');
}

const Actions = z.object({ items: z.array(ActionRuleSchema) });

function actionsCommand(io: CliIo): Command {
  return apiCommand('actions', {
    summary: 'everything that can be asked for',
    description: 'Lists the actions with the least role and the scope that each of them takes.',
    examples: [['rookery access actions', 'the whole table']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const { items } = await context.client.get('/v1/actions', Actions);
      await context.answer({ items }, () =>
        table(
          [
            { title: 'ACTION', value: ({ name }) => name },
            { title: 'ROLE', value: ({ role }) => role },
            { title: 'SCOPE', value: ({ scope }) => scope },
            { title: 'LISTENER', value: ({ listener }) => listener, drop: 1 },
            {
              title: 'ROUTE',
              value: ({ method, path }) => `${method} ${path}`,
              cut: true,
              drop: 0,
            },
          ],
          items,
          context,
        ),
      );
    }),
  );
}
