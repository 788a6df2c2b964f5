import { MessageFlags, Routes, type REST } from 'discord.js';
import { z } from 'zod';
import type { ChatPost } from '../../../domain/chat.ts';
import type { SentMessage } from '../contract.ts';
import { toMessage } from './message.ts';
import { CODES, codeOf } from './rest.ts';
import { timeOf } from './snowflake.ts';

/** An interaction can be answered for 15 minutes; in the last one an answer could come too late. */
const ANSWER_MS = 14 * 60_000;

/**
 * What an answer to an interaction needs: it is kept with the update, so that another process can answer. `command`: its
 * first answer replaces "thinking …"; `press`: there is nothing to replace but the card itself.
 */
export interface Handle {
  readonly kind: 'command' | 'press';
  readonly applicationId: string;
  readonly interactionId: string;
  readonly token: string;
}

export function writeHandle({ kind, applicationId, interactionId, token }: Handle): string {
  return [kind, applicationId, interactionId, token].join(':');
}

/** Null for what is none, or is too old to be answered. */
export function readHandle(handle: string | null, nowMs: number): Handle | null {
  const match = /^(command|press):(\d{1,20}):(\d{1,20}):([\w.~+/=-]+)$/.exec(handle ?? '');
  if (match === null) return null;
  const [, kind, applicationId = '', interactionId = '', token = ''] = match;
  if (nowMs - timeOf(interactionId) > ANSWER_MS) return null;
  return { kind: kind === 'command' ? 'command' : 'press', applicationId, interactionId, token };
}

const Sent = z.object({ id: z.string() });
const Original = z.object({ id: z.string(), content: z.string(), flags: z.number().default(0) });

/** What Discord says when an interaction cannot be answered any more, or never was acknowledged. */
const TOO_LATE: readonly (number | null)[] = [
  CODES.unknownInteraction,
  CODES.unknownWebhook,
  CODES.unknownMessage,
  CODES.invalidWebhookToken,
];

/**
 * Says it to the asker alone. Null where it is too late for that. The first answer to a command can be repeated; a later
 * one, and any to a press, is told apart from an earlier try by nothing: Discord knows no nonce there.
 */
export async function answer(
  rest: REST,
  handle: Handle,
  post: ChatPost,
): Promise<SentMessage | null> {
  try {
    const first = handle.kind === 'command' ? await answerFirst(rest, handle, post) : null;
    return first ?? (await followUp(rest, handle, post));
  } catch (error) {
    if (TOO_LATE.includes(codeOf(error))) return null;
    throw error;
  }
}

/** Null where the first answer was something else. */
async function answerFirst(
  rest: REST,
  { applicationId, token }: Handle,
  post: ChatPost,
): Promise<SentMessage | null> {
  const route = Routes.webhookMessage(applicationId, token);
  const { body, files } = toMessage(post, false);
  const original = Original.parse(await rest.get(route, { auth: false }));
  if ((original.flags & MessageFlags.Loading) === 0) {
    // A try before this one came through, and its answer was lost.
    return original.content !== '' && original.content === body.content
      ? { messageId: original.id }
      : null;
  }
  const { id } = Sent.parse(await rest.patch(route, { auth: false, body, files }));
  return { messageId: id };
}

async function followUp(
  rest: REST,
  { applicationId, token }: Handle,
  post: ChatPost,
): Promise<SentMessage> {
  const { body, files } = toMessage(post, false);
  const { id } = Sent.parse(
    await rest.post(Routes.webhook(applicationId, token), {
      auth: false,
      query: new URLSearchParams({ wait: 'true' }),
      body: { ...body, flags: body.flags | MessageFlags.Ephemeral },
      files,
    }),
  );
  return { messageId: id };
}

/** Changes what only the asker sees. False where it is too late, or the message is none of these. */
export async function editAnswer(
  rest: REST,
  { applicationId, token }: Handle,
  change: { readonly messageId: string; readonly post: ChatPost },
): Promise<boolean> {
  try {
    const { body, files } = toMessage(change.post, true);
    const route = Routes.webhookMessage(applicationId, token, change.messageId);
    await rest.patch(route, { auth: false, body, files });
    return true;
  } catch (error) {
    if (TOO_LATE.includes(codeOf(error))) return false;
    throw error;
  }
}
