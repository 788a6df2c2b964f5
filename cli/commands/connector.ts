import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { NETWORKS } from '../../domain/chat.ts';
import { ConnectorSchema, ConnectorTestSchema } from '../../domain/schema/connector.ts';
import { pageOf } from '../../domain/schema/page.ts';
import { confirm } from '../ask.ts';
import { adminCommand, described } from '../command.ts';
import { connectorPath } from '../connector-path.ts';
import { connectorFacts, connectorTable } from '../connector-view.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo, Input } from '../io.ts';
import { plainLine } from '../text.ts';
import { postsCommand, retryCommand, sendAgainCommand } from './connector-posts.ts';

const ID = 'id of the connector';
const EXAMPLE = 'con_01kq3zd8c2f5tv7m9x4r6b0wne';

export function connectorCommand(io: CliIo): Command {
  return described('connector', {
    summary: 'bots on Telegram and Discord: connect, list, secrets, what was not said',
    description:
      'A connector is a bot on a chat network. Needs the role admin everywhere, the scopes connectors:*, and the ' +
      'admin listener. See docs/connectors.md.',
    examples: [['rookery connector list', 'how they do']],
  })
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(addCommand(io))
    .addCommand(secretCommand(io))
    .addCommand(setCommand(io))
    .addCommand(testCommand(io))
    .addCommand(removeCommand(io))
    .addCommand(postsCommand(io))
    .addCommand(sendAgainCommand(io))
    .addCommand(retryCommand(io));
}

function listCommand(io: CliIo): Command {
  return adminCommand('list', {
    summary: 'list connectors',
    description: 'Lists the bots with their state. No secret is shown.',
    examples: [['rookery connector list --json', 'for a program']],
  }).action((_flags, command) =>
    inContext(command, io, async (context) => {
      const path = '/v1/connectors?limit=200';
      const { items } = await context.admin().get(path, pageOf(ConnectorSchema));
      await context.answer({ items }, () =>
        items.length === 0 ? 'No connectors.' : connectorTable(items, context),
      );
    }),
  );
}

function showCommand(io: CliIo): Command {
  return adminCommand('show', {
    summary: 'show one connector',
    description: 'Shows one bot: who it is, how it does and since when, and where its secret is.',
    examples: [[`rookery connector show ${EXAMPLE}`, 'why does it not answer?']],
  })
    .argument('<connector>', ID)
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const body = await context.admin().get(connectorPath(id), ConnectorSchema);
        await context.answer(body, () => connectorFacts(body, context));
      }),
    );
}

const secretOption = (): Option =>
  new Option(
    '--secret-ref <reference>',
    'where the bot’s token is: env:TELEGRAM_BOT_TOKEN (default: read from the input)',
  );
const fileOption = (): Option =>
  new Option('--token-file <file>', 'a file with the bot’s token, which is read and sealed');
const webhookOption = (): Option =>
  new Option('--webhook <url>', 'https address of this API, where Telegram pushes to');
const apiOption = (): Option =>
  new Option('--api-root <url>', 'another server of the network, such as your own Bot API');

interface AddFlags {
  readonly secretRef?: string;
  readonly tokenFile?: string;
  readonly webhook?: string;
  readonly apiRoot?: string;
}

function addCommand(io: CliIo): Command {
  return adminCommand('add', {
    summary: 'connect a bot',
    description:
      'Connects a bot. Its token is read from a file or the input, never from the command line, and is sealed; or it is named ' +
      'by a reference. It is shown to nobody again.',
    examples: [
      ['rookery connector add telegram --secret-ref env:TELEGRAM_BOT_TOKEN', 'by reference'],
      ['rookery connector add discord --name team --token-file token.txt', 'the token, sealed'],
    ],
  })
    .argument('<network>', NETWORKS.join(' or '))
    .option('--name <name>', 'for people (default: the network’s name)')
    .addOption(secretOption())
    .addOption(fileOption())
    .addOption(webhookOption())
    .addOption(apiOption())
    .action((network: string, flags: AddFlags & { readonly name?: string }, command) =>
      inContext(command, io, async (context) => {
        const { body } = await context.admin().send({
          method: 'POST',
          path: '/v1/connectors',
          body: {
            network,
            name: flags.name ?? network,
            secret: await readSecret(context, flags),
            settings: settingsOf(flags),
          },
          schema: ConnectorSchema,
        });
        await context.answer(body, () => connectorFacts(body, context));
      }),
    );
}

function settingsOf({ webhook, apiRoot }: AddFlags) {
  return {
    ...(webhook === undefined ? {} : { webhookUrl: webhook }),
    ...(apiRoot === undefined ? {} : { apiRoot }),
  };
}

function secretCommand(io: CliIo): Command {
  return adminCommand('secret', {
    summary: 'replace the token of a bot',
    description:
      'Gives a bot another token, read from the input or named by a reference. It is used within moments, without a ' +
      'restart; the old one is forgotten. It must be of the same bot.',
    examples: [[`rookery connector secret ${EXAMPLE} < token.txt`, 'after a revocation']],
  })
    .argument('<connector>', ID)
    .addOption(secretOption())
    .addOption(fileOption())
    .action((id: string, flags: AddFlags, command) =>
      inContext(command, io, async (context) => {
        const path = `${connectorPath(id)}/rotate-secret`;
        const { body } = await context.admin().send({
          method: 'POST',
          path,
          body: { secret: await readSecret(context, flags) },
          schema: ConnectorSchema,
        });
        await context.answer(body, () => `The new secret of ${plainLine(body.name)} is taken.`);
      }),
    );
}

interface SetFlags extends AddFlags {
  readonly name?: string;
  readonly state?: 'on' | 'off';
  readonly polling?: true;
}

function setCommand(io: CliIo): Command {
  return adminCommand('set', {
    summary: 'change a connector',
    description:
      'Changes name or settings, or turns a bot on or off; what is left out stays. A bot that is off says and hears ' +
      'nothing; what was said meanwhile arrives when it is on again, as far as the network keeps it.',
    examples: [
      [`rookery connector set ${EXAMPLE} --state off`, 'be quiet'],
      [`rookery connector set ${EXAMPLE} --webhook https://rookery.example.com`, 'be pushed to'],
    ],
  })
    .argument('<connector>', ID)
    .option('--name <name>', 'for people')
    .addOption(new Option('--state <state>', 'on or off').choices(['on', 'off']))
    .addOption(webhookOption())
    .option('--polling', 'ask for news instead of being pushed to')
    .addOption(apiOption())
    .action((id: string, flags: SetFlags, command) =>
      inContext(command, io, (context) => set(context, connectorPath(id), flags)),
    );
}

async function set(context: Context, path: string, flags: SetFlags): Promise<void> {
  const { name, state, polling } = flags;
  const changed = settingsOf(flags);
  const settings =
    Object.keys(changed).length > 0 || polling === true
      ? { settings: { ...(await settingsAt(context, path, polling === true)), ...changed } }
      : {};
  const change = {
    ...(name === undefined ? {} : { name }),
    ...(state === undefined ? {} : { enabled: state === 'on' }),
    ...settings,
  };
  if (Object.keys(change).length === 0) {
    throw new CliError(
      'usage',
      'Say what to change: --name, --state, --webhook, --polling or --api-root.',
    );
  }
  const { body } = await context
    .admin()
    .send({ method: 'POST', path, body: change, schema: ConnectorSchema });
  await context.answer(body, () => connectorFacts(body, context));
}

async function settingsAt(context: Context, path: string, isPolling: boolean) {
  const { settings } = await context.admin().get(path, ConnectorSchema);
  const { webhookUrl: _webhookUrl, ...others } = settings;
  return isPolling ? others : settings;
}

function testCommand(io: CliIo): Command {
  return adminCommand('test', {
    summary: 'ask the network whether it takes the token',
    description: 'Asks the network who the bot is. Nothing is said to anybody.',
    examples: [[`rookery connector test ${EXAMPLE}`, 'is the token good?']],
  })
    .argument('<connector>', ID)
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context): Promise<ExitName> => {
        const path = `${connectorPath(id)}/test`;
        const { body } = await context
          .admin()
          .send({ method: 'POST', path, body: {}, schema: ConnectorTestSchema });
        await context.answer(body, () =>
          plainLine(body.ok ? `It is ${body.botName} (${body.botId}).` : (body.error ?? 'No.')),
        );
        return body.ok ? 'ok' : 'failed';
      }),
    );
}

function removeCommand(io: CliIo): Command {
  return adminCommand('remove', {
    summary: 'take a bot off its network',
    description: 'Removes a connector and forgets its secret. What waits to be said is not said.',
    examples: [[`rookery connector remove ${EXAMPLE}`, 'for good']],
  })
    .argument('<connector>', ID)
    .option('-y, --yes', 'do not ask')
    .action((id: string, flags: { readonly yes?: boolean }, command) =>
      inContext(command, io, async (context): Promise<ExitName | void> => {
        const path = connectorPath(id);
        if (flags.yes !== true && !(await confirm(context, `Remove ${id} for good?`))) {
          await context.note('Nothing was removed.');
          return 'failed';
        }
        const { body } = await context
          .admin()
          .send({ method: 'DELETE', path, schema: ConnectorSchema });
        await context.answer(body, () => `Removed: ${plainLine(body.name)} (${body.id}).`);
      }),
    );
}

async function readSecret({ io }: Context, { secretRef, tokenFile }: AddFlags) {
  if (secretRef !== undefined && tokenFile !== undefined) {
    throw new CliError('usage', 'Say --secret-ref or --token-file, and not both.');
  }
  if (secretRef !== undefined) return { reference: secretRef };
  if (tokenFile !== undefined) return { typed: await readToken(resolve(io.cwd, tokenFile)) };
  if (io.stdin.isTTY === true) {
    throw new CliError('usage', 'The token is not typed at a terminal, which would show it.', {
      hint: 'Put it into a file and use `< token.txt`, or name it: --secret-ref env:TELEGRAM_BOT_TOKEN.',
    });
  }
  const typed = (await readAll(io.stdin)).trim();
  if (typed !== '') return { typed };
  throw new CliError('usage', 'There is no token on the input.');
}

async function readToken(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) throw new CliError('usage', 'The file of --token-file cannot be read.');
  const token = text.slice(0, TOKEN_BYTES_MAX).trim();
  if (token !== '') return token;
  throw new CliError('usage', 'There is no token in the file of --token-file.');
}

const TOKEN_BYTES_MAX = 4_096;

async function readAll(stdin: Input): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > TOKEN_BYTES_MAX) throw new CliError('usage', 'That is too long for a token.');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}
