import { Option, type Command } from 'commander';
import { RISKS } from '../../domain/approval.ts';
import { DATA_CLASSES, POLICY_ACTIONS } from '../../domain/policy.ts';
import { ROLES } from '../../domain/principal.ts';
import { PolicyDecisionSchema } from '../../domain/schema/policy.ts';
import { adminCommand, collect, wholeNumber } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import type { CliIo } from '../io.ts';
import { workspacePath } from '../resolve.ts';
import { plainLine } from '../text.ts';

interface TestFlags {
  readonly principal: string;
  readonly role?: string;
  readonly resource: string;
  readonly context?: string;
  readonly risk: string;
  readonly dataClass: string;
  readonly tool: string;
  readonly subject: string;
  readonly intent: string;
  readonly recipient?: readonly string[];
  readonly isolated: boolean;
  readonly complete: boolean;
  readonly against?: number;
}

export function testCommand(io: CliIo): Command {
  return adminCommand('test', {
    summary: 'ask a policy about a made-up request',
    description:
      'Says what the policy that holds, or another version, answers to a request that you make up, and by which ' +
      'rule. Nothing happens, and nothing is recorded.',
    examples: [
      ['rookery policy test agent.prompt --tool Bash --subject "npm publish"', 'a command'],
      ['rookery policy test agent.spawn --principal user:ada --role operator', 'by a person'],
    ],
  })
    .argument('<action>', POLICY_ACTIONS.join(', '))
    .option('--principal <kind:id>', 'who asks: user:…, agent:… or system:…', 'agent:example')
    .addOption(new Option('--role <role>', 'his role, or of whom he works for').choices(ROLES))
    .option('--resource <kind:id>', 'what it is about', 'agent:example')
    .option('--context <id>', 'where it is asked')
    .addOption(new Option('--risk <risk>', 'how risky it is').choices(RISKS).default('medium'))
    .addOption(
      new Option('--data-class <class>', 'where it comes from')
        .choices(DATA_CLASSES)
        .default('internal'),
    )
    .option('--tool <name>', 'the tool or program', '')
    .option('--subject <text>', 'the whole of it', '')
    .option('--intent <text>', 'what it is for', '')
    .option('--recipient <name>', 'who gets it; may be given several times', collect)
    .option('--no-isolated', 'as from a session that is not isolated')
    .option('--no-complete', 'as if it had been cut')
    .option('--against <number>', 'a version, or 0 for the built-in', wholeNumber(0, 1_000_000))
    .action((action: string, flags: TestFlags, command) =>
      inContext(command, io, (context) => test(context, action, flags)),
    );
}

async function test(context: Context, action: string, flags: TestFlags): Promise<void> {
  const principal = reference(flags.principal);
  const { body } = await context.admin().send({
    method: 'POST',
    path: `${await workspacePath(context)}/policies/test`,
    body: {
      request: {
        action,
        principal: { ...principal, role: flags.role ?? null },
        resource: reference(flags.resource),
        contextId: flags.context ?? null,
        risk: flags.risk,
        dataClass: flags.dataClass,
        tool: flags.tool,
        subject: flags.subject,
        intent: flags.intent,
        recipients: flags.recipient ?? [],
        isolated: flags.isolated,
        payloadComplete: flags.complete,
      },
      ...(flags.against === undefined ? {} : { version: flags.against }),
    },
    schema: PolicyDecisionSchema,
  });
  const { verdict, rule, engine, version, reason } = body;
  const why = reason === '' ? '' : `: ${plainLine(reason)}`;
  const by = version === 0 ? engine : `${engine}, version ${version}`;
  await context.answer(body, () => `${verdict}, by ${plainLine(rule)} (${by})${why}`);
}

/** `kind:id`; what has no colon is a kind. */
function reference(text: string): { readonly kind: string; readonly id: string } {
  const [kind = '', ...rest] = text.split(':');
  return { kind, id: rest.length === 0 ? 'example' : rest.join(':') };
}
