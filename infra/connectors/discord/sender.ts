import { Routes, type REST } from 'discord.js';
import { z } from 'zod';
import type { ChatPost } from '../../../domain/chat.ts';
import type { SentMessage } from '../contract.ts';
import { answer, editAnswer, readHandle } from './answer.ts';
import { createDoubts, type Doubts } from './doubt.ts';
import { nonceOf, toMessage } from './message.ts';
import { CODES, codeOf, toConnectorError } from './rest.ts';

const Created = z.object({ id: z.string() });

/** People whose direct chat is known. Each may be asked for again at no harm. */
const PEOPLE_MAX = 1_000;

export interface Sender {
  send(key: string, post: ChatPost): Promise<SentMessage>;
  edit(messageId: string, post: ChatPost): Promise<void>;
}

/** Says things on Discord. `rest` has the token. Throws `ConnectorError`, and nothing else. */
export function createSender(rest: REST): Sender {
  const chatOfPerson = new Map<string, string>();
  const doubts = createDoubts(rest);

  /** Where a chat is a person's number, their direct chat with us is meant: Discord makes it, or says which it is. */
  async function inChannel<T>(to: ChatPost['to'], act: (channelId: string) => Promise<T>) {
    const channelId = to.threadId ?? to.chatId;
    try {
      return await act(chatOfPerson.get(channelId) ?? channelId);
    } catch (error) {
      if (codeOf(error) !== CODES.unknownChannel || to.threadId !== null) throw error;
      const direct = await directChat(to.chatId);
      if (direct === null) throw error;
      return act(direct);
    }
  }

  async function directChat(personId: string): Promise<string | null> {
    const body = { recipient_id: personId };
    // A number that is no person's is answered with a refusal, and the first one says more.
    const channel = await rest.post(Routes.userChannels(), { body }).catch((error: unknown) => {
      if (codeOf(error) === null) throw error;
      return null;
    });
    if (channel === null) return null;
    const { id } = Created.parse(channel);
    const oldest = chatOfPerson.keys().next().value;
    if (chatOfPerson.size >= PEOPLE_MAX && oldest !== undefined) chatOfPerson.delete(oldest);
    chatOfPerson.set(personId, id);
    return id;
  }

  return {
    async send(key, post) {
      const atMs = Date.now();
      try {
        const handle = readHandle(post.handle, atMs);
        const answered = handle === null ? null : await answer(rest, handle, post);
        const sent =
          answered ??
          (await inChannel(post.to, (id) => create({ rest, doubts }, id, { key, post })));
        doubts.settle(key);
        return sent;
      } catch (cause) {
        const error = toConnectorError(cause, false);
        if (error.kind === 'uncertain') doubts.add(key, atMs);
        throw error;
      }
    },
    async edit(messageId, post) {
      try {
        const handle = readHandle(post.handle, Date.now());
        const change = { messageId, post };
        if (handle !== null && (await editAnswer(rest, handle, change))) return;
        await inChannel(post.to, (id) => replace(rest, id, change));
      } catch (error) {
        throw toConnectorError(error, true);
      }
    },
  };
}

/** Discord answers a nonce that it has seen in the past few minutes with the message that was made then. */
async function create(
  { rest, doubts }: { readonly rest: REST; readonly doubts: Doubts },
  channelId: string,
  { key, post }: { readonly key: string; readonly post: ChatPost },
): Promise<SentMessage> {
  const message = toMessage(post, false);
  const found = await doubts.find(key, channelId, message);
  if (found !== null) return { messageId: found };
  const { body, files } = message;
  const reply =
    post.replyTo === null
      ? {}
      : { message_reference: { message_id: post.replyTo, fail_if_not_exists: false } };
  const { id } = Created.parse(
    await rest.post(Routes.channelMessages(channelId), {
      body: { ...body, ...reply, nonce: nonceOf(key), enforce_nonce: true },
      files,
    }),
  );
  return { messageId: id };
}

async function replace(
  rest: REST,
  channelId: string,
  { messageId, post }: { readonly messageId: string; readonly post: ChatPost },
): Promise<void> {
  const { body, files } = toMessage(post, true);
  await rest.patch(Routes.channelMessage(channelId, messageId), { body, files });
}
