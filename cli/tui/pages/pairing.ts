import type { z } from 'zod';
import { ROLES } from '../../../domain/principal.ts';
import { ApprovedPairingSchema, PairingSchema } from '../../../domain/schema/pairing.ts';
import { UserSchema } from '../../../domain/schema/user.ts';
import { WorkspaceSchema } from '../../../domain/schema/workspace.ts';
import { CliError } from '../../exit.ts';
import { plainLine } from '../../text.ts';
import type { Action, Api, Field, Model, Outcome, Page, Values } from '../model.ts';
import { changeAsAdmin, doing, fact, optionOf, PRESS, timeFact, typing, words } from './part.ts';
import type { Pairing } from './pairings.ts';

type User = z.output<typeof UserSchema>;
type Workspace = z.output<typeof WorkspaceSchema>;

export interface PairingParts {
  readonly pairing: Pairing;
  readonly users: readonly User[];
  readonly workspaces: readonly Workspace[];
}

export const pairingPage: Page = {
  title: 'Who it is',
  listener: 'admin',
  events: [],
  pollMs: 15_000,
  load: async (api, { id = '' }) => {
    const admin = api.admin();
    const [pairings, users, workspaces] = await Promise.all([
      admin.list({ path: '/v1/pairings', item: PairingSchema, limit: 1_000 }),
      admin.list({ path: '/v1/users', item: UserSchema, limit: 5_000 }),
      admin.list({ path: '/v1/workspaces', item: WorkspaceSchema, limit: 1_000 }),
    ]);
    const pairing = pairings.find((each) => each.id === id);
    if (pairing !== undefined) return pairingModel({ pairing, users, workspaces });
    throw new CliError(
      'not_found',
      'This pairing waits no longer: it was decided, or its time is over.',
    );
  },
};

export function pairingModel({ pairing, users, workspaces }: PairingParts): Model {
  const { network, connectorName, subject, displayName, state, expiresAt } = pairing;
  return {
    title: subject,
    blocks: [
      ...fact('Connector', `${connectorName} (${network})`),
      ...fact('Number', subject, 'strong'),
      ...fact('Calls itself', displayName),
      ...fact('State', state),
      ...timeFact('Ends', expiresAt),
      words(''),
      words(
        'Linked is the number, and nothing else: anybody can call himself anything. Approve only if its owner reads you the same number.',
        'warn',
      ),
    ],
    table: null,
    actions: [approveAction({ pairing, users, workspaces }), refuseAction(pairing)],
  };
}

const NEW = 'new';
const NO_ROLE = 'none';
const EVERYWHERE = 'everywhere';

function fieldsOf({ users, workspaces, pairing }: PairingParts): readonly Field[] {
  const active = users.filter(({ disabledAt }) => disabledAt === null);
  return [
    {
      name: 'user',
      label: 'Is',
      kind: 'choice',
      options: [
        { value: NEW, label: 'somebody new' },
        ...active.map(({ id, name }) => ({ value: id, label: `${plainLine(name)}  ${id}` })),
      ],
    },
    {
      name: 'name',
      label: 'Name',
      kind: 'text',
      initial: plainLine(pairing.displayName).slice(0, 120),
      hint: 'of the new user, for lists and the audit',
      unless: ({ user }) => user !== NEW,
    },
    {
      name: 'role',
      label: 'Gets the role',
      kind: 'choice',
      options: [{ value: NO_ROLE, label: 'none by this' }, ...ROLES.toReversed().map(optionOf)],
    },
    {
      name: 'place',
      label: 'Where',
      kind: 'choice',
      options: [
        ...workspaces.map(({ id, slug }) => ({ value: id, label: `workspace ${slug}` })),
        { value: EVERYWHERE, label: 'everywhere' },
      ],
      unless: ({ role }) => role === NO_ROLE,
    },
  ];
}

function approveAction(parts: PairingParts): Action {
  const { id, subject, network } = parts.pairing;
  return doing({
    key: 'a',
    label: 'approve',
    ask: {
      title: `Link ${network} ${subject}`,
      words: ['Whoever writes from this account is this user from now on, with all his roles.'],
      fields: fieldsOf(parts),
      confirm: typing('link'),
      verb: 'link it',
    },
    busy: 'Linking',
    run: (api, values) => approve(api, id, values),
  });
}

async function approve(api: Api, id: string, values: Values): Promise<Outcome> {
  const { user = '', name = '', role = NO_ROLE, place = EVERYWHERE } = values;
  const made = await changeAsAdmin(api, {
    method: 'POST',
    path: `/v1/pairings/${id}/approve`,
    body: {
      ...(user === NEW ? { newUser: { name } } : { userId: user }),
      ...(role === NO_ROLE ? {} : { role }),
      ...(role === NO_ROLE || place === EVERYWHERE ? {} : { workspaceId: place }),
    },
    schema: ApprovedPairingSchema,
  });
  const given = made.role === null ? '' : `, ${made.role.role} there`;
  return { words: `Linked: it is ${plainLine(made.user.name)}${given}.`, next: 'back' };
}

function refuseAction({ id, subject }: Pairing): Action {
  return doing({
    key: 'x',
    label: 'refuse',
    ask: {
      title: `Refuse ${subject}`,
      words: ['Nobody is linked, and the token is worth nothing any more.'],
      fields: [],
      confirm: PRESS,
      verb: 'refuse it',
    },
    busy: 'Refusing',
    run: async (api): Promise<Outcome> => {
      const path = `/v1/pairings/${id}/refuse`;
      await changeAsAdmin(api, { method: 'POST', path, schema: PairingSchema });
      return { words: 'Refused: nobody is linked.', next: 'back' };
    },
  });
}
