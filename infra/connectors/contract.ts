import type { ChatPost, ChatUpdate, ConnectorState, Network } from '../../domain/chat.ts';

/** What a network can do, so that what is said fits it. */
export interface ConnectorCapabilities {
  /** Characters of one message; more is attached as a file. */
  readonly textMax: number;
  readonly edits: boolean;
  readonly buttons: boolean;
  readonly forms: boolean;
  readonly files: boolean;
  readonly threads: boolean;
  /**
   * Whether the network can tell that a post with the same key was sent before. Where it cannot, a crash between send
   * and acknowledgement leaves the post `uncertain`, and it is not sent again.
   */
  readonly detectsDoubles: boolean;
}

/** Takes what a network says. */
export interface UpdateSink {
  /**
   * Resolves when the update is stored for good; only then may the network hear that we have it. The same key again
   * changes nothing.
   */
  take(key: string, update: ChatUpdate): Promise<void>;
  /** How far a channel was read, for networks that do not repeat what was missed. */
  cursor(name: string): Promise<string | null>;
  advance(name: string, position: string): Promise<void>;
  /** A chat goes on under another number, as a Telegram group that became a supergroup. Resolves when that is stored. */
  moved(fromChatId: string, toChatId: string): Promise<void>;
  changed(state: ConnectorState, detail: string): void;
}

export interface SentMessage {
  readonly messageId: string;
}

/** Why the network did not take it. `uncertain`: the connection broke after it was sent. */
export class ConnectorError extends Error {
  override readonly name = 'ConnectorError';
  readonly kind: 'retry' | 'rejected' | 'uncertain';
  readonly retryAfterMs: number | null;
  /** Who has to wait: the chat that was written to, or everything that this bot says. */
  readonly scope: 'chat' | 'all';
  /** The number under which the chat goes on: the same is to be sent there. */
  readonly movedTo: string | null;

  constructor(
    kind: ConnectorError['kind'],
    message: string,
    options: {
      readonly retryAfterMs?: number;
      readonly scope?: 'chat' | 'all';
      readonly movedTo?: string;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.scope = options.scope ?? 'chat';
    this.movedTo = options.movedTo ?? null;
  }
}

/** One bot on one network. A third network is another implementation of this and passes the same tests. */
export interface Connector {
  readonly network: Network;
  readonly capabilities: ConnectorCapabilities;
  /** Who we are there. Throws `rejected` where the secret is not taken. */
  identify(): Promise<{ readonly botId: string; readonly botName: string }>;
  /**
   * Reads until `signal` fires; throws what makes it worth beginning anew, and `rejected` where only another secret
   * helps. Tells `connected` by itself, and `conflict` while somebody else reads for the same bot.
   */
  listen(sink: UpdateSink, signal: AbortSignal): Promise<void>;
  /** `key` is the same for each try of the same post. Throws `ConnectorError`. */
  send(key: string, post: ChatPost): Promise<SentMessage>;
  edit(messageId: string, post: ChatPost): Promise<void>;
  close(): Promise<void>;
}
