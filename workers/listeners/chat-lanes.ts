import type { Logger } from 'pino';
import { pause } from './listener.ts';

export interface LaneOptions {
  readonly log: Logger;
  /** For the log. */
  readonly name: string;
  /** Places that are served at once. */
  readonly lanesMax: number;
  /** Places that have something now, besides those that are being served. */
  readonly look: (busy: readonly string[]) => Promise<readonly string[]>;
  /** Serves one place until it has nothing more now. */
  readonly serve: (place: string) => Promise<void>;
  /** Nothing more is begun. */
  readonly signal: AbortSignal;
}

export interface Lanes {
  /** There is something new. */
  ring(): void;
  /** Resolves when all that was begun has ended. */
  readonly ended: Promise<void>;
}

/** Of retries, and of what a lost notification would have told. */
const LOOK_EVERY_MS = 500;
/** Between two looks: under load each commit would cost one otherwise. Too short to be noticed. */
const LOOK_INTERVAL_MS = 5;
const OWN_FAILURE_PAUSE_MS = 1_000;

/** Serves places side by side, and each by one lane only, so that what belongs to a place is done in order. */
export function startLanes(options: LaneOptions): Lanes {
  const { log, name, lanesMax, look, serve, signal } = options;
  const working = new Map<string, Promise<void>>();
  let bell = new AbortController();

  const ring = (): void => bell.abort();
  function begin(place: string): void {
    if (working.has(place) || working.size >= lanesMax) return;
    const lane = serve(place)
      .catch(async (error: unknown) => {
        if (signal.aborted) return;
        log.warn({ err: error, lanes: name }, 'a place of a chat could not be served and waits');
        await pause(OWN_FAILURE_PAUSE_MS, signal);
      })
      .finally(() => {
        working.delete(place);
        // What came while it was ending is found by the next look.
        ring();
      });
    working.set(place, lane);
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      bell = new AbortController();
      const lookedAtMs = performance.now();
      try {
        const places = working.size < lanesMax ? await look([...working.keys()]) : [];
        places.forEach(begin);
      } catch (error) {
        if (signal.aborted) break;
        log.warn({ err: error, lanes: name }, 'what waits in chats could not be looked up');
        await pause(OWN_FAILURE_PAUSE_MS, signal);
      }
      await pause(LOOK_EVERY_MS, AbortSignal.any([signal, bell.signal]));
      await pause(Math.max(0, lookedAtMs + LOOK_INTERVAL_MS - performance.now()), signal);
    }
    await Promise.all(working.values());
  }
  return { ring: () => ring(), ended: run() };
}
