import { randomInt } from 'node:crypto';
import { noteDirectChat } from '../../infra/db/queries/direct-chat.ts';
import { insertPairing, PENDING_MAX, type PairingMade } from '../../infra/db/queries/pairing.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { repeatableId } from '../repeatable-id.ts';
import { bold, cleanLine, code, plain } from './text.ts';
import { line, lines, say, type Reply, type Turn } from './turn.ts';

/** As those of approvals: nothing that is mistaken for another when it is read out. */
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
/** 59 bits: with ten tries in as many minutes nobody guesses one. */
const TOKEN_CHARS = 12;
const GROUP_CHARS = 4;
const TOKEN_LIFE_MS = 10 * 60 * 1_000;

function newToken(): string {
  let token = '';
  while (token.length < TOKEN_CHARS) token += ALPHABET.charAt(randomInt(ALPHABET.length));
  return token;
}

/** As people read it out: in groups. */
function spelled(token: string): string {
  return token.match(new RegExp(`.{${GROUP_CHARS}}`, 'g'))?.join('-') ?? token;
}

/** However it was typed. Only its hash is kept. */
export function pairingHash(typed: string): string {
  return sha256Hex(`pairing:${typed.replaceAll(/[\s-]/g, '').toUpperCase()}`);
}

/** Gives whoever asks alone a token that an admin takes. The token is in the answer and nowhere else. */
export async function pair(turn: Turn): Promise<void> {
  const { api } = turn.deps;
  const { connectorId, sender, place } = turn;
  await api.db.transaction().execute(async (tx) => {
    const token = newToken();
    await noteDirectChat(tx, { connectorId, subject: sender.subject, chatId: place.chatId });
    const made = await insertPairing(tx, {
      id: repeatableId('pairing', [turn.key]),
      connectorId,
      subject: sender.subject,
      displayName: cleanLine(sender.displayName, 80),
      tokenHash: pairingHash(token),
      lifeMs: TOKEN_LIFE_MS,
    });
    if (made === 'existing') return;
    await say(turn.deps, tx, {
      ...pairingWords(made, token, turn),
      isPrivate: true,
      connectorId,
      network: turn.network,
      workspaceId: null,
      context: null,
      key: `${turn.key}:reply`,
      to: place,
      handle: turn.handle,
    });
  });
}

function pairingWords(made: Exclude<PairingMade, 'existing'>, token: string, turn: Turn): Reply {
  switch (made) {
    case 'too_many':
      return line(
        `You have ${PENDING_MAX} tokens that were not used yet. Give one of them to an admin, or wait until they end.`,
      );
    case 'connector_full':
      return line('Too many people are being paired at this moment. Try again in ten minutes.');
    case 'made':
      return lines(
        [plain('Your pairing token: '), code(spelled(token))],
        'Give it to an admin of Rookery, in person or by a way that you trust. It is good once, for ten minutes.',
        [
          plain('You are known here by your number '),
          bold(turn.sender.subject),
          plain(
            turn.principal === null
              ? '.'
              : `; it is linked to ${cleanLine(turn.principal.name, 60)} now.`,
          ),
        ],
      );
  }
}
