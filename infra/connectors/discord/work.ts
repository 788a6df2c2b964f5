/** So much may wait to be stored. More means that the database is away: then it is read again from Discord later. */
const WAITING_MAX = 10_000;

export type Job = () => Promise<void>;

/** What has to be done with what arrived. The first failure ends it: nothing later may be done before what failed. */
export interface Work {
  /** Jobs of one place one after the other, as they came. */
  inOrder(place: string, job: Job): void;
  /** Before everything that waits: for what Discord wants an answer to within seconds. */
  atOnce(job: Job): void;
  /** Waits for what has begun; what has not begun is dropped. */
  stop(): Promise<void>;
}

export function createWork(failed: (error: unknown) => void): Work {
  const tails = new Map<string, Promise<void>>();
  const running = new Set<Promise<void>>();
  let waiting = 0;
  let isOver = false;

  async function run(job: Job): Promise<void> {
    if (isOver) return;
    try {
      await job();
    } catch (error) {
      isOver = true;
      failed(error);
    }
  }

  return {
    inOrder(place, job) {
      if (isOver) return;
      waiting += 1;
      if (waiting > WAITING_MAX) {
        isOver = true;
        failed(new Error(`More than ${WAITING_MAX} updates wait to be stored.`));
        return;
      }
      const tail = (tails.get(place) ?? Promise.resolve())
        .then(() => run(job))
        .finally(() => {
          waiting -= 1;
          if (tails.get(place) === tail) tails.delete(place);
        });
      tails.set(place, tail);
    },
    atOnce(job) {
      const task = run(job).finally(() => running.delete(task));
      running.add(task);
    },
    async stop() {
      isOver = true;
      while (tails.size > 0 || running.size > 0) {
        await Promise.all([...tails.values(), ...running]);
      }
    },
  };
}

export type Limiter = <T>(task: () => Promise<T>) => Promise<T>;

/** Runs at most so many tasks at once, the others as they came. */
export function createLimiter(atOnceMax: number): Limiter {
  const queue: (() => void)[] = [];
  let free = atOnceMax;
  return async (task) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => void queue.push(resolve));
    try {
      return await task();
    } finally {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
