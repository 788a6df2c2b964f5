import { ApplicationCommandOptionType, Routes, type REST } from 'discord.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Hex } from '../../digest.ts';
import type { UpdateSink } from '../contract.ts';
import type { OfferedCommand } from '../factory.ts';
import { toConnectorError } from './rest.ts';
import { createLimiter } from './work.ts';

const NAME = /^[\w-]{1,32}$/;
const DESCRIPTION_MAX = 100;
const GUILDS_AT_ONCE_MAX = 2;
const TRIES_MAX = 5;
const WAIT_MS = 2_000;
const WAIT_MS_MAX = 60_000;

export interface CommandRegistrar {
  /** Offers the commands in a guild, unless it has them already. Throws `ConnectorError`. */
  offer(guildId: string): Promise<void>;
}

export function createCommandRegistrar(options: {
  readonly rest: REST;
  readonly sink: UpdateSink;
  readonly commands: readonly OfferedCommand[];
  readonly applicationId: () => string;
  readonly signal: AbortSignal;
}): CommandRegistrar {
  const { rest, sink, signal, applicationId } = options;
  const body = options.commands.filter(({ name }) => NAME.test(name)).map(toPayload);
  const digest = sha256Hex(JSON.stringify(body));
  const limiter = createLimiter(GUILDS_AT_ONCE_MAX);

  async function put(guildId: string): Promise<void> {
    const route = Routes.applicationGuildCommands(applicationId(), guildId);
    for (let tries = 1; ; tries += 1) {
      try {
        await rest.put(route, { body, signal });
        return;
      } catch (cause) {
        const error = toConnectorError(cause, true);
        if (error.kind !== 'retry' || tries === TRIES_MAX) throw error;
        await sleep(Math.min(error.retryAfterMs ?? WAIT_MS, WAIT_MS_MAX), undefined, { signal });
      }
    }
  }

  return {
    offer: (guildId) =>
      limiter(async () => {
        const cursor = `commands:${guildId}`;
        // Discord counts what is registered each day, and a restart changes nothing about it.
        const offered = `${applicationId()}:${digest}`;
        if ((await sink.cursor(cursor)) === offered) return;
        await put(guildId);
        await sink.advance(cursor, offered);
      }),
  };
}

/** All that follows the name is one text, as it is on networks where commands are typed. */
function toPayload({ name, description }: OfferedCommand) {
  return {
    name: name.toLowerCase(),
    description: description.slice(0, DESCRIPTION_MAX),
    options: [
      {
        type: ApplicationCommandOptionType.String,
        name: 'text',
        description: 'What the command is about',
        required: false,
      },
    ],
  };
}
