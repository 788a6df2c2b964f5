import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OFFERED_COMMANDS } from '../../../api/chat/registry.ts';
import { writeDocument } from '../../../api/documents.ts';
import { createWorkspace } from '../../../infra/db/queries/workspace.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { makeAgent, makeApproval, newId } from '../../support/records.ts';
import { openTestApi } from '../harness.ts';
import {
  direct,
  inWorkspace,
  makeConnector,
  makeGroup,
  makePerson,
  newNumber,
  openChat,
  type Person,
  type Room,
} from './chat-harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());

const chat = openChat(api);
const workspace = await makeWorkspace(db);
const other = await makeWorkspace(db);
const connectorId = await makeConnector(db, 'telegram');
const operator = await makePerson(
  { db, network: 'telegram' },
  [inWorkspace('operator', workspace)],
  'Olga',
);
const viewer = await makePerson(
  { db, network: 'telegram' },
  [inWorkspace('viewer', workspace)],
  'Vera',
);
const group = await makeGroup(db, { workspaceId: workspace, connectorId });
const hub = await makeGroup(db, { workspaceId: workspace, connectorId, isHub: true });
const otherHub = await makeGroup(db, { workspaceId: other, connectorId, isHub: true });
const stranger: Person = { subject: newNumber(), displayName: 'Olga', userId: null };
const unbound: Room = { connectorId, chatId: `-${newNumber()}`, kind: 'group' };

async function textOf(room: Room, who: Person, line: string): Promise<string> {
  const said = await chat.command(room, who, line);
  const answers = said.filter(({ key }) => key.endsWith(':reply'));
  expect(answers).toHaveLength(1);
  return answers[0]?.text ?? '';
}

function auditOf(workspaceId: string, action: string) {
  return db
    .selectFrom('audit')
    .select(['subject_id as subjectId', 'actor_id as actorId', 'canonical'])
    .where('workspace_id', '=', workspaceId)
    .where('action', '=', action)
    .execute();
}

describe('who is heard', () => {
  test('a stranger is told once an hour in each chat how to be known, whatever he calls himself', async () => {
    const room = direct(connectorId, stranger);
    const first = await chat.say(room, stranger, 'hello');
    expect(first.map(({ text }) => text)).toEqual([expect.stringContaining('Write "pair"')]);
    expect(await chat.say(room, stranger, 'hello?')).toEqual([]);
    expect(await chat.command(room, stranger, '/agents')).toEqual([]);
    api.clock.advance(3_600_000);
    expect(await chat.command(room, stranger, '/agents')).toHaveLength(1);
  });

  test('an answer that a network waits for is given to a stranger each time', async () => {
    const command = { kind: 'command', name: 'agents', args: '', handle: 'h1' } as const;
    expect(await chat.hear(group, stranger, command)).toMatchObject([{ handle: 'h1' }]);
    expect(await chat.hear(group, stranger, command)).toHaveLength(1);
  });

  test('in a group nothing is said to what was not said to us', async () => {
    expect(await chat.say(unbound, operator, 'pair')).toEqual([]);
    expect(await chat.say(group, operator, '/approve ABCDEF')).toEqual([]);
    expect(await chat.say(group, operator, 'stop everything')).toEqual([]);
  });

  test('a bot is not answered, and neither is somebody whose connector is gone', async () => {
    const bot = { place: { ...group, threadId: null, guildId: null, title: '' }, at: 1 };
    await chat.handler.handle(connectorId, 'bot', {
      kind: 'command',
      ...bot,
      sender: { subject: operator.subject, displayName: 'x', isBot: true },
      name: 'agents',
      args: '',
      messageId: null,
      handle: null,
    });
    const gone = { ...group, connectorId: newId('connector') };
    expect(await chat.command(gone, operator, '/agents')).toEqual([]);
  });

  test('a user who was disabled is a stranger at once', async () => {
    const fired = await makePerson({ db, network: 'telegram' }, [inWorkspace('admin', workspace)]);
    expect(await textOf(direct(connectorId, fired), fired, '/whoami')).toContain(fired.userId);
    await db
      .updateTable('user_account')
      .set({ disabled_at: new Date() })
      .where('id', '=', fired.userId)
      .execute();
    const [said] = await chat.command(direct(connectorId, fired), fired, '/agents');
    expect(said?.text).toContain('I do not know you yet');
  });
});

describe('commands', () => {
  test('help lists all of them and explains one; a mistyped one is suggested', async () => {
    const help = await textOf(group, viewer, '/help');
    for (const name of ['/spawn', '/approve', '/search', '/admin-channel', '/pair']) {
      expect(help).toContain(name);
    }
    expect(await textOf(group, viewer, '/help spawn')).toContain('Takes the role operator');
    expect(await textOf(group, viewer, '/agnts')).toContain('Did you mean /agents?');
    expect(await textOf(group, viewer, '/frobnicate')).toContain('/help lists');
  });

  test('networks are offered names that they know', () => {
    for (const { name, description } of OFFERED_COMMANDS) {
      expect(name).toMatch(/^[a-z0-9_]{1,32}$/);
      expect(description.length).toBeLessThanOrEqual(100);
    }
    expect(OFFERED_COMMANDS.map(({ name }) => name)).toContain('admin_channel');
  });

  test('wrong arguments are told with the usage', async () => {
    expect(await textOf(group, operator, '/spawn')).toContain('Usage: /spawn');
    expect(await textOf(group, operator, '/agent')).toContain('Usage: /agent');
    expect(await textOf(group, operator, '/send nobody')).toContain('Usage: /send');
    expect(await textOf(group, operator, '/agents @x y')).toContain('belongs to the workspace');
    expect(await textOf(group, operator, '/admin_channel maybe')).toContain(
      'Usage: /admin-channel',
    );
  });

  test('tasks are not pretended', async () => {
    expect(await textOf(group, operator, '/task write a poem')).toMatch(
      /nothing was started[^]*\/spawn claude -- write a poem/,
    );
  });

  test('an agent is spawned with a name and a task, once however often it is handled', async () => {
    const said = await chat.command(group, operator, {
      text: '/spawn claude my helper — look\nat it',
      key: 's1',
    });
    expect(said[0]?.text).toContain('Started my helper (claude)');
    expect(
      await chat.command(group, operator, {
        text: '/spawn claude my helper — look\nat it',
        key: 's1',
      }),
    ).toEqual([]);
    const agents = await db
      .selectFrom('agent')
      .select(['name', 'type', 'spec', 'owner_id'])
      .where('workspace_id', '=', workspace)
      .execute();
    expect(agents).toMatchObject([
      {
        name: 'my helper',
        type: 'claude',
        spec: { task: 'look\nat it' },
        owner_id: operator.userId,
      },
    ]);
    expect(await textOf(group, viewer, '/agents')).toContain('my helper claude');
    expect(await textOf(group, viewer, '/agent MY')).toContain('No agent "MY"');
  });

  test('a viewer starts and stops nothing, and is told why', async () => {
    expect(await textOf(group, viewer, '/spawn claude')).toContain('needs the role operator');
    const agent = await makeAgent(db, workspace);
    expect(await textOf(group, viewer, `/stop ${agent}`)).toContain('needs the role operator');
    expect(await textOf(group, viewer, `/send ${agent} rm -rf /`)).toContain(
      'needs the role operator',
    );
    expect(await textOf(group, viewer, '/admin-channel enable')).toContain('needs the role admin');
  });

  test('agents are found by name, id and the end of it; several of one name are told apart', async () => {
    const [one, two] = [await makeAgent(db, workspace), await makeAgent(db, workspace)];
    expect(await textOf(group, viewer, `/agent ${one}`)).toContain(one);
    expect(await textOf(group, viewer, `/agent ${two.slice(-6)}`)).toContain(two);
    expect(await textOf(group, viewer, '/agent agent')).toContain('Several agents are called so');
    const foreign = await makeAgent(db, other);
    expect(await textOf(group, viewer, `/agent ${foreign}`)).toContain('no such agent');
  });

  test('of another workspace nothing is said in a group, not even to somebody who sees both', async () => {
    const both = await makePerson({ db, network: 'telegram' }, [
      inWorkspace('admin', workspace),
      inWorkspace('admin', other),
    ]);
    const foreign = await makeAgent(db, other);
    expect(await textOf(group, both, `/agent ${foreign}`)).toContain('no such agent here');
    const slug = other.slice(4);
    expect(await textOf(group, both, `/agents @${slug}`)).toContain('nothing is said here');
    expect(await textOf(direct(connectorId, both), both, `/agents @${slug}`)).toContain(
      'agent custom',
    );
    expect(await textOf(direct(connectorId, both), both, '/agents')).toContain(
      'Say which workspace',
    );
  });

  test('in an unbound group a command says that it is bound to nothing', async () => {
    expect(await textOf(unbound, operator, '/agents')).toContain('bound to no workspace');
    expect(await textOf(unbound, operator, '/whoami')).toContain(unbound.chatId);
  });

  test('whoami and status say how things are', async () => {
    expect(await textOf(direct(connectorId, operator), operator, '/whoami')).toMatch(
      /You are Olga[^]*operator in/,
    );
    expect(await textOf(direct(connectorId, operator), operator, '/status')).toMatch(
      /Agents: [^]*Approvals that wait: \d/,
    );
  });

  test('a megabyte of anything is answered and harms nothing', async () => {
    const huge = ' x'.repeat(524_288);
    expect(await textOf(group, operator, `/spawn ${huge}`)).not.toBe('');
    expect(await textOf(group, operator, `/search ${huge}`)).toContain('At most 200');
    await chat.say(group, operator, huge);
    await chat.say(direct(connectorId, operator), operator, `pair${' '.repeat(1_000_000)}x`);
    const stored = await db
      .selectFrom('chat_message')
      .select((from) => from.fn.max<number>(from.fn('length', ['text'])).as('longest'))
      .executeTakeFirstOrThrow();
    expect(stored.longest).toBeLessThanOrEqual(65_536);
  });
});

describe('documents', () => {
  const person = { workspaceId: workspace, kind: 'user', id: 'test' } as const;
  const agentFolder = `agents/${newId('agent')}`;
  beforeAll(async () => {
    await writeDocument(api.deps, person, {
      path: 'notes/plan.md',
      text: 'the quick fox\n@everyone `x`',
    });
    await writeDocument(api.deps, person, {
      path: 'notes/long.md',
      text: 'a line\n'.repeat(2_000),
    });
    await writeDocument(api.deps, person, {
      path: `${agentFolder}/memory.md`,
      text: 'the secret fox',
    });
  });

  test('are found by name and text, and opened; long ones as a file', async () => {
    expect(await textOf(group, viewer, '/search quick fox')).toMatch(
      /exactly these words[^]*notes\/plan.md line 1/,
    );
    expect(await textOf(group, viewer, '/search PLAN')).toContain('notes/plan.md');
    expect(await textOf(group, viewer, '/search nothing like it')).toContain(
      'Nothing holds exactly',
    );
    const [open] = await chat.command(group, viewer, '/open notes/plan.md');
    expect(open).toMatchObject({ file: null });
    expect(open?.spans.at(-1)).toEqual({ text: 'the quick fox\n@everyone `x`', style: 'block' });
    const [long] = await chat.command(group, viewer, '/open notes/long.md');
    expect(long?.file).toMatchObject({ name: 'long.md', text: 'a line\n'.repeat(2_000) });
    expect(await textOf(group, viewer, '/open notes/none.md')).toContain('There is no document');
    expect(await textOf(group, viewer, '/open ../../etc/passwd')).toContain('Not the path');
  });

  test('an agent’s own folder is for direct chats, whoever asks in a group', async () => {
    expect(await textOf(group, operator, `/open ${agentFolder}/memory.md`)).toContain(
      'not shown in a group',
    );
    expect(await textOf(group, operator, '/search secret')).toContain(
      'without the folders of agents',
    );
    const own = await textOf(
      direct(connectorId, operator),
      operator,
      `/open ${agentFolder}/memory.md`,
    );
    expect(own).toContain('the secret fox');
  });

  test('a private workspace tells nothing to a group that is bound to it', async () => {
    const id = newId('workspace');
    await createWorkspace(db, { id, slug: id.slice(4), name: 'Private' });
    const owner = await makePerson({ db, network: 'telegram' }, [inWorkspace('admin', id)]);
    await db
      .updateTable('workspace')
      .set({ kind: 'private', owner_user_id: owner.userId })
      .where('id', '=', id)
      .execute();
    const room = await makeGroup(db, { workspaceId: id, connectorId });
    await writeDocument(
      api.deps,
      { ...person, workspaceId: id },
      { path: 'diary.md', text: 'dear diary' },
    );
    expect(await textOf(room, owner, '/open diary.md')).toContain('private');
    expect(await textOf(room, owner, '/search diary')).toContain('private');
    expect(await textOf(direct(connectorId, owner), owner, '/open diary.md')).toContain(
      'dear diary',
    );
  });
});

describe('approvals by command', () => {
  test('are neither shown nor taken outside the hub and direct chats, which is on record', async () => {
    const agentId = await makeAgent(db, workspace, 'blocked');
    const approval = await makeApproval(db, { workspaceId: workspace, agentId });
    for (const line of [`/approve ${approval.code}`, `/deny ${approval.id}`, '/approvals']) {
      expect(await textOf(group, operator, line)).toContain('admin hub');
    }
    expect(await textOf(otherHub, operator, `/approve ${approval.code}`)).toContain(
      'another workspace',
    );
    const refused = await auditOf(workspace, 'chat.command_refused');
    expect(refused.map((row) => row.subjectId)).toContain(approval.id);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    const row = await db
      .selectFrom('approval')
      .select('state')
      .where('id', '=', approval.id)
      .executeTakeFirst();
    expect(row?.state).toBe('open');
  });

  test('/approve without the right is refused by the one gate', async () => {
    const agentId = await makeAgent(db, workspace, 'blocked');
    const approval = await makeApproval(
      db,
      { workspaceId: workspace, agentId },
      { risk: 'high', role: 'admin' },
    );
    expect(await textOf(hub, viewer, `/approve ${approval.code}`)).toContain('needs the role');
    expect(await textOf(hub, operator, `/approve ${approval.code}`)).toContain(
      'needs the role admin',
    );
    expect(await textOf(hub, operator, '/approve ZZZZZZ')).toContain('open approval');
    expect(await textOf(hub, operator, '/approve')).toContain('Usage: /approve');
  });

  test('the hub and a direct chat list what waits, and show one whole', async () => {
    expect(await textOf(hub, operator, '/approvals')).toContain('Run make');
    expect(await textOf(direct(connectorId, operator), operator, '/approvals')).toContain(
      'Run make',
    );
    const agentId = await makeAgent(db, workspace, 'blocked');
    const approval = await makeApproval(db, { workspaceId: workspace, agentId });
    expect(await textOf(hub, operator, `/approvals ${approval.code}`)).toContain(
      '"command": "make"',
    );
  });
});

describe('what is kept', () => {
  test('messages of bound chats are stored once, and changed by their sender only', async () => {
    await chat.say(group, operator, { text: 'first words', key: 'k1' });
    await chat.say(group, operator, { text: 'first words', key: 'k1' });
    const edit = (who: Person, text: string) =>
      chat.hear(group, who, { kind: 'edit', messageId: 'mk1', text });
    await edit(operator, 'other words');
    await edit(viewer, 'words of somebody else');
    const stored = () =>
      db
        .selectFrom('chat_message')
        .select(['text', 'user_id as userId', 'direction', 'edited_at as editedAt'])
        .where('external_id', '=', 'mk1')
        .execute();
    expect(await stored()).toMatchObject([
      { text: 'other words', userId: operator.userId, direction: 'in' },
    ]);
    const events = await db
      .selectFrom('event')
      .select(['type', 'data'])
      .where('workspace_id', '=', workspace)
      .where('type', 'in', ['chat.message_received', 'chat.message_edited'])
      .execute();
    expect(JSON.stringify(events)).not.toContain('words');
    expect(events.map(({ type }) => type)).toContain('chat.message_edited');
  });

  test('what staff write directly is shown in the hub, without tokens, codes and documents', async () => {
    const room = direct(connectorId, operator);
    const mirrored = async (line: string, isCommand = true) => {
      const said = isCommand
        ? await chat.command(room, operator, line)
        : await chat.say(room, operator, line);
      return said
        .filter(({ key }) => key.endsWith(':mirror'))
        .map(({ text, to }) => ({ text, to: to.chatId }));
    };
    expect(await mirrored('/status')).toEqual([{ text: 'Olga (direct): /status', to: hub.chatId }]);
    expect(await mirrored('/open notes/plan.md')).toEqual([
      { text: 'Olga (direct): opened notes/plan.md', to: hub.chatId },
    ]);
    expect(await mirrored('pair', false)).toEqual([]);
    expect(await mirrored('/login agent 12345')).toMatchObject([
      { text: 'Olga (direct): /login …' },
    ]);
    expect(await mirrored('my token is ABCD-EFGH-JKMN', false)).toMatchObject([
      { text: 'Olga (direct): my token is …' },
    ]);
    expect(await chat.say(direct(connectorId, viewer), viewer, 'hello')).toHaveLength(1);
  });
});
