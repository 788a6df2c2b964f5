import { randomInt } from 'node:crypto';
import type { Kysely } from 'kysely';
import { createApp } from '../../../api/app.ts';
import { createChatHandler } from '../../../api/chat/handler.ts';
import type { ChatDeps } from '../../../api/chat/deps.ts';
import type { ChatPost, ChatUpdate, Network, PlaceKind } from '../../../domain/chat.ts';
import type { ContextKind } from '../../../domain/context.ts';
import type { AgentId, ConnectorId, UserId, WorkspaceId } from '../../../domain/id.ts';
import type { Fact } from '../../../domain/fact.ts';
import type { Role, RolePlace } from '../../../domain/principal.ts';
import { createContext } from '../../../infra/db/queries/context.ts';
import { insertFacts } from '../../../infra/db/queries/fact.ts';
import { linkIdentity } from '../../../infra/db/queries/identity.ts';
import { openPrompt } from '../../../infra/db/queries/prompt.ts';
import { insertRoleBinding } from '../../../infra/db/queries/role-binding.ts';
import { insertUser } from '../../../infra/db/queries/user.ts';
import { switchHub } from '../../../infra/db/queries/context.ts';
import type { Database } from '../../../infra/db/schema.ts';
import { promptDigest } from '../../../infra/host/prompt-digest.ts';
import { factsArrived } from '../../../workflows/contracts/agent.ts';
import { newId } from '../../support/records.ts';
import type { TestApi } from '../harness.ts';

/** Somebody on a network. */
export interface Person {
  readonly subject: string;
  readonly displayName: string;
  readonly userId: UserId | null;
}

export interface Room {
  readonly connectorId: ConnectorId;
  readonly chatId: string;
  readonly kind: PlaceKind;
}

/** What was put into the outbox, opened. */
export interface Said extends ChatPost {
  readonly key: string;
  readonly editsKey: string | null;
  readonly text: string;
  readonly connectorId: string;
}

type Heard = Pick<ChatUpdate, 'kind'> &
  Readonly<Record<string, unknown>> & { readonly key?: string };

/** With the key of its update, where it is heard a second time. */
type Typed = string | { readonly text: string; readonly key?: string };

interface Pressing {
  readonly data: string;
  readonly messageId?: string;
  readonly reason?: string;
  readonly key?: string;
}

export function newNumber(): string {
  return String(randomInt(100_000_000, 999_999_999));
}

function chatDeps(api: TestApi): ChatDeps {
  return {
    api: api.deps,
    app: createApp(api.deps, 'public'),
    connectors: () => ({
      textMax: 4_096,
      edits: true,
      buttons: true,
      forms: true,
      files: true,
      threads: true,
      detectsDoubles: false,
    }),
  };
}

/** Feeds what networks would tell, and reads what would be said there. */
export function openChat(api: TestApi) {
  const deps = chatDeps(api);
  const handler = createChatHandler(deps);
  let count = 0;

  function nextKey(): string {
    count += 1;
    return `u${count}`;
  }

  async function hear(
    room: Room,
    who: Person,
    { key = nextKey(), ...what }: Heard,
  ): Promise<readonly Said[]> {
    const before = new Set((await posts(api)).map((post) => post.key));
    // What a test leaves out is as a network fills it in.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const update = {
      place: {
        kind: room.kind,
        chatId: room.chatId,
        threadId: null,
        guildId: null,
        title: 'A chat',
      },
      sender: { subject: who.subject, displayName: who.displayName, isBot: false },
      at: Date.now(),
      messageId: `m${key}`,
      replyTo: null,
      attachments: 0,
      handle: null,
      ...what,
    } as ChatUpdate;
    await handler.handle(room.connectorId, key, update);
    return (await posts(api)).filter((post) => !before.has(post.key));
  }

  function command(room: Room, who: Person, typed: Typed) {
    const { text, key = nextKey() } = typeof typed === 'string' ? { text: typed } : typed;
    const [, name = '', args = ''] = /^\/?(\S+)\s*([^]*)$/.exec(text) ?? [];
    return hear(room, who, { kind: 'command', name, args, key });
  }

  async function answerOf(room: Room, key: string): Promise<Said> {
    const wanted = `chat:${room.connectorId}:${key}:reply`;
    const said = (await posts(api)).find((post) => post.key === wanted);
    if (said === undefined) throw new Error('Nothing was answered.');
    return said;
  }

  return {
    deps,
    handler,
    hear,
    say: (room: Room, who: Person, typed: Typed) =>
      hear(room, who, {
        kind: 'message',
        ...(typeof typed === 'string' ? { text: typed } : typed),
      }),
    command,
    /** What was answered to it, and nothing else that came of it. */
    async told(room: Room, who: Person, text: string): Promise<Said> {
      const key = nextKey();
      await command(room, who, { text, key });
      return answerOf(room, key);
    },
    async pressed(room: Room, who: Person, pressing: string | Pressing): Promise<string> {
      const { key = nextKey(), ...press } =
        typeof pressing === 'string' ? { data: pressing } : pressing;
      await hear(room, who, { kind: 'press', messageId: 'none', reason: null, ...press, key });
      return (await answerOf(room, key)).text;
    },
    posts: () => posts(api),
  };
}

/** In the order in which they were put there. */
async function posts({ deps }: TestApi): Promise<readonly Said[]> {
  const rows = await deps.db
    .selectFrom('post')
    .select(['key', 'edits_key', 'sealed', 'connector_id'])
    .orderBy('seq')
    .execute();
  return rows.flatMap(({ key, edits_key: editsKey, sealed, connector_id: connectorId }) => {
    if (sealed === null) return [];
    // Sealed by the code under test.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const post = JSON.parse(deps.secrets.unseal(sealed)) as ChatPost;
    const text = post.spans.map((span) => span.text).join('');
    return [{ ...post, key, editsKey, text, connectorId }];
  });
}

export async function makeConnector(db: Kysely<Database>, network: Network): Promise<ConnectorId> {
  const id = newId('connector');
  await db.insertInto('connector').values({ id, network, name: id, created_by: 'test' }).execute();
  return id;
}

export async function makePerson(
  { db, network }: { readonly db: Kysely<Database>; readonly network: Network },
  roles: readonly { readonly role: Role; readonly place: RolePlace }[],
  name = 'Ada',
): Promise<Person & { readonly userId: UserId }> {
  const userId = newId('user');
  const subject = newNumber();
  await insertUser(db, { id: userId, name, createdBy: 'test' });
  for (const binding of roles) {
    await insertRoleBinding(db, {
      id: newId('roleBinding'),
      userId,
      createdBy: 'test',
      ...binding,
    });
  }
  await linkIdentity(db, {
    id: newId('identity'),
    userId,
    kind: network,
    issuer: '',
    subject,
    displayName: name,
    linkedBy: 'test',
  });
  return { subject, displayName: name, userId };
}

export function inWorkspace(role: Role, workspaceId: WorkspaceId) {
  return { role, place: { kind: 'workspace', workspaceId } } as const;
}

/** A group that is bound to a workspace. */
export async function makeGroup(
  db: Kysely<Database>,
  {
    workspaceId,
    connectorId,
    isHub = false,
  }: {
    readonly workspaceId: WorkspaceId;
    readonly connectorId: ConnectorId;
    readonly isHub?: boolean;
  },
): Promise<Room & { readonly contextId: string }> {
  const chatId = `-${newNumber()}`;
  const id = newId('context');
  const kind: ContextKind = 'group';
  const made = await createContext(db, {
    id,
    workspaceId,
    slug: `c${chatId}`,
    name: 'Group',
    kind,
    spot: { connectorId, chatId, threadId: null },
    createdBy: 'test',
  });
  if (made.kind === 'taken') throw new Error('taken');
  if (isHub) await db.transaction().execute((tx) => switchHub(tx, made.context));
  return { connectorId, chatId, kind: 'group', contextId: id };
}

export function direct(connectorId: ConnectorId, who: Person): Room {
  return { connectorId, chatId: who.subject, kind: 'dm' };
}

/** As the listener of a host's facts does, for agents of the fake host. */
export function factTeller({ deps }: TestApi) {
  const seqs = new Map<string, number>();
  async function tell(agentId: AgentId, fact: Fact): Promise<void> {
    const seq = (seqs.get(agentId) ?? 0) + 1;
    seqs.set(agentId, seq);
    const at = new Date().toISOString();
    const facts = [{ agentId, epoch: 1, seq, hostSeq: seq, at, fact }];
    await insertFacts(deps.db, { cursorName: 'test', facts });
    await deps.temporal.workflow.getHandle(agentId).signal(factsArrived, {});
  }
  return {
    tell,
    /** A dialog of its CLI that asks whether it may. */
    async ask(agentId: AgentId, subject: string): Promise<void> {
      const promptId = newId('prompt');
      const prompt = {
        kind: 'permission' as const,
        text: `Run this?\n${subject}`,
        subject,
        options: [
          { label: 'Yes', selected: true, effect: 'allow_once' as const },
          { label: 'No', selected: false, effect: 'deny' as const },
        ],
        source: 'screen' as const,
        hookPayload: '',
        cliSessionId: null,
        turn: 1,
        payloadComplete: true,
      };
      const digest = promptDigest(prompt);
      await openPrompt(deps.db, { id: promptId, agentId, epoch: 1, ...prompt, digest });
      await tell(agentId, { kind: 'prompt_opened', promptId, prompt });
    },
  };
}
