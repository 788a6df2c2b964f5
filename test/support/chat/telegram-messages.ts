import { MarkupError, parseMarkdownV2, type ParsedMarkup } from './telegram-markdown.ts';

export type Params = Readonly<Record<string, unknown>>;

/** What the server does not do, in the words of the real one. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: number;
  readonly parameters: Readonly<Record<string, unknown>> | undefined;

  constructor(code: number, description: string, parameters?: Readonly<Record<string, unknown>>) {
    super(description);
    this.code = code;
    this.parameters = parameters;
  }
}

export interface TelegramMessage {
  readonly messageId: number;
  readonly chatId: number;
  readonly threadId: number | null;
  /** As it reads. */
  text: string;
  entities: ParsedMarkup['entities'];
  /** What the buttons carry. */
  buttons: readonly (readonly { readonly text: string; readonly data: string }[])[];
  readonly file: { readonly name: string; readonly text: string } | null;
  readonly replyTo: number | null;
  edits: number;
}

const TEXT_MAX = 4_096;
const CAPTION_MAX = 1_024;

/** The messages of a bot, and the methods that make and change them. */
export class TelegramMessages {
  readonly all: TelegramMessage[] = [];
  readonly kicked = new Set<number>();
  readonly unknown = new Set<number>();
  readonly moved = new Map<number, number>();
  readonly #ids = new Map<number, number>();

  nextId(chatId: number): number {
    const id = (this.#ids.get(chatId) ?? 0) + 1;
    this.#ids.set(chatId, id);
    return id;
  }

  call(method: string, params: Params, me: object): unknown {
    switch (method) {
      case 'sendmessage':
        return this.#send(params, me, null);
      case 'senddocument':
        return this.#send({ ...params, text: params['caption'] ?? '' }, me, fileOf(params));
      case 'editmessagetext':
        return this.#edit(params, me, 'text');
      case 'editmessagecaption':
        return this.#edit({ ...params, text: params['caption'] ?? '' }, me, 'caption');
      case 'editmessagereplymarkup':
        return this.#edit(params, me, 'buttons');
      default:
        throw new Refusal(404, 'Not Found');
    }
  }

  #chat(params: Params): number {
    const id = Number(params['chat_id']);
    if (!Number.isSafeInteger(id) || this.unknown.has(id))
      throw new Refusal(400, 'Bad Request: chat not found');
    if (this.kicked.has(id))
      throw new Refusal(403, 'Forbidden: bot was kicked from the supergroup chat');
    const to = this.moved.get(id);
    if (to !== undefined) {
      throw new Refusal(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
        migrate_to_chat_id: to,
      });
    }
    return id;
  }

  #send(params: Params, me: object, file: TelegramMessage['file']): unknown {
    const chatId = this.#chat(params);
    const read = readText(params, file === null ? TEXT_MAX : CAPTION_MAX);
    if (read.text === '' && file === null)
      throw new Refusal(400, 'Bad Request: message text is empty');
    const message: TelegramMessage = {
      messageId: this.nextId(chatId),
      chatId,
      threadId:
        params['message_thread_id'] === undefined ? null : Number(params['message_thread_id']),
      ...read,
      buttons: readButtons(params['reply_markup']),
      file,
      replyTo: this.#replyTo(params, chatId),
      edits: 0,
    };
    this.all.push(message);
    return told(message, me);
  }

  #replyTo(params: Params, chatId: number): number | null {
    const reply = objectOf(params['reply_parameters']);
    if (reply === null) return null;
    const id = Number(reply['message_id']);
    if (id > 0 && id <= (this.#ids.get(chatId) ?? 0)) return id;
    if (reply['allow_sending_without_reply'] === true) return null;
    throw new Refusal(400, 'Bad Request: message to be replied not found');
  }

  #edit(params: Params, me: object, what: 'text' | 'caption' | 'buttons'): unknown {
    const chatId = this.#chat(params);
    const message = this.all.find(
      (each) => each.chatId === chatId && each.messageId === Number(params['message_id']),
    );
    if (message === undefined) throw new Refusal(400, 'Bad Request: message to edit not found');
    if (what === 'text' && message.file !== null)
      throw new Refusal(400, 'Bad Request: there is no text in the message to edit');
    const read =
      what === 'buttons'
        ? { text: message.text, entities: message.entities }
        : readText(params, what === 'text' ? TEXT_MAX : CAPTION_MAX);
    const next = { ...read, buttons: readButtons(params['reply_markup']) };
    const { text, entities, buttons } = message;
    if (JSON.stringify(next) === JSON.stringify({ text, entities, buttons })) {
      throw new Refusal(
        400,
        'Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
      );
    }
    Object.assign(message, next, { edits: message.edits + 1 });
    return told(message, me);
  }
}

function told(message: TelegramMessage, me: object) {
  return {
    message_id: message.messageId,
    date: Math.floor(Date.now() / 1_000),
    chat: { id: message.chatId, type: 'supergroup', title: 'Team' },
    from: me,
    text: message.text,
  };
}

function readText(params: Params, lengthMax: number): Pick<TelegramMessage, 'text' | 'entities'> {
  const raw = textOf(params['text']);
  try {
    const read: ParsedMarkup =
      params['parse_mode'] === 'MarkdownV2' ? parseMarkdownV2(raw) : { text: raw, entities: [] };
    const text = read.text.trim();
    if (text.length > lengthMax) {
      const what = lengthMax === TEXT_MAX ? 'message is too long' : 'message caption is too long';
      throw new Refusal(400, `Bad Request: ${what}`);
    }
    return { text, entities: read.entities };
  } catch (error) {
    if (error instanceof MarkupError) throw new Refusal(400, `Bad Request: ${error.message}`);
    throw error;
  }
}

function readButtons(markup: unknown): TelegramMessage['buttons'] {
  const rows = objectOf(markup)?.['inline_keyboard'];
  if (!Array.isArray(rows)) return [];
  return rows.map((row: readonly Record<string, unknown>[]) =>
    row.map((button) => {
      const data = textOf(button['callback_data']);
      const bytes = Buffer.byteLength(data);
      if (bytes < 1 || bytes > 64) throw new Refusal(400, 'Bad Request: BUTTON_DATA_INVALID');
      return { text: textOf(button['text']), data };
    }),
  );
}

function fileOf(params: Params): TelegramMessage['file'] {
  const name = textOf(params['document']).replace(/^attach:\/\//, '');
  const part = objectOf(params[name]) ?? objectOf(params['document']);
  if (part === null) throw new Refusal(400, 'Bad Request: there is no document in the request');
  return { name: textOf(part['name']), text: textOf(part['text']) };
}

export function textOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : '';
}

/** Forms carry objects as JSON. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  const read: unknown =
    typeof value === 'string' && value.startsWith('{') ? JSON.parse(value) : value;
  return typeof read === 'object' && read !== null
    ? Object.fromEntries(Object.entries(read))
    : null;
}
