import { Option, type Command } from 'commander';
import { AGENT_TYPES, type AgentType } from '../domain/agent.ts';
import type { ConfigFlags } from './flags.ts';
import type { EnrolSecretFlags } from './run-enrol-secret.ts';

const UP_HELP = `
Starts what is not configured otherwise: PostgreSQL (DATABASE_URL), Temporal with its Web UI
(TEMPORAL_ADDRESS), the pty-host, the workers and the API. Prints the addresses and, on the first start, an API
key. Ctrl-C stops everything in order; a second start on the same data goes on where the first stopped.

Examples:
  rookery up
  rookery up --set listen.port=7700 --set approvals.expiryMs=3600000
  DATABASE_URL=postgres://… TEMPORAL_ADDRESS=temporal:7233 rookery up
`;

const DEMO_HELP = `
Brings the runtime up on data of its own (.rookery/demo), spawns a real CLI with a task that needs a shell
command, and asks you before it runs. With a key in the environment (GEMINI_API_KEY, ANTHROPIC_API_KEY,
OPENAI_API_KEY) the real model answers; without one a small server on this machine plays a fixed script.

Examples:
  rookery demo
  rookery demo --yes
  rookery demo --agent claude
`;

const ENROL_SECRET_HELP = `
Needs no certificate and no key: whoever may read the data directory and the database may do anything here, and the audit
says that it was done. For when admin.mtls is on and nobody has a certificate yet, or all of them are lost.

Examples:
  rookery enrol-secret --name Ada
  rookery enrol-secret --user usr_01kq3zd8c2f5tv7m9x4r6b0wne
`;

const GROUP = 'Runtime:';

/**
 * Commands that run a part of Rookery, beside those that talk to it. What they need is loaded when one is run: the
 * Temporal SDK alone takes half a second, which `rookery agents` should not wait for.
 */
export function addProcessCommands(program: Command): void {
  add(
    program,
    'up',
    'run everything in one process, on embedded defaults where nothing is configured',
  )
    .addHelpText('after', UP_HELP)
    .action(async (flags: ConfigFlags) => {
      const { runUp } = await import('./run-up.ts');
      await runUp(flags);
    });

  add(program, 'demo', 'spawn a real CLI and approve what it asks, in two minutes')
    .addOption(new Option('--agent <type>', 'which CLI').choices(AGENT_TYPES).default('gemini'))
    .option('--yes', 'answer the approval with yes, for unattended runs')
    .addHelpText('after', DEMO_HELP)
    .action(async (flags: ConfigFlags & { readonly agent: AgentType; readonly yes?: boolean }) => {
      const { startDemo } = await import('./run-demo.ts');
      await startDemo(flags);
    });

  add(program, 'api', 'run the API alone (needs DATABASE_URL and TEMPORAL_ADDRESS)').action(
    async (flags: ConfigFlags) => {
      const { runApi } = await import('./process.ts');
      await runApi(flags);
    },
  );

  add(
    program,
    'worker',
    'run worker pools and their listeners (needs DATABASE_URL and TEMPORAL_ADDRESS)',
  )
    .option('--pools <names>', 'core, pty, connectors, with commas (default: all)')
    .action(async (flags: ConfigFlags & { readonly pools?: string }) => {
      const { runWorker } = await import('./process.ts');
      await runWorker(flags);
    });

  add(program, 'pty-host', 'own the terminals of this machine')
    .option(
      '--connect <url>',
      'API of the Rookery to work for, as host.connect; see docs/hosting.md',
    )
    .action(async (flags: ConfigFlags & { readonly connect?: string }) => {
      const { runPtyHost } = await import('./run-pty-host.ts');
      await runPtyHost(flags);
    });

  add(
    program,
    'migrate',
    'bring the database schema and the Temporal namespace up to date, and end',
  ).action(async (flags: ConfigFlags) => {
    const { runMigrate } = await import('./run-migrate.ts');
    await runMigrate(flags);
  });

  add(program, 'enrol-secret', 'make a one-time secret that lets a machine enrol, on the server')
    .option('--user <user>', 'whose machine it is, by id; without it the first overlord is made')
    .option('--name <name>', 'of the first overlord')
    .option('--json', 'one JSON document')
    .addHelpText('after', ENROL_SECRET_HELP)
    .action(async (flags: EnrolSecretFlags) => {
      const { runEnrolSecret } = await import('./run-enrol-secret.ts');
      await runEnrolSecret(flags);
    });

  add(program, 'doctor', 'say what is found, what is missing, and how to get it')
    .option('--json', 'one JSON document')
    .action(async (flags: ConfigFlags & { readonly json?: boolean }) => {
      const { printDoctor } = await import('./run-doctor.ts');
      await printDoctor(flags);
    });
}

function add(program: Command, name: string, summary: string): Command {
  return program
    .command(name)
    .helpGroup(GROUP)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .option('--config <file>', 'settings file (default: rookery.yaml where there is one)')
    .addOption(
      new Option(
        '--set <key=value...>',
        'a setting, such as listen.port=7700; wins over file and environment',
      ),
    );
}
