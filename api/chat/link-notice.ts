import type { Event } from '../../domain/event.ts';
import { NETWORKS } from '../../domain/chat.ts';
import { workspacesOf } from '../../domain/authorize.ts';
import { findHubsOfConnector, findNetwork } from '../../infra/db/queries/chat-place.ts';
import { findDirectChats } from '../../infra/db/queries/direct-chat.ts';
import { getIdentity } from '../../infra/db/queries/identity.ts';
import { getPairing } from '../../infra/db/queries/pairing.ts';
import { findLiveUser, namesOfPrincipals } from '../../infra/db/queries/principal.ts';
import type { ChatDeps } from './deps.ts';
import { cleanLine } from './text.ts';
import { line, say } from './turn.ts';

/** Both sides hear of a link and of its end: whoever is linked, in his direct chats, and those who look after the chats. */
export async function tellLinked(deps: ChatDeps, event: Event): Promise<void> {
  const { db } = deps.api;
  const identity = await getIdentity(db, event.subjectId);
  const network = NETWORKS.find((each) => each === identity?.kind);
  if (identity === null || network === undefined) return;
  const names = await namesOfPrincipals(db, [identity.userId, identity.linkedBy]);
  const user = cleanLine(names.get(identity.userId) ?? identity.userId, 60);
  const isLinked = event.type === 'identity.linked';
  const own = isLinked
    ? `You are linked to ${user} now. /help lists what you can ask for.`
    : `You are not linked to ${user} any more. Write "pair" to be linked again.`;
  const display = cleanLine(identity.displayName, 60);
  const others = `${display === '' ? 'Number' : `${display}, number`} ${identity.subject} on ${network}, is ${isLinked ? 'linked' : 'not linked any more'} to ${user}.`;
  const live = await findLiveUser(db, identity.userId);
  const workspaceIds = workspacesOf(live?.bindings ?? []);
  for (const chat of await findDirectChats(db, { network, subject: identity.subject })) {
    const { connectorId } = chat;
    const common = { connectorId, network, workspaceId: null, context: null };
    const key = `event:${event.workspaceId}:${event.seq}:link:${connectorId}`;
    if ((await findNetwork(db, connectorId)) === null) continue;
    await say(deps, db, {
      ...line(own),
      ...common,
      key,
      to: { chatId: chat.chatId, threadId: null },
    });
    for (const hub of await findHubsOfConnector(db, { connectorId, workspaceIds })) {
      if (hub.chatId === null) continue;
      const to = { chatId: hub.chatId, threadId: hub.threadId };
      await say(deps, db, { ...line(others), ...common, key: `${key}:${hub.id}`, to });
    }
  }
}

/** Whoever asked to be linked hears that he is not. */
export async function tellRefused(deps: ChatDeps, event: Event): Promise<void> {
  const { db } = deps.api;
  const pairing = await getPairing(db, event.subjectId);
  if (pairing === null) return;
  const { connectorId, network, subject } = pairing;
  const chats = await findDirectChats(db, { network, subject });
  const chat = chats.find((each) => each.connectorId === connectorId);
  if (chat === undefined) return;
  await say(deps, db, {
    ...line('An admin refused to link you.'),
    connectorId,
    network,
    workspaceId: null,
    context: null,
    key: `event:${event.workspaceId}:${event.seq}:refused`,
    to: { chatId: chat.chatId, threadId: null },
  });
}
