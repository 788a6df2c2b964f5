import { roleAt } from '../../domain/authorize.ts';
import { covers } from '../../domain/principal.ts';
import { findHubsOfConnector, hasOpenLogin } from '../../infra/db/queries/chat-place.ts';
import { bold, cleanLine, cleanText, plain } from './text.ts';
import { say, type Turn } from './turn.ts';

/** As pairing tokens are spelled. */
const TOKEN = /[2-9A-Z]{4}[\s-]?[2-9A-Z]{4}[\s-]?[2-9A-Z]{4}/gi;
const TEXT_CHARS_MAX = 2_000;

/**
 * What staff say to us alone is shown in the connector's admin hub, so that nothing is arranged behind the others' backs.
 * What we answer is not: it may be private. Neither are codes and tokens. Idempotent by the update.
 */
export async function mirror(turn: Turn, text: string): Promise<void> {
  const { principal, place, connectorId, deps } = turn;
  if (principal === null || place.kind !== 'dm') return;
  const { db } = deps.api;
  const hubs = await findHubsOfConnector(db, { connectorId, workspaceIds: 'all' });
  // One of them, where he is staff: what he says is not about all the workspaces that he has to do with.
  const hub = hubs.find(({ workspaceId, isPrivate }) => {
    const role = roleAt(principal.bindings, { workspaceId, isPrivate });
    return role !== null && covers(role, 'operator');
  });
  if (hub?.chatId == null) return;
  const words = await mirrored(turn, text);
  if (words === null) return;
  await say(deps, db, {
    spans: [bold(cleanLine(principal.name, 60)), plain(` (direct): ${words}`)],
    connectorId,
    network: turn.network,
    workspaceId: hub.workspaceId,
    context: null,
    key: `${turn.key}:mirror`,
    to: { chatId: hub.chatId, threadId: hub.threadId },
  });
}

async function mirrored(turn: Turn, text: string): Promise<string | null> {
  const [first = ''] = text.trimStart().slice(0, 40).toLowerCase().split(/\s/);
  if (first.replace(/^\//, '') === 'pair') return null;
  if (first === '/login') return '/login …';
  if (first === '/open') return `opened ${cleanLine(text.slice(text.indexOf('/open') + 5), 200)}`;
  const userId = turn.principal?.userId ?? '';
  if (!first.startsWith('/') && (await hasOpenLogin(turn.deps.api.db, userId))) {
    return '(a text while a login of his waits, which may be its code)';
  }
  return cleanText(text, TEXT_CHARS_MAX).replaceAll(TOKEN, '…');
}
