import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type {
  ChatButton,
  ChatPlace,
  ChatPost,
  ChatSender,
  ChatSpan,
  Network,
} from '../../domain/chat.ts';
import { AppError, isErrorCode } from '../../domain/error.ts';
import type { ConnectorId } from '../../domain/id.ts';
import type { UserPrincipal } from '../../domain/principal.ts';
import type { Problem } from '../../domain/schema/problem.ts';
import type { WorkContext } from '../../infra/db/queries/context.ts';
import { enqueuePost } from '../../infra/db/queries/post.ts';
import type { Executor } from '../../infra/db/schema.ts';
import { askInside, type InsideRequest } from '../inside.ts';
import type { ChatDeps } from './deps.ts';
import { recordSaid } from './record.ts';
import { code, plain } from './text.ts';

/** One thing that somebody said or pressed, and where. */
export interface Turn {
  readonly deps: ChatDeps;
  readonly connectorId: ConnectorId;
  readonly network: Network;
  /** Made from the update's: all that comes of it is done and said once under it. */
  readonly key: string;
  readonly place: ChatPlace;
  readonly sender: ChatSender;
  /** Null for somebody whom nobody has linked to a user. */
  readonly principal: UserPrincipal | null;
  /** What the chat is bound to; null where it is bound to nothing. */
  readonly context: WorkContext | null;
  /** What an answer must carry, where the network wants that. */
  readonly handle: string | null;
  readonly messageId: string | null;
}

/** Said by somebody whom we know. */
export interface KnownTurn extends Turn {
  readonly principal: UserPrincipal;
}

/** What is said back. */
export interface Reply {
  readonly spans: readonly ChatSpan[];
  /** Said to those who see the chat, and in no record: tokens, and what a mirror must not show. */
  readonly isPrivate?: true;
  readonly buttons?: readonly (readonly ChatButton[])[];
  readonly file?: { readonly name: string; readonly text: string };
}

export function line(text: string): Reply {
  return { spans: [plain(text)] };
}

export function lines(...each: readonly (string | readonly ChatSpan[])[]): Reply {
  const spans = each.flatMap((part, index) => [
    ...(index === 0 ? [] : [plain('\n')]),
    ...(typeof part === 'string' ? [plain(part)] : part),
  ]);
  return { spans };
}

/** The server is not itself at this moment: the update is handed over again later. */
export class TryLater extends Error {
  override readonly name = 'TryLater';
}

/** A refusal that the API gave, for commands that make more of it than its words. */
export class Refused extends AppError {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(isErrorCode(problem.code) ? problem.code : 'internal', lineOf(problem));
    this.problem = problem;
  }
}

/** One clear line of a problem document. */
function lineOf({ detail, errors = [] }: Problem): string {
  const [first] = errors;
  if (first === undefined || errors.length === 1) return detail;
  return `${detail} First: ${first.pointer} ${first.detail}`;
}

interface Question<S extends z.ZodType> extends Omit<InsideRequest, 'idempotencyKey'> {
  readonly answer: S;
  /** Of several that one command asks. */
  readonly part?: string;
}

/** Asks the API as the person who spoke. Throws `Refused` with its words. */
export async function ask<S extends z.ZodType>(
  turn: KnownTurn,
  { answer, part, ...request }: Question<S>,
): Promise<z.output<S>> {
  const told = await askInside(
    turn.deps.app,
    { principal: turn.principal, contextId: workContextOf(turn) },
    {
      ...request,
      idempotencyKey: requestKey(part === undefined ? turn.key : `${turn.key}:${part}`),
    },
  );
  if (told.ok) return answer.parse(told.body);
  // The first try of the same request is under way, in a process that may have died with it.
  const isRunning =
    told.problem.status === 409 && told.problem.detail.includes('still being worked');
  if (told.problem.status === 503 || isRunning) throw new TryLater(told.problem.detail);
  throw new Refused(told.problem);
}

/** The hub is about its whole workspace; what is asked in any other context is about that context. */
function workContextOf({ context }: Turn): string | null {
  return context === null || context.kind === 'admin_hub' ? null : context.id;
}

/** As a header may be: visible ASCII without commas. */
export function requestKey(key: string): string {
  if (/^[\x21-\x2b\x2d-\x7e]{1,128}$/.test(key)) return key;
  return `chat:${createHash('sha256').update(key).digest('hex')}`;
}

/** Answers where it was said, once. */
export async function reply(turn: Turn, said: Reply, part = 'reply'): Promise<void> {
  const { api } = turn.deps;
  await say(turn.deps, api.db, {
    connectorId: turn.connectorId,
    network: turn.network,
    workspaceId: turn.context?.workspaceId ?? null,
    context: turn.context,
    key: `${turn.key}:${part}`,
    to: turn.place,
    replyTo: turn.place.kind === 'dm' ? null : turn.messageId,
    handle: turn.handle,
    ...said,
  });
}

export interface Saying extends Reply {
  readonly connectorId: string;
  readonly network: Network;
  readonly workspaceId: string | null;
  /** That of the chat, where what is said belongs into its record. */
  readonly context: WorkContext | null;
  readonly key: string;
  readonly editsKey?: string;
  readonly to: Pick<ChatPlace, 'chatId' | 'threadId'>;
  readonly replyTo?: string | null;
  readonly handle?: string | null;
}

/** What is longer than the network takes goes along as a file. Idempotent by the key. */
export async function say(deps: ChatDeps, db: Executor, saying: Saying): Promise<void> {
  const fitted = fit(saying, deps.connectors(saying.network).textMax);
  const post: ChatPost = {
    to: { chatId: saying.to.chatId, threadId: saying.to.threadId },
    spans: fitted.spans,
    buttons: saying.buttons ?? [],
    file: fitted.file ?? null,
    replyTo: saying.replyTo ?? null,
    handle: saying.handle ?? null,
  };
  await enqueuePost(db, (text) => deps.api.secrets.seal(text), {
    connectorId: saying.connectorId,
    workspaceId: saying.workspaceId,
    key: saying.key,
    ...(saying.editsKey === undefined ? {} : { editsKey: saying.editsKey }),
    post,
  });
  if (saying.context !== null && saying.editsKey === undefined) await recordSaid(db, saying);
}

/** Markup makes a text longer than its words: a network counts it, so some room is left for it. */
const MARKUP_SHARE = 0.75;

function fit(said: Reply, textMax: number): Reply {
  const max = Math.floor(textMax * MARKUP_SHARE);
  const text = said.spans.map((span) => span.text).join('');
  if (text.length <= max) return said;
  if (said.file !== undefined) return { ...said, spans: cutSpans(said.spans, max) };
  const file = { name: 'answer.md', text };
  const note = '\n… the whole of it is in the file.';
  return {
    ...said,
    spans: [...cutSpans(said.spans, Math.min(max, 1_000) - note.length), plain(note)],
    file,
  };
}

function cutSpans(spans: readonly ChatSpan[], lengthMax: number): readonly ChatSpan[] {
  const kept: ChatSpan[] = [];
  let room = lengthMax;
  for (const span of spans) {
    if (room <= 1) break;
    const text =
      span.text.length <= room
        ? span.text
        : `${span.text.slice(0, room - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
    kept.push({ ...span, text });
    room -= text.length;
  }
  return kept;
}

/** A usage line under what was wrong. */
export function usageReply(message: string, usage: string): Reply {
  return lines(message, [plain('Usage: '), code(usage)]);
}
