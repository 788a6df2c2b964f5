import { describe, expect, test } from 'vitest';
import { AgentSchema } from '../../../domain/schema/agent.ts';
import { agentModel } from '../../../cli/tui/pages/agent.ts';
import { accessModel } from '../../../cli/tui/pages/access.ts';
import { auditModel, entryModel } from '../../../cli/tui/pages/audit.ts';
import { connectorModel } from '../../../cli/tui/pages/connector.ts';
import { connectorsModel, type Connector } from '../../../cli/tui/pages/connectors.ts';
import { contextModel } from '../../../cli/tui/pages/context.ts';
import { explainModel, explanationBlocks } from '../../../cli/tui/pages/explain.ts';
import { pairingModel } from '../../../cli/tui/pages/pairing.ts';
import { pairingsModel, type Pairing } from '../../../cli/tui/pages/pairings.ts';
import { checkedBlocks, policiesModel, type Policy } from '../../../cli/tui/pages/policies.ts';
import { diffModel, dryRunBlocks, policyModel } from '../../../cli/tui/pages/policy.ts';
import type { SettingsView } from '../../../cli/tui/pages/setting.ts';
import { standingModel } from '../../../cli/tui/pages/standing.ts';
import { userModel } from '../../../cli/tui/pages/user.ts';
import { usersModel } from '../../../cli/tui/pages/users.ts';
import { settingsModel, workspaceModel } from '../../../cli/tui/pages/workspace.ts';
import { workspacesModel } from '../../../cli/tui/pages/workspaces.ts';
import type { Block, Model } from '../../../cli/tui/model.ts';
import { actionsOf } from '../../../cli/tui/reduce-keys.ts';
import { agent } from '../server.ts';
import { frame, loaded, NOW, press, start, testId } from './support.ts';

const AT = '2026-11-21T11:55:00.000Z';
const LATER = '2026-12-21T12:00:00.000Z';
const WORKSPACE = {
  id: testId('workspace', 1),
  slug: 'shop',
  name: 'The web shop',
  createdAt: AT,
  kind: 'community' as const,
  ownerUserId: null,
};
const USER = {
  id: testId('user', 1),
  name: 'Anna',
  createdBy: 'key_1',
  createdAt: AT,
  disabledAt: null,
};

/** The page as it is drawn, and the keys that do something on it. */
function shown(model: Model, size = { columns: 120, rows: 40 }) {
  const state = loaded(start('approvals', size), model);
  const keys = actionsOf(state).map(({ key, label }) => `${key} ${label}`);
  return { state, text: frame(state), keys };
}

function readAs(blocks: readonly Block[]): string {
  return shown({ title: 'Page', blocks, table: null, actions: [] }).text;
}

function keysIn(state: string): readonly (string | undefined)[] {
  return shown(agentModel(AgentSchema.parse(agent(1, { state })), null)).keys.map((key) => key[0]);
}

describe('an agent', () => {
  const live = AgentSchema.parse(agent(1, { state: 'busy' }));
  const screen = {
    agentId: live.id,
    epoch: 1,
    lines: ['$ npm test', '\u001b[31mred', '', ''],
    cursor: { x: 0, y: 0 },
    title: 'gemini',
    cols: 80,
    rows: 24,
    state: 'busy' as const,
    rule: null,
    offset: 0,
  };

  test('shows its screen, without the empty rows below it', () => {
    const { text } = shown(agentModel(live, screen));
    expect(text).toContain('Its screen now · gemini');
    expect(text).toContain('│ $ npm test');
    expect(text).toContain('\\e[31mred');
  });

  test('offers what its state allows', () => {
    expect(keysIn('ready')).toEqual(['a', 't', 'm', 'i', 'z', 'x']);
    expect(keysIn('suspended')).toEqual(['u', 'x']);
    expect(keysIn('stopped')).toEqual([]);
  });
});

describe('people', () => {
  const binding = {
    id: testId('roleBinding', 1),
    userId: USER.id,
    role: 'admin' as const,
    place: { kind: 'workspace' as const, workspaceId: WORKSPACE.id },
    createdBy: 'key_1',
    createdAt: AT,
    revokedAt: null,
  };

  test('stand with their roles and identities, each of which can be taken', () => {
    const identity = {
      id: testId('identity', 1),
      userId: USER.id,
      kind: 'telegram' as const,
      issuer: '',
      subject: '4711',
      displayName: 'annie',
      linkedBy: 'key_1',
      linkedAt: AT,
      unlinkedAt: null,
    };
    const parts = {
      user: USER,
      bindings: [binding],
      identities: [identity],
      workspaces: [WORKSPACE],
    };
    const { text, keys, state } = shown(userModel(parts));
    expect(text).toMatch(/role +admin +workspace shop/);
    expect(text).toMatch(/telegram +4711 {2}annie/);
    expect(keys).toEqual(['x revoke', 'g grant a role', 'e why not?', 'D disable']);
    expect(frame(press(state, 'j', 'x').state)).toContain('Type unlink');
  });

  test('that are disabled can be let in again, and are seen to be', () => {
    const user = { ...USER, disabledAt: AT };
    const { text, keys } = shown(userModel({ user, bindings: [], identities: [], workspaces: [] }));
    expect(text).toContain('disabled: refused by whatever means');
    expect(keys).toContain('D enable');
    expect(shown(usersModel([user])).text).toMatch(/Anna +disabled/);
  });

  test('are told why they may not', () => {
    const text = readAs(
      explanationBlocks({
        principal: { id: USER.id, name: 'Anna', via: 'oidc', isLive: true },
        place: { workspaceId: WORKSPACE.id, contextId: null, isPrivate: false },
        action: 'stopAgent',
        decision: 'deny',
        rule: 'role:operator',
        message: 'This needs the role operator; you have viewer here.',
        needs: { role: 'operator', scope: 'agents:write' },
        role: 'viewer',
        hasScope: true,
        bindings: [
          { role: 'viewer', place: binding.place, reaches: true, covers: false, why: 'too little' },
        ],
        missing: ['the role operator or more'],
      }),
    );
    expect(text).toMatch(/Answer +no/);
    expect(text).toContain('• the role operator or more');
    const rules = [
      {
        name: 'stopAgent',
        role: 'operator',
        scope: 'agents:write',
        method: 'POST',
        path: '/x',
        listener: 'public',
      },
    ] as const;
    expect(shown(explainModel(rules, { user: USER.id, name: 'Anna' })).keys).toEqual(['x explain']);
  });
});

describe('pairing', () => {
  const pairing: Pairing = {
    id: testId('pairing', 1),
    connectorId: testId('connector', 1),
    connectorName: 'shop-bot',
    network: 'telegram',
    subject: '4711008',
    displayName: 'Your admin\u202e',
    state: 'shown',
    createdAt: AT,
    expiresAt: LATER,
  };

  test('is decided only after the token was entered', () => {
    const pending = shown(pairingsModel([{ ...pairing, state: 'pending' }]));
    expect(press(pending.state, 'enter').effects).toEqual([]);
    expect(press(shown(pairingsModel([pairing])).state, 'enter').effects).toMatchObject([
      { kind: 'load', ref: { page: 'pairing' } },
    ]);
  });

  test('shows the number first, and names characters that turn text around', () => {
    const { text, keys } = shown(pairingModel({ pairing, users: [USER], workspaces: [WORKSPACE] }));
    expect(text).toMatch(/Number +4711008/);
    expect(text).toContain('Your admin\\u{202e}');
    expect(keys).toEqual(['a approve', 'x refuse']);
  });

  test('asks for a name only of somebody new, and for a place only with a role', () => {
    const { state } = shown(pairingModel({ pairing, users: [USER], workspaces: [WORKSPACE] }));
    const asked = press(state, 'a').state;
    expect(frame(asked)).toContain('Name');
    expect(frame(asked)).not.toContain('Where');
    const known = press(asked, 'down', 'enter').state;
    expect(frame(known)).not.toContain('Name');
    expect(frame(press(known, 'down').state)).toContain('Where');
  });
});

describe('connectors', () => {
  const connector: Connector = {
    id: testId('connector', 1),
    network: 'telegram',
    name: 'shop-bot',
    secretRef: null,
    settings: {},
    enabled: true,
    state: 'refused',
    detail: 'Unauthorized',
    since: AT,
    botId: null,
    botName: null,
    revision: 1,
    createdBy: 'key_1',
    createdAt: AT,
  };
  const post = {
    id: testId('post', 1),
    connectorId: connector.id,
    workspaceId: WORKSPACE.id,
    kind: 'send' as const,
    place: '-100',
    state: 'uncertain' as const,
    attempts: 1,
    error: 'cut',
    createdAt: AT,
    sentAt: null,
  };

  test('say how they do, and never their secret', () => {
    expect(shown(connectorsModel([connector])).text).toMatch(/shop-bot +telegram +refused/);
    const { text } = shown(connectorModel(connector, []));
    expect(text).toContain('sealed; it is never shown');
  });

  test('send again what is uncertain only after a word about twice', () => {
    const { keys, state } = shown(connectorModel(connector, [post]));
    expect(keys[0]).toBe('S send again');
    expect(frame(press(state, 'S').state)).toContain('it may be there twice');
    expect(shown(connectorModel(connector, [{ ...post, state: 'queued' }])).keys[0]).toBe('t test');
  });
});

describe('policy', () => {
  const policy: Policy = {
    id: testId('policy', 1),
    workspaceId: WORKSPACE.id,
    version: 3,
    engine: 'cedar',
    digest: 'd',
    note: 'quiet',
    active: false,
    createdBy: 'key_1',
    createdAt: AT,
    activatedBy: null,
    activatedAt: null,
    text: 'permit (principal, action, resource);',
    rules: [],
  };

  test('is activated by its word, and not where it holds already', () => {
    const { keys, state, text } = shown(policyModel(policy));
    expect(keys).toEqual(['d difference', 't dry run', 'a activate']);
    expect(text).toContain('│ permit (principal, action, resource);');
    expect(frame(press(state, 'a').state)).toContain('Type activate');
    expect(shown(policyModel({ ...policy, active: true })).keys).not.toContain('a activate');
  });

  test('that is built in is said to be, and what holds is named', () => {
    const builtIn = { ...policy, id: null, version: 0, engine: 'built-in' as const };
    expect(shown(policiesModel(builtIn, [])).text).toContain('the built-in policy');
    expect(shown(policiesModel({ ...policy, active: true }, [policy])).text).toContain('version 3');
  });

  test('shows what differs, what was found, and what would be answered otherwise', () => {
    const of = { version: 0, engine: 'built-in' as const };
    const to = { version: 3, engine: 'cedar' as const };
    expect(shown(diffModel({ from: of, to, diff: '@@ -1 +1 @@\n-a\n+b\n' })).text).toMatch(/│ -a/);
    expect(shown(diffModel({ from: of, to, diff: '' })).text).toContain('Nothing differs.');
    const problem = { severity: 'error' as const, message: 'unexpected token', line: 2, column: 7 };
    expect(readAs(checkedBlocks({ valid: false, problems: [problem], rules: [] }))).toContain(
      '2:7 error: unexpected token',
    );
    const run = {
      from: 0,
      to: 3,
      requests: 10,
      unchanged: 9,
      unknown: 0,
      counts: { 'ask→allow': 1 },
    };
    const change = {
      action: 'agent.prompt' as const,
      principal: 'agent',
      resource: 'agent',
      tool: 'shell',
      at: AT,
      before: { verdict: 'ask' as const, rule: 'a' },
      after: { verdict: 'allow' as const, rule: 'b' },
    };
    expect(readAs(dryRunBlocks({ ...run, changes: [change] }))).toMatch(
      /ask → allow {2}agent\.prompt shell/,
    );
  });
});

describe('places', () => {
  const context = {
    id: testId('context', 1),
    workspaceId: WORKSPACE.id,
    slug: 'orders',
    name: 'Orders',
    kind: 'channel' as const,
    chat: { connectorId: testId('connector', 1), chatId: '-100', threadId: null },
    createdBy: 'key_1',
    createdAt: AT,
    archivedAt: null,
  };
  const settings: SettingsView = {
    own: { memory: false },
    effective: {
      systemPrompt: { value: 'Be kind.', origin: 'workspace' },
      tools: { value: [], origin: 'context' },
      models: { value: null, origin: 'default' },
      model: { value: null, origin: 'default' },
      memory: { value: false, origin: 'context' },
      approvals: { value: 'hub', origin: 'default' },
    },
  };

  test('show each setting with who said it, and inherit only what was said here', () => {
    const { text, keys, state } = shown(settingsModel(settings, '/v1/x/settings'));
    expect(text).toMatch(/System prompt +Be kind\. +workspace/);
    expect(text).toMatch(/Tools +none at all +context/);
    expect(text).toMatch(/Models +all +nobody: built in/);
    expect(text).toContain('in the admin hub only');
    expect(keys).toEqual(['c change']);
    const memory = press(state, 'j', 'j', 'j', 'j').state;
    expect(actionsOf(memory).map(({ key }) => key)).toEqual(['c', 'i']);
  });

  test('with a chat can become the admin hub, by its word', () => {
    const { keys, state } = shown(contextModel(context, settings));
    expect(keys).toContain('H make it the admin hub');
    expect(frame(press(state, 'H').state)).toContain('Type hub');
    expect(
      shown(contextModel({ ...context, kind: 'plain', chat: null }, settings)).keys,
    ).not.toContain('H make it the admin hub');
  });

  test('are listed in their workspace, and the one that one is in is marked', () => {
    expect(shown(workspaceModel(WORKSPACE, [context])).text).toMatch(/orders +Orders +channel/);
    expect(shown(workspacesModel([WORKSPACE], WORKSPACE)).text).toContain('you are here');
  });
});

describe('records', () => {
  const canonical = JSON.stringify({ detail: { before: null, after: { role: 'admin' } } });
  const entry = {
    seq: 7,
    at: AT,
    actorKind: 'user' as const,
    actorId: 'key_1',
    action: 'role.granted',
    subjectId: 'rbn_1',
    canonical,
    prevHash: 'a'.repeat(64),
    hash: 'b'.repeat(64),
  };

  test('stand newest first, and whole with what the hash covers', () => {
    const model = auditModel([entry, { ...entry, seq: 8 }], null);
    expect(model.table?.rows.map(({ id }) => id)).toEqual(['8', '7']);
    expect(shown(entryModel(entry)).text).toMatch(/"role": "admin"/);
  });

  test('of what is approved for ever can be revoked while they hold', () => {
    const standing = {
      id: testId('standingApproval', 1),
      workspaceId: WORKSPACE.id,
      approvalId: testId('approval', 1),
      title: 'Run make',
      template: { command: 'make' },
      templateHash: 'h',
      recipients: [],
      risk: 'low' as const,
      state: 'live' as const,
      createdBy: 'key_1',
      createdAt: AT,
      expiresAt: LATER,
      revokedAt: null,
      revokedBy: null,
      uses: 2,
      lastUsedAt: null,
    };
    expect(shown(standingModel([standing])).keys).toEqual(['v what exactly', 'x revoke']);
    expect(shown(standingModel([{ ...standing, state: 'revoked' }])).keys).toEqual([
      'v what exactly',
    ]);
  });
});

describe('access', () => {
  const nothing = { value: null, problem: 'Nothing answers.' };

  test('can be got by who has none: the page is there without an answer', () => {
    const { text, keys, state } = shown(
      accessModel({
        origin: 'http://127.0.0.1:7600',
        adminOrigin: nothing,
        self: nothing,
        certificates: nothing,
        users: nothing,
        nowMs: NOW,
      }),
    );
    expect(text).toMatch(/You +Nothing answers\./);
    expect(keys).toEqual(['e enrol this machine']);
    const asked = press(state, 'e', 'enter').state;
    const typedSecret = press(asked, 'r', 'k', 'b').state;
    expect(frame(typedSecret)).toContain('(hidden)');
    expect(frame(typedSecret)).not.toContain('rkb█');
  });

  test('that was given is listed, and can be taken by its word', () => {
    const certificate = {
      id: testId('certificate', 1),
      userId: USER.id,
      serial: 'ab',
      fingerprint: 'cd',
      label: 'laptop',
      renewsId: null,
      issuedAt: AT,
      expiresAt: LATER,
      revokedAt: null,
      revokedBy: null,
      lastUsedAt: null,
    };
    const { text, keys } = shown(
      accessModel({
        origin: 'https://rookery.example',
        adminOrigin: { value: 'https://rookery.example:7601', problem: null },
        self: nothing,
        certificates: { value: [certificate], problem: null },
        users: { value: [USER], problem: null },
        nowMs: NOW,
      }),
    );
    expect(text).toMatch(/laptop +Anna +good/);
    expect(keys).toEqual(['x revoke', 'e enrol this machine', 'o offer enrolment']);
  });
});
