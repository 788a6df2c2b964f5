/** Does what is asked for one key after the other, and for different keys side by side. */
export type InTurn<K> = <T>(key: K, act: () => Promise<T>) => Promise<T>;

export function createTurns<K>(): InTurn<K> {
  const turns = new Map<K, Promise<unknown>>();
  return (key, act) => {
    const before = turns.get(key) ?? Promise.resolve();
    const done = before.then(act, act);
    const turn = done
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        // Of a lifetime of keys only those in the middle of something are kept here.
        if (turns.get(key) === turn) turns.delete(key);
      });
    turns.set(key, turn);
    return done;
  };
}
