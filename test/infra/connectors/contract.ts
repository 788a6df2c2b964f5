import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChatPost, ChatUpdate, ConnectorState } from '../../../domain/chat.ts';
import {
  ConnectorError,
  type Connector,
  type UpdateSink,
} from '../../../infra/connectors/contract.ts';

/** A message of the bot as people see it. */
export interface ShownMessage {
  readonly messageId: string;
  readonly chatId: string;
  /** As it reads: without the marks that made it look so. */
  readonly text: string;
  /** What the buttons carry, or how they are called where the network shows names only. */
  readonly buttons: readonly (readonly string[])[];
  /** The text of what is attached. */
  readonly file: string | null;
}

/** A network with one bot in one chat, and somebody who speaks there. */
export interface ConnectorWorld {
  /** As the engine makes it; another one each time, for the same bot. */
  connect(): Connector;
  readonly chatId: string;
  /** Resolves when the network has it. */
  says(text: string): Promise<void>;
  /** Changes what was said last. */
  editsLast(text: string): Promise<void>;
  presses(messageId: string, data: string): Promise<void>;
  shown(): readonly ShownMessage[];
  /** The next message is told to wait, and is not shown. */
  rateLimitNext(retryAfterMs: number): void;
  /** The next message is shown, and the connection breaks before the network says so. */
  breakAfterNext(): void;
  /** The bot may not write in the chat any more. */
  kick(): void;
  /** The bot's secret is not taken any more. */
  revoke(): void;
  /** What is shown for a text: the text, unless the network itself changes it. */
  readonly reads: (text: string) => string;
  /** Whether the network tells that somebody else reads for the same bot. */
  readonly tellsOfSecondReader: boolean;
  close(): Promise<void>;
}

/** A store that can fail, and remembers what it took: what a database does for the engine. */
export interface MemorySink extends UpdateSink {
  readonly updates: ReadonlyMap<string, ChatUpdate>;
  readonly states: readonly ConnectorState[];
  /** While true, nothing can be stored. */
  broken: boolean;
}

export function createMemorySink(): MemorySink {
  const updates = new Map<string, ChatUpdate>();
  const cursors = new Map<string, string>();
  const states: ConnectorState[] = [];
  return {
    updates,
    states,
    broken: false,
    async take(key, update) {
      if (this.broken) throw new Error('The store is away.');
      if (!updates.has(key)) updates.set(key, update);
      await Promise.resolve();
    },
    cursor: (name) => Promise.resolve(cursors.get(name) ?? null),
    async advance(name, position) {
      if (this.broken) throw new Error('The store is away.');
      cursors.set(name, position);
      await Promise.resolve();
    },
    moved: () => Promise.resolve(),
    changed(state) {
      states.push(state);
    },
  };
}

export function plainPost(chatId: string, text: string): ChatPost {
  return {
    to: { chatId, threadId: null },
    spans: [{ text }],
    buttons: [],
    file: null,
    replyTo: null,
    handle: null,
  };
}

/** Begins to read; `stop` resolves when it does not read any more. */
export function reading(connector: Connector, sink: UpdateSink) {
  const stopping = new AbortController();
  const ended = connector.listen(sink, stopping.signal).then(
    () => null,
    (error: unknown) => error,
  );
  return {
    ended,
    async stop() {
      stopping.abort();
      return ended;
    },
  };
}

function kindOf(failure: unknown): string {
  return failure instanceof ConnectorError ? failure.kind : 'sent';
}

const WAIT = { timeout: 15_000, interval: 20 };
const NASTY = [
  '*bold* _italic_ __under__ ~~strike~~ ||spoiler|| `code` ```block```',
  '[a link](https://example.com) <b>html</b> &amp; \\ \\* \\\\',
  '> quote\n- list\n# title\n1. one\n=+-|{}.!',
  '@everyone @here <@1> <@&2> <#3> tg://user?id=1',
  '`'.repeat(7) + ' ' + '*'.repeat(9),
  'ends in a backslash \\',
];
/** Direction overrides and isolates, as in "invoice\u202Efdp.exe". */
const OVERRIDES = /[\u202a-\u202e\u2066-\u2069]/;

/** What every connector does. `makeWorld` starts a network that nobody else uses. */
export function describeConnector(name: string, makeWorld: () => Promise<ConnectorWorld>): void {
  describe(`${name}, as every connector`, () => {
    let world: ConnectorWorld;
    let connector: Connector;
    let sink: MemorySink;
    const readers: ReturnType<typeof reading>[] = [];
    const others: Connector[] = [];

    beforeEach(async () => {
      world = await makeWorld();
      connector = world.connect();
      sink = createMemorySink();
    });
    afterEach(async () => {
      await Promise.all(readers.splice(0).map((reader) => reader.stop()));
      await Promise.all([connector, ...others.splice(0)].map((each) => each.close()));
      await world.close();
    });
    async function read(from = connector, into = sink) {
      const reader = reading(from, into);
      readers.push(reader);
      await expect.poll(() => into.states.includes('connected'), WAIT).toBe(true);
      return reader;
    }
    const texts = (): string[] =>
      [...sink.updates.values()].flatMap((update) =>
        update.kind === 'message' ? [update.text] : [],
      );

    test('says who it is', async () => {
      const { botId, botName } = await connector.identify();
      expect(botId).toMatch(/^\d+$/);
      expect(botName).not.toBe('');
    });

    test('what is said arrives in order, once each, by the numbers of chat and sender', async () => {
      await read();
      const said = Array.from({ length: 20 }, (_, index) => `number ${index}`);
      for (const text of said) await world.says(text);
      await expect.poll(texts, WAIT).toEqual(said);
      const first = [...sink.updates.values()].find(({ kind }) => kind === 'message');
      expect(first).toMatchObject({ place: { chatId: world.chatId }, sender: { isBot: false } });
      expect(first?.kind === 'message' ? first.sender.subject : '').toMatch(/^\d+$/);
    });

    test('what could not be stored is told again, and nothing twice', async () => {
      const reader = await read();
      await world.says('before');
      await expect.poll(texts, WAIT).toEqual(['before']);
      sink.broken = true;
      await world.says('while the store is away');
      await reader.ended;
      sink.broken = false;
      await world.says('after');
      const again = world.connect();
      others.push(again);
      await read(again);
      await expect.poll(texts, WAIT).toEqual(['before', 'while the store is away', 'after']);
    });

    test('what is said while nobody reads is not missed', async () => {
      const reader = await read();
      await world.says('one');
      await expect.poll(texts, WAIT).toEqual(['one']);
      await reader.stop();
      await world.says('two');
      await world.says('three');
      const again = world.connect();
      others.push(again);
      await read(again);
      await expect.poll(texts, WAIT).toEqual(['one', 'two', 'three']);
    });

    test('an edit is told as one, of the same message', async () => {
      await read();
      await world.says('teh');
      await expect.poll(texts, WAIT).toEqual(['teh']);
      await world.editsLast('the');
      await expect
        .poll(() => [...sink.updates.values()].map(({ kind }) => kind), WAIT)
        .toContain('edit');
      const [message, edit] = [...sink.updates.values()];
      expect(edit).toMatchObject({ kind: 'edit', text: 'the' });
      expect(edit && 'messageId' in edit ? edit.messageId : 1).toBe(
        message && 'messageId' in message ? message.messageId : 2,
      );
    });

    test('a post is shown, changed, and its button tells what it was given', async () => {
      await read();
      const post: ChatPost = {
        ...plainPost(world.chatId, 'May it?'),
        buttons: [[{ label: 'Yes', data: 'a:apr_1:g:n0nce', tone: 'positive' }]],
      };
      const { messageId } = await connector.send('key-1', post);
      expect(world.shown()).toMatchObject([{ messageId, chatId: world.chatId }]);
      expect(world.shown()[0]?.buttons).toHaveLength(1);
      await world.presses(messageId, 'a:apr_1:g:n0nce');
      await expect
        .poll(() => [...sink.updates.values()].find(({ kind }) => kind === 'press'), WAIT)
        .toMatchObject({ messageId, data: 'a:apr_1:g:n0nce' });
      await connector.edit(messageId, plainPost(world.chatId, 'It may.'));
      expect(world.shown()).toMatchObject([{ messageId, text: 'It may.', buttons: [] }]);
      // The same once more changes nothing, and is no error.
      await connector.edit(messageId, plainPost(world.chatId, 'It may.'));
    });

    test('text is shown as it is, whatever markup it looks like', async () => {
      for (const [index, text] of NASTY.entries()) {
        for (const style of [undefined, 'bold', 'code', 'block'] as const) {
          await connector.send(`nasty-${index}-${style}`, {
            ...plainPost(world.chatId, ''),
            spans: [
              { text: 'before ' },
              style === undefined ? { text } : { text, style },
              { text: ' after' },
            ],
          });
          expect(world.shown().at(-1)?.text.replaceAll(/\s+/g, ' ')).toBe(
            world.reads(`before ${text} after`).replaceAll(/\s+/g, ' '),
          );
        }
      }
    });

    test('text cannot turn the direction of what is around it', async () => {
      await connector.send(
        'bidi',
        plainPost(world.chatId, 'run \u202Egnp.exe\u202C now \u2066x\u2069'),
      );
      expect(world.shown().at(-1)?.text).not.toMatch(OVERRIDES);
    });

    test('what is too long for a message is whole in a file', async () => {
      const { textMax, files } = connector.capabilities;
      expect(files).toBe(true);
      const text = `first ${'word '.repeat(3_000)}last`;
      await connector.send('long', plainPost(world.chatId, text));
      const [shown] = world.shown();
      expect(shown?.text.length).toBeLessThanOrEqual(textMax);
      expect(shown?.text).toMatch(/^first word/);
      expect(shown?.file).toBe(text);
    });

    test('a limit tells how long to wait, and the same post goes out then', async () => {
      world.rateLimitNext(1_000);
      const post = plainPost(world.chatId, 'hello');
      const failure = await connector.send('limited', post).catch((error: unknown) => error);
      // Where the connector waits by itself it is shown already.
      const waited = world.shown().length > 0;
      expect(waited ? 'retry' : kindOf(failure)).toBe('retry');
      const retryAfterMs = failure instanceof ConnectorError ? failure.retryAfterMs : null;
      expect(waited ? 1_000 : retryAfterMs).toBeGreaterThanOrEqual(900);
      if (!waited) await connector.send('limited', post);
      expect(world.shown().map(({ text }) => text)).toEqual(['hello']);
    });

    test('a connection that breaks after a send leaves one message, and never two', async () => {
      world.breakAfterNext();
      const post = plainPost(world.chatId, 'once');
      const failure = await connector.send('broken', post).catch((error: unknown) => error);
      const { detectsDoubles } = connector.capabilities;
      expect(detectsDoubles ? ['sent', 'retry', 'uncertain'] : ['uncertain']).toContain(
        kindOf(failure),
      );
      if (detectsDoubles && kindOf(failure) !== 'sent') await connector.send('broken', post);
      expect(world.shown().map(({ text }) => text)).toEqual(['once']);
    });

    test('a chat that it may not write in is a refusal in words', async () => {
      world.kick();
      const failure = await connector
        .send('kicked', plainPost(world.chatId, 'hello'))
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ConnectorError);
      expect(failure).toMatchObject({ kind: 'rejected' });
      expect(world.shown()).toEqual([]);
    });

    test('a secret that is not taken any more ends the reading as refused, and is not told', async () => {
      const reader = await read();
      world.revoke();
      const failure = await reader.ended;
      expect(failure).toBeInstanceOf(ConnectorError);
      expect(failure).toMatchObject({ kind: 'rejected' });
      const asked = await connector.identify().catch((error: unknown) => error);
      expect(asked).toMatchObject({ kind: 'rejected' });
    });

    test('a second reader for the same bot is told of, where the network tells', async () => {
      await read();
      const second = world.connect();
      others.push(second);
      const secondSink = createMemorySink();
      readers.push(reading(second, secondSink));
      await expect
        .poll(() => [...sink.states, ...secondSink.states], WAIT)
        .toContain(world.tellsOfSecondReader ? 'conflict' : 'connected');
    });
  });
}
