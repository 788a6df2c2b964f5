/** What the network asked us to wait for. */
export interface ChatLimits {
  isLimited(place: string): boolean;
  isAllLimited(): boolean;
  /** Those that wait. */
  chats(): readonly string[];
  limit(place: string, wait: { readonly ms: number; readonly scope: 'chat' | 'all' }): void;
}

/**
 * A chat that was written to too fast waits alone, with all its threads. When a second one is told to wait meanwhile, it
 * is the bot that is too fast: then everything waits, since each further try only makes the wait longer.
 */
export function createLimits(now: () => number = () => performance.now()): ChatLimits {
  const chats = new Map<string, number>();
  let allUntilMs = 0;
  const isOver = (untilMs: number): boolean => untilMs <= now();
  return {
    isLimited(place) {
      return !isOver(allUntilMs) || !isOver(chats.get(chatOf(place)) ?? 0);
    },
    isAllLimited: () => !isOver(allUntilMs),
    chats: () => [...chats].flatMap(([chat, untilMs]) => (isOver(untilMs) ? [] : [chat])),
    limit(place, { ms, scope }) {
      for (const [chat, untilMs] of chats) if (isOver(untilMs)) chats.delete(chat);
      const untilMs = now() + ms;
      chats.set(chatOf(place), untilMs);
      if (scope === 'all' || chats.size > 1) allUntilMs = Math.max(allUntilMs, ...chats.values());
    },
  };
}

function chatOf(place: string): string {
  return place.split('/')[0] ?? place;
}
