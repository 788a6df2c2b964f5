import { EVENT_TYPES, type Event, type EventType } from '../../domain/event.ts';
import {
  closeCards,
  followChat,
  remindOfCards,
  renewCards,
  showCards,
  showWaiting,
} from './cards.ts';
import type { ChatDeps } from './deps.ts';
import { endLogins, showLogin } from './login-card.ts';
import { tellLinked, tellRefused } from './link-notice.ts';
import { tellAsked, tellMessage, tellState, tellTurn } from './agent-notice.ts';

type Teller = (deps: ChatDeps, event: Event) => Promise<unknown>;

const closed: Teller = (deps, { subjectId }) => closeCards(deps, subjectId);
const waiting: Teller = async (deps, event) => {
  await followChat(deps, event);
  await showWaiting(deps, event.subjectId);
};

/** What is told in chats, and how. Each of them says things under keys made from the event's number. */
const TELLERS = {
  'approval.requested': async (deps, event) => {
    await showCards(deps, event.subjectId);
    await tellAsked(deps, event);
  },
  'approval.voted': (deps, { subjectId }) => renewCards(deps, subjectId),
  'approval.reminded': (deps, event) =>
    remindOfCards(deps, event.subjectId, {
      words: 'This still waits for a decision.',
      key: keyOf(event),
    }),
  'approval.escalated': async (deps, event) => {
    // Whoever became able to decide it since is shown it too.
    await showCards(deps, event.subjectId);
    await remindOfCards(deps, event.subjectId, {
      words: 'Nobody has decided this for a long time. It will expire.',
      key: keyOf(event),
    });
  },
  'approval.decided': closed,
  'approval.expired': closed,
  'approval.voided': closed,
  'agent.login_required': showLogin,
  'agent.state_changed': async (deps, event) => {
    await endLogins(deps, event);
    await tellState(deps, event);
  },
  'agent.turn_ended': tellTurn,
  'message.sent': tellMessage,
  'context.created': waiting,
  'context.changed': waiting,
  'identity.linked': tellLinked,
  'identity.unlinked': tellLinked,
  'pairing.refused': tellRefused,
} as const satisfies Partial<Record<EventType, Teller>>;

type Noticed = keyof typeof TELLERS;

function isNoticed(type: EventType): type is Noticed {
  return type in TELLERS;
}

export const NOTICED: readonly Noticed[] = EVENT_TYPES.filter(isNoticed);

/** Idempotent. */
export async function notice(deps: ChatDeps, event: Event): Promise<void> {
  if (isNoticed(event.type)) await TELLERS[event.type](deps, event);
}

function keyOf({ workspaceId, seq }: Event): string {
  return `event:${workspaceId}:${seq}`;
}
