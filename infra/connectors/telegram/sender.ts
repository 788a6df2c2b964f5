import { GrammyError, type Api } from 'grammy';
import type { ChatPost } from '../../../domain/chat.ts';
import { ConnectorError, type SentMessage } from '../contract.ts';
import { connectorErrorOf } from './errors.ts';
import { renderEdit, renderPost, type RenderedPost } from './post.ts';

export async function send(api: Api, post: ChatPost): Promise<SentMessage> {
  const { text, document, keyboard } = renderPost(post);
  const common = {
    parse_mode: 'MarkdownV2',
    ...threadOf(post),
    ...(keyboard === null ? {} : { reply_markup: keyboard }),
    ...(post.replyTo === null ? {} : { reply_parameters: replyOf(post.replyTo) }),
  } as const;
  try {
    const chatId = numberOf(post.to.chatId);
    const sent =
      document === null
        ? await api.sendMessage(chatId, text, { ...common, link_preview_options: NO_PREVIEW })
        : await api.sendDocument(chatId, document, { ...common, caption: text });
    return { messageId: String(sent.message_id) };
  } catch (error) {
    throw connectorErrorOf(error);
  }
}

/** A preview is fetched by Telegram as soon as somebody writes a link: it would tell strangers that it was read. */
const NO_PREVIEW = { is_disabled: true } as const;

export async function edit(api: Api, messageId: string, post: ChatPost): Promise<void> {
  const where = [numberOf(post.to.chatId), numberOf(messageId)] as const;
  try {
    const { text, keyboard } = renderEdit(post, 'text');
    const options = { ...optionsOf(keyboard), link_preview_options: NO_PREVIEW };
    await api.editMessageText(...where, text, options).catch(async (error: unknown) => {
      if (!says(error, 'there is no text in the message')) throw error;
      // It was sent as a document.
      const caption = renderEdit(post, 'caption');
      await api.editMessageCaption(...where, {
        ...optionsOf(caption.keyboard),
        caption: caption.text,
      });
    });
  } catch (error) {
    // An edit that was made before, and whose answer was lost.
    if (!says(error, 'message is not modified')) throw connectorErrorOf(error);
  }
}

function optionsOf(keyboard: RenderedPost['keyboard']) {
  return {
    parse_mode: 'MarkdownV2',
    ...(keyboard === null ? {} : { reply_markup: keyboard }),
  } as const;
}

function says(error: unknown, words: string): boolean {
  return error instanceof GrammyError && error.description.toLowerCase().includes(words);
}

/** The general topic of a forum has the number 1 and must not be named. */
function threadOf({ to }: ChatPost): { readonly message_thread_id?: number } {
  const { threadId } = to;
  return threadId === null || threadId === '1' ? {} : { message_thread_id: numberOf(threadId) };
}

function replyOf(messageId: string) {
  return { message_id: numberOf(messageId), allow_sending_without_reply: true };
}

/** Names are never taken for numbers: a name can be somebody else's tomorrow. */
function numberOf(id: string): number {
  const number = Number(id);
  if (/^-?\d{1,16}$/.test(id) && Number.isSafeInteger(number)) return number;
  throw new ConnectorError('rejected', 'Chats and messages of Telegram are named by numbers.');
}
