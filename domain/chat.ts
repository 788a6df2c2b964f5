/** Chat networks that there is a connector for. */
export const NETWORKS = ['telegram', 'discord'] as const;
export type Network = (typeof NETWORKS)[number];

export const CONNECTOR_STATES = [
  'stopped',
  'connecting',
  'connected',
  'refused',
  'conflict',
] as const;
/** `refused`: the network does not take the secret. `conflict`: another process speaks for the same bot. */
export type ConnectorState = (typeof CONNECTOR_STATES)[number];

export type PlaceKind = 'dm' | 'group' | 'channel' | 'thread';

/** Where something was said, in the network's own numbers. */
export interface ChatPlace {
  readonly kind: PlaceKind;
  readonly chatId: string;
  /** Of a thread or a topic in the chat. */
  readonly threadId: string | null;
  /** The guild that a channel is in; null where the network has none. */
  readonly guildId: string | null;
  /** For people: what the chat is called. Never trusted. */
  readonly title: string;
}

/** Recognised by `subject` alone, which is the network's number; names are for reading. */
export interface ChatSender {
  readonly subject: string;
  readonly displayName: string;
  readonly isBot: boolean;
}

interface Said {
  readonly place: ChatPlace;
  readonly sender: ChatSender;
  /** Milliseconds since 1970, by the network's clock. */
  readonly at: number;
}

/** What a network tells us, in the same words for all of them. */
export type ChatUpdate =
  | (Said & {
      readonly kind: 'message' | 'edit';
      readonly messageId: string;
      readonly text: string;
      readonly replyTo: string | null;
      /** How many files, pictures and the like came with it; they are not fetched. */
      readonly attachments: number;
    })
  | (Said & {
      readonly kind: 'command';
      /** Without its slash, in lower case. */
      readonly name: string;
      /** All that follows the name. */
      readonly args: string;
      readonly messageId: string | null;
      /** What an answer to it must carry, where the network wants that. */
      readonly handle: string | null;
    })
  | (Said & {
      readonly kind: 'press';
      readonly messageId: string;
      /** What the button was given: an approval's id, a verdict and a nonce, never a payload. */
      readonly data: string;
      /** A reason that was typed into a form which the button had opened; null where there was none. */
      readonly reason: string | null;
      readonly handle: string | null;
    })
  | { readonly kind: 'joined' | 'left'; readonly place: ChatPlace; readonly at: number };

/** A run of text in one style. Connectors escape it; nothing in `text` is ever markup. */
export interface ChatSpan {
  readonly text: string;
  readonly style?: 'bold' | 'code' | 'block';
  readonly href?: string;
}

export interface ChatButton {
  readonly label: string;
  readonly data: string;
  readonly tone: 'positive' | 'negative' | 'neutral';
  /** Where the network has forms: ask for a reason first, and send it as the press's `reason`. */
  readonly asksReason?: true;
}

/** What is to be said, in the same words for all networks. */
export interface ChatPost {
  readonly to: Pick<ChatPlace, 'chatId' | 'threadId'>;
  readonly spans: readonly ChatSpan[];
  /** Rows of buttons. */
  readonly buttons: readonly (readonly ChatButton[])[];
  /** Attached as a file, for what is too long to be said. */
  readonly file: { readonly name: string; readonly text: string } | null;
  readonly replyTo: string | null;
  /** Of the update that it answers; it is seen by the asker alone where the network can do that. */
  readonly handle: string | null;
}

/** Key of the order in which updates and posts of one place are kept. */
export function placeKey({ chatId, threadId }: Pick<ChatPlace, 'chatId' | 'threadId'>): string {
  return threadId === null ? chatId : `${chatId}/${threadId}`;
}
