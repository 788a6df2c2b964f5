/** What was said in some channels while we were away. */
export interface Missed {
  /** Resolves when it is stored; at once for a channel where nothing was missed. Read once, whoever asks first. */
  caughtUp(channelId: string): Promise<void>;
  /** Where reading begins, by channel. */
  readonly plan: Promise<ReadonlyMap<string, bigint>>;
}

export function createMissed(
  plan: Promise<ReadonlyMap<string, bigint>>,
  read: (channelId: string, after: bigint) => Promise<void>,
): Missed {
  const reading = new Map<string, Promise<void>>();
  // Whoever needs it hears of a failure; there may be nobody any more.
  plan.catch(() => undefined);
  return {
    plan,
    async caughtUp(channelId) {
      const after = (await plan).get(channelId);
      if (after === undefined) return;
      const begun = reading.get(channelId) ?? read(channelId, after);
      reading.set(channelId, begun);
      await begun;
    },
  };
}
