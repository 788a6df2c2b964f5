import { InputFile } from 'grammy';
import type { InlineKeyboardMarkup } from 'grammy/types';
import type { ChatButton, ChatPost } from '../../../domain/chat.ts';
import { ConnectorError } from '../contract.ts';
import { cutText, fitSpans, plainTextOf, visibleText } from '../safe-text.ts';
import { TEXT_MAX } from './capabilities.ts';
import { renderMarkdown } from './markdown.ts';

const CAPTION_MAX = 1_024;
const LABEL_MAX = 64;
const DATA_BYTES_MAX = 64;
const EMPTY = '(empty)';

/** A post in the Bot API's words: one call, so that it is either there or not. */
export interface RenderedPost {
  readonly text: string;
  /** A document carries the text as its caption. */
  readonly document: InputFile | null;
  readonly keyboard: InlineKeyboardMarkup | null;
}

/** What does not fit is whole in the file. */
export function renderPost(post: ChatPost): RenderedPost {
  const keyboard = keyboardOf(post);
  const whole = visibleText(plainTextOf(post.spans));
  if (post.file === null && whole.length <= TEXT_MAX) {
    return { text: textOf(post, TEXT_MAX), document: null, keyboard };
  }
  const { file } = post;
  const isCut = whole.length > CAPTION_MAX;
  const contents = [
    ...(isCut ? [plainTextOf(post.spans)] : []),
    ...(file === null ? [] : [file.text]),
  ];
  const bytes = new TextEncoder().encode(contents.join('\n\n---\n\n'));
  const name = file?.name ?? 'message.md';
  return { text: textOf(post, CAPTION_MAX), document: new InputFile(bytes, name), keyboard };
}

/** For a message that is there already: nothing can be attached to it any more. */
export function renderEdit(
  post: ChatPost,
  place: 'text' | 'caption',
): Pick<RenderedPost, 'text' | 'keyboard'> {
  const text = textOf(post, place === 'text' ? TEXT_MAX : CAPTION_MAX);
  return { text, keyboard: keyboardOf(post) };
}

function textOf(post: ChatPost, lengthMax: number): string {
  const { spans } = fitSpans(post.spans, lengthMax);
  const text = renderMarkdown(spans);
  // Telegram refuses a message of nothing but white space.
  return plainTextOf(spans).trim() === '' ? renderMarkdown([{ text: EMPTY }]) : text;
}

function keyboardOf({ buttons }: ChatPost): InlineKeyboardMarkup | null {
  if (buttons.length === 0) return null;
  return { inline_keyboard: buttons.map((row) => row.map(buttonOf)) };
}

const MARKS = { positive: '✅ ', negative: '❌ ', neutral: '' } as const;

function buttonOf({ label, data, tone }: ChatButton): { text: string; callback_data: string } {
  const bytes = Buffer.byteLength(data);
  if (bytes < 1 || bytes > DATA_BYTES_MAX) {
    throw new ConnectorError('rejected', `A button carries 1 to ${DATA_BYTES_MAX} bytes.`);
  }
  const text = cutText(`${MARKS[tone]}${visibleText(label)}`, LABEL_MAX);
  return { text: text.trim() === '' ? EMPTY : text, callback_data: data };
}
