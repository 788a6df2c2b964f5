import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { PolicyDecision, PolicyRequest } from '../../domain/policy.ts';
import { recordPolicyRequests } from '../db/queries/policy.ts';
import type { Database } from '../db/schema.ts';
import { sha256Hex } from '../digest.ts';
import { createRedactor } from '../secrets/redact.ts';

export interface RecorderSettings {
  /** Of each workspace; 0 keeps none. */
  readonly keep: number;
  readonly text: 'masked' | 'none';
}

export interface PolicyRecorder {
  /** Costs no time: it is written soon, or not at all when too much comes at once. */
  note(request: PolicyRequest, decision: PolicyDecision): void;
  close(): Promise<void>;
}

const FLUSH_MS = 1_000;
/** Trying a new version needs no more of one second than this. */
const WAITING_MAX = 500;
const TEXT_LENGTH_MAX = 2_000;

/**
 * Keeps the latest requests, to try new versions on. A sample, not the audit: what waits in memory when a process dies
 * is lost.
 */
export function createPolicyRecorder(
  { db, log }: { readonly db: Kysely<Database>; readonly log: Logger },
  settings: RecorderSettings,
): PolicyRecorder {
  let waiting: Parameters<typeof recordPolicyRequests>[1][number][] = [];
  let writing = Promise.resolve();
  let timer: NodeJS.Timeout | null = null;
  const flush = (): Promise<void> => {
    timer = null;
    const rows = waiting;
    waiting = [];
    writing = writing.then(async () => {
      try {
        await recordPolicyRequests(db, rows, settings.keep);
      } catch (error) {
        log.warn({ err: error, rows: rows.length }, 'requests of policies could not be recorded');
      }
    });
    return writing;
  };
  return {
    note(request, decision) {
      if (settings.keep === 0 || waiting.length >= WAITING_MAX) return;
      waiting.push({ ...recorded(request, settings.text), decision, at: new Date() });
      timer ??= setTimeout(() => void flush(), FLUSH_MS).unref();
    },
    async close() {
      if (timer !== null) clearTimeout(timer);
      await flush();
    },
  };
}

const mask = createRedactor([]);

/** A request as it may be kept: without secrets, and without long texts. */
function recorded(
  request: PolicyRequest,
  text: RecorderSettings['text'],
): { readonly request: PolicyRequest; readonly hasText: boolean } {
  const isLong =
    request.subject.length > TEXT_LENGTH_MAX || request.intent.length > TEXT_LENGTH_MAX;
  const hasText = text === 'masked' && !isLong;
  const kept = (whole: string): string =>
    hasText || whole === '' ? mask(whole) : `sha256:${sha256Hex(whole)}`;
  return {
    request: { ...request, subject: kept(request.subject), intent: kept(request.intent) },
    hasText,
  };
}
