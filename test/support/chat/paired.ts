import { z } from 'zod';
import type { Role } from '../../../domain/principal.ts';
import type { TestRookery } from '../rookery.ts';
import { ADA, TOKEN, type TelegramServer } from './telegram-server.ts';

/** Her direct chat with the bot. */
export const DIRECT = { id: ADA.id, type: 'private', first_name: 'Ada' } as const;

const WAIT_MS = 20_000;
const LOOK_MS = 20;

/** Connects the bot of a server to a whole runtime; answers the connector's id. */
export async function connectBot(rookery: TestRookery, server: TelegramServer): Promise<string> {
  const { status, body } = await rookery.callAdmin('POST', '/v1/connectors', {
    network: 'telegram',
    name: 'bot',
    secret: { typed: TOKEN },
    settings: { apiRoot: server.apiRoot },
  });
  if (status !== 201) throw new Error(`Not connected: ${JSON.stringify(body)}`);
  return z.object({ id: z.string() }).parse(body).id;
}

/** She writes "pair", and an admin takes the token that she got: from then on she is a user with that role. */
export async function pairAda(
  rookery: TestRookery,
  server: TelegramServer,
  role: Role = 'operator',
): Promise<void> {
  server.say({ chat: DIRECT, text: 'pair' });
  const token = await textFor(server, /[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}/);
  const found = await rookery.callAdmin('POST', '/v1/pairings/lookup', { token });
  const { id } = z.object({ id: z.string() }).parse(found.body);
  const approved = await rookery.callAdmin('POST', `/v1/pairings/${id}/approve`, {
    newUser: { name: 'Ada' },
    role,
  });
  if (approved.status >= 300) throw new Error(`Not paired: ${JSON.stringify(approved.body)}`);
}

/** What fits in what the bot has said, as soon as it has. */
async function textFor(server: TelegramServer, pattern: RegExp): Promise<string> {
  const until = performance.now() + WAIT_MS;
  while (performance.now() < until) {
    for (const { text } of server.shown) {
      const [match] = pattern.exec(text) ?? [];
      if (match !== undefined) return match;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
  throw new Error(`Nothing like ${String(pattern)} was said.`);
}
