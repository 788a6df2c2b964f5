/**
 * How far all of a guild was taken. Discord's numbers grow with time, and each channel names its last message: whatever
 * lies behind the mark needs no look when we come back, which is nearly all of a guild with thousands of channels.
 */
export interface Watermark {
  /** Null until it is known where it stood. */
  reached(): bigint | null;
  /** The first one counts. */
  startAt(position: bigint): void;
  /** From here on the mark stays before `id`, until what is returned is called. */
  begin(id: bigint): () => void;
}

export function createWatermark(): Watermark {
  const open = new Map<symbol, bigint>();
  let start: bigint | null = null;
  let highest = 0n;
  return {
    startAt(position) {
      start ??= position;
      if (position > highest) highest = position;
    },
    begin(id) {
      if (id > highest) highest = id;
      const token = Symbol('under way');
      open.set(token, id);
      return () => void open.delete(token);
    },
    reached() {
      if (start === null) return null;
      let lowest = highest;
      for (const id of open.values()) if (id <= lowest) lowest = id - 1n;
      return lowest;
    },
  };
}
