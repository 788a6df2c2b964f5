import { z } from 'zod';
import { ROLES, type RoleBinding } from '../../../domain/principal.ts';
import { RoleBindingSchema } from '../../../domain/schema/role-binding.ts';
import { IdentitySchema, UserSchema } from '../../../domain/schema/user.ts';
import { WorkspaceSchema } from '../../../domain/schema/workspace.ts';
import { plainLine } from '../../text.ts';
import type { Action, Model, Page, Row } from '../model.ts';
import {
  cell,
  changeAsAdmin,
  doing,
  fact,
  opening,
  optionOf,
  PRESS,
  timeCell,
  timeFact,
  to,
  typing,
} from './part.ts';
import type { User } from './users.ts';

type Binding = z.output<typeof RoleBindingSchema>;
type Identity = z.output<typeof IdentitySchema>;
type Workspace = z.output<typeof WorkspaceSchema>;

export interface UserParts {
  readonly user: User;
  readonly bindings: readonly Binding[];
  readonly identities: readonly Identity[];
  readonly workspaces: readonly Workspace[];
}

export const userPage: Page = {
  title: 'User',
  listener: 'admin',
  events: [],
  pollMs: 15_000,
  load: async (api, { id = '' }) => {
    const admin = api.admin();
    const path = `/v1/users/${encodeURIComponent(id)}`;
    const [user, bindings, identities, workspaces] = await Promise.all([
      admin.get(path, UserSchema),
      admin.get(`${path}/role-bindings`, listOf(RoleBindingSchema)),
      admin.get(`${path}/identities`, listOf(IdentitySchema)),
      admin.list({ path: '/v1/workspaces', item: WorkspaceSchema, limit: 1_000 }),
    ]);
    return userModel({
      user,
      bindings: bindings.items.filter(({ revokedAt }) => revokedAt === null),
      identities: identities.items.filter(({ unlinkedAt }) => unlinkedAt === null),
      workspaces,
    });
  },
};

function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item) });
}

export function userModel({ user, bindings, identities, workspaces }: UserParts): Model {
  const { id, name, disabledAt, createdBy, createdAt } = user;
  const slugs = new Map<string, string>(workspaces.map((each) => [each.id, each.slug]));
  return {
    title: plainLine(name),
    blocks: [
      ...fact('User', id),
      ...fact(
        'State',
        disabledAt === null ? 'active' : 'disabled: refused by whatever means',
        disabledAt === null ? 'good' : 'bad',
      ),
      ...fact('Made by', createdBy),
      ...timeFact('Made', createdAt),
    ],
    table: {
      columns: [
        { title: 'WHAT' },
        { title: 'VALUE', cut: true },
        { title: 'WHERE', cut: true },
        { title: 'SINCE', drop: 1 },
        { title: 'BY', cut: true, drop: 0 },
      ],
      rows: [
        ...bindings.map((binding) => bindingRow(binding, { name, slugs })),
        ...identities.map((identity) => identityRow(identity, name)),
      ],
      empty: [
        'No role and no way to be recognised.',
        '',
        'g gives a role. A chat account is linked under Pairing, a certificate by enrolling.',
      ],
    },
    actions: [
      grantAction(user, workspaces),
      opening('e', 'why not?', to('explain', { user: id, name })),
      switchAction(user),
    ],
  };
}

interface Named {
  readonly name: string;
  readonly slugs: ReadonlyMap<string, string>;
}

function bindingRow(binding: Binding, { name, slugs }: Named): Row {
  const { id, role, place, createdAt, createdBy } = binding;
  const where = placeWords(place, slugs);
  return {
    id,
    cells: [
      cell('role', 'dim'),
      cell(role, 'strong'),
      cell(where),
      timeCell(createdAt),
      cell(createdBy, 'dim'),
    ],
    actions: [
      doing({
        key: 'x',
        label: 'revoke',
        ask: {
          title: 'Revoke a role',
          words: [`Takes ${role} (${where}) from ${plainLine(name)}, at once.`],
          fields: [],
          confirm: typing('revoke'),
          verb: 'take it back',
        },
        busy: 'Revoking',
        run: async (api) => {
          const path = `/v1/role-bindings/${id}`;
          await changeAsAdmin(api, { method: 'DELETE', path, schema: RoleBindingSchema });
          return { words: `${plainLine(name)} is ${role} no more (${where}).` };
        },
      }),
    ],
  };
}

export function placeWords(
  place: RoleBinding['place'] | Binding['place'],
  slugs: Named['slugs'],
): string {
  if (place.kind === 'installation') return 'everywhere';
  const workspace = slugs.get(place.workspaceId) ?? place.workspaceId;
  if (place.kind === 'workspace') return `workspace ${workspace}`;
  if (place.kind === 'context') return `context ${place.contextId} in ${workspace}`;
  return `${place.kind} ${plainLine(place.name)} in ${workspace}`;
}

function identityRow(
  { id, kind, issuer, subject, displayName, linkedAt, linkedBy }: Identity,
  name: string,
): Row {
  const shown = displayName === '' ? subject : `${subject}  ${displayName}`;
  return {
    id,
    cells: [
      cell(kind, 'dim'),
      cell(shown),
      cell(issuer, 'dim'),
      timeCell(linkedAt),
      cell(linkedBy, 'dim'),
    ],
    actions: [
      doing({
        key: 'x',
        label: 'unlink',
        ask: {
          title: 'Unlink',
          words: [`${kind} ${plainLine(shown)} is no longer ${plainLine(name)}, at once.`],
          fields: [],
          confirm: typing('unlink'),
          verb: 'unlink it',
        },
        busy: 'Unlinking',
        run: async (api) => {
          const path = `/v1/identities/${id}`;
          await changeAsAdmin(api, { method: 'DELETE', path, schema: IdentitySchema });
          return { words: `Unlinked: nobody is recognised by ${kind} ${plainLine(subject)} now.` };
        },
      }),
    ],
  };
}

function grantAction({ id, name }: User, workspaces: readonly Workspace[]): Action {
  return doing({
    key: 'g',
    label: 'grant a role',
    ask: {
      title: `A role for ${plainLine(name)}`,
      words: ['Never above your own at that place.'],
      fields: [
        {
          name: 'place',
          label: 'Where',
          kind: 'choice',
          options: [
            ...workspaces.map(({ id: value, slug }) => ({ value, label: `workspace ${slug}` })),
            { value: 'installation', label: 'everywhere' },
          ],
        },
        { name: 'role', label: 'Role', kind: 'choice', options: ROLES.toReversed().map(optionOf) },
      ],
      confirm: PRESS,
      verb: 'give this role',
    },
    busy: 'Giving the role',
    run: async (api, { place = '', role = '' }) => {
      const where =
        place === 'installation' ? { kind: place } : { kind: 'workspace', workspaceId: place };
      const path = `/v1/users/${id}/role-bindings`;
      const body = { role, place: where };
      await changeAsAdmin(api, { method: 'POST', path, body, schema: RoleBindingSchema });
      return { words: `${plainLine(name)} is ${role} there now.` };
    },
  });
}

function switchAction({ id, name, disabledAt }: User): Action {
  const isDisabled = disabledAt !== null;
  return doing({
    key: 'D',
    label: isDisabled ? 'enable' : 'disable',
    ask: {
      title: `${isDisabled ? 'Enable' : 'Disable'} ${plainLine(name)}`,
      words: isDisabled
        ? ['Lets this user in again, with the roles that are listed.']
        : ['Refused from now on, by whatever is shown: keys, sessions, certificates, chats.'],
      fields: [],
      confirm: isDisabled ? PRESS : typing('disable'),
      verb: isDisabled ? 'let in again' : 'disable this user',
    },
    busy: isDisabled ? 'Enabling' : 'Disabling',
    run: async (api) => {
      const path = `/v1/users/${id}/${isDisabled ? 'enable' : 'disable'}`;
      await changeAsAdmin(api, { method: 'POST', path, schema: UserSchema });
      return { words: `${plainLine(name)} is ${isDisabled ? 'active again' : 'disabled'}.` };
    },
  });
}
