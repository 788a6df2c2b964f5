import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { accessCommand } from './commands/access.ts';
import { agentKeyCommand } from './commands/agent-key.ts';
import { agentsCommand } from './commands/agents.ts';
import { approvalsCommand } from './commands/approvals.ts';
import { certificateCommand } from './commands/certificate.ts';
import { attachCommand } from './commands/attach.ts';
import { auditCommand } from './commands/audit.ts';
import { completeCommand, completionCommand } from './commands/completion.ts';
import { interruptCommand, lifecycleCommand, sendCommand } from './commands/control.ts';
import { approveCommand, denyCommand } from './commands/decide.ts';
import { documentCommand } from './commands/document.ts';
import { definitionCommand } from './commands/definition.ts';
import { enrolCommand } from './commands/enrol.ts';
import { eventsCommand } from './commands/events.ts';
import { explainCommand } from './commands/explain.ts';
import { connectorCommand } from './commands/connector.ts';
import { hostCommand } from './commands/host.ts';
import { hostingCommand } from './commands/hosting.ts';
import { keyCommand } from './commands/key.ts';
import { limitsCommand } from './commands/limits.ts';
import { loginCommand } from './commands/login.ts';
import { logsCommand, outputCommand, recordingCommand, screenCommand } from './commands/output.ts';
import { answerCommand, messagesCommand } from './commands/message.ts';
import { modelsCommand } from './commands/models.ts';
import { pairingCommand } from './commands/pairing.ts';
import { panelCommand } from './commands/panel.ts';
import { policyCommand } from './commands/policy.ts';
import { registryCommand, runtimeCommand } from './commands/registry.ts';
import { replayCommand } from './commands/replay.ts';
import { roleCommand } from './commands/role.ts';
import { spawnCommand } from './commands/spawn.ts';
import { tuiCommand } from './commands/tui.ts';
import { usageCommand } from './commands/usage.ts';
import { standingApprovalCommand } from './commands/standing-approval.ts';
import { userCommand } from './commands/user.ts';
import { webhookCommand } from './commands/webhook.ts';
import { contextCommand } from './commands/work-context.ts';
import { workspaceCommand } from './commands/workspace.ts';
import { EXIT_CODES } from './exit.ts';
import { widthOf, type CliIo } from './io.ts';

const GROUPS = {
  agents: 'Agents:',
  terminals: 'Terminals:',
  recordings: 'Recordings:',
  approvals: 'Approvals:',
  exchange: 'Documents and messages:',
  records: 'Records:',
  access: 'Access:',
  machines: 'Machines:',
  shell: 'Shell:',
} as const;

/** The commands that speak to the API; `main/` adds those that start, check and keep the runtime. */
export function createProgram(io: CliIo): Command {
  const program = new Command('rookery')
    .description('One durable runtime for AI agents, with people in charge.')
    .version(packageJson.version, '-V, --version', 'print the version')
    .usage('<command> [options]')
    .helpCommand('help [command]', 'help on a command')
    .addHelpText('after', () => `\n${exitCodesText()}\n\n${ENVIRONMENT}`);
  const groups: readonly (readonly [string, readonly Command[]])[] = [
    [GROUPS.agents, agentCommands(io)],
    [GROUPS.terminals, [attachCommand(io), screenCommand(io), logsCommand(io), outputCommand(io)]],
    [GROUPS.recordings, [recordingCommand(io), replayCommand(io), explainCommand(io)]],
    [
      GROUPS.approvals,
      [approvalsCommand(io), approveCommand(io), denyCommand(io), standingApprovalCommand(io)],
    ],
    [GROUPS.exchange, [documentCommand(io), messagesCommand(io), answerCommand(io)]],
    [GROUPS.records, [eventsCommand(io), auditCommand(io), usageCommand(io), modelsCommand(io)]],
    [
      GROUPS.access,
      [
        panelCommand(io),
        tuiCommand(io),
        workspaceCommand(io),
        contextCommand(io),
        userCommand(io),
        roleCommand(io),
        accessCommand(io),
        pairingCommand(io),
        keyCommand(io),
        enrolCommand(io),
        certificateCommand(io),
        agentKeyCommand(io),
        connectorCommand(io),
        webhookCommand(io),
        limitsCommand(io),
        policyCommand(io),
      ],
    ],
    [GROUPS.machines, [hostCommand(io), hostingCommand(io), runtimeCommand(io)]],
    [GROUPS.shell, [completionCommand(io)]],
  ];
  for (const [group, commands] of groups) {
    for (const command of commands) program.addCommand(command.helpGroup(group));
  }
  program.addCommand(completeCommand(io, program), { hidden: true });
  return program;
}

function agentCommands(io: CliIo): readonly Command[] {
  return [
    spawnCommand(io),
    agentsCommand(io),
    sendCommand(io),
    interruptCommand(io),
    lifecycleCommand(io, 'suspend', {
      summary: 'end the session of agents and keep their conversation',
      description:
        'Stops the CLI and frees its slot; the conversation stays and `resume` continues it. Exit ' +
        'code 7 where it takes longer than five seconds: it is done all the same.',
      examples: [['rookery suspend gemini', 'for the night']],
    }),
    lifecycleCommand(io, 'resume', {
      summary: 'continue suspended agents',
      description: "Starts the CLI again with the agent's own conversation, under a new epoch.",
      examples: [['rookery resume gemini', 'go on']],
    }),
    lifecycleCommand(io, 'stop', {
      summary: 'end agents for good',
      description:
        'Ends the session and the agent; its output, recording and events stay. Stopping a stopped ' +
        'agent is fine. An approval that is open then is voided.',
      examples: [['rookery stop gemini claude-2', 'two of them']],
    }),
    loginCommand(io),
    definitionCommand(io),
    registryCommand(io),
  ];
}

function exitCodesText(): string {
  const rows = Object.values(EXIT_CODES).map(
    ({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`,
  );
  return ['Exit codes:', ...rows].join('\n');
}

const ENVIRONMENT = `Environment:
  ROOKERY_URL, ROOKERY_API_KEY  address and key; else what \`rookery up\` left in its data folder
  ROOKERY_ADMIN_URL             address of the admin listener, for what changes keys and settings
  ROOKERY_WORKSPACE             workspace, by id or slug
  ROOKERY_DATA_DIR              data folder of \`rookery up\`
  ROOKERY_DETACH_KEY            key that leaves \`rookery attach\`
  NO_COLOR                      no colours`;

/** Every command below this one, itself first. */
export function allCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap((child) => allCommands(child))];
}

export function helpWidth(io: CliIo): number {
  const width = widthOf(io.stdout, io.env);
  return Number.isFinite(width) ? Math.min(width, 100) : 80;
}

/** Without the `[options]` that every line would have. */
export function termOf(command: Command): string {
  const operands = command.registeredArguments.map((argument) => {
    const name = argument.name() + (argument.variadic ? '...' : '');
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...operands].join(' ');
}
