/** Discord's numbers count milliseconds since 2015 in their upper bits: later ones are larger. */
const EPOCH_MS = 1_420_070_400_000n;
const TIME_SHIFT = 22n;

export function timeOf(snowflake: string): number {
  return Number((BigInt(snowflake) >> TIME_SHIFT) + EPOCH_MS);
}

/** The first that may be given out at a time. */
export function snowflakeAt(timeMs: number): bigint {
  return (BigInt(timeMs) - EPOCH_MS) << TIME_SHIFT;
}

/** As many numbers as Discord may give out in so many milliseconds. */
export function numbersIn(ms: number): bigint {
  return BigInt(ms) << TIME_SHIFT;
}
