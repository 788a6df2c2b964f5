import type { z } from 'zod';
import { UserSchema } from '../../../domain/schema/user.ts';
import type { Model, Page, Row } from '../model.ts';
import { cell, changeAsAdmin, doing, PRESS, timeCell, to } from './part.ts';

export type User = z.output<typeof UserSchema>;

const ROWS_MAX = 5_000;

export const usersPage: Page = {
  title: 'Users',
  listener: 'admin',
  events: [],
  pollMs: 15_000,
  load: async (api) =>
    usersModel(await api.admin().list({ path: '/v1/users', item: UserSchema, limit: ROWS_MAX })),
};

export function usersModel(users: readonly User[]): Model {
  return {
    title: 'Users',
    blocks: [],
    table: {
      columns: [
        { title: 'NAME', cut: true },
        { title: 'STATE' },
        { title: 'MADE', drop: 1 },
        { title: 'BY', cut: true, drop: 0 },
        { title: 'ID', drop: 2 },
      ],
      rows: users.map(rowOf),
      empty: [
        'No users yet.',
        '',
        'n makes one. He may do nothing until he is given a role: open him, then g.',
      ],
    },
    actions: [
      doing({
        key: 'n',
        label: 'new user',
        ask: {
          title: 'New user',
          words: ['Somebody who may do nothing yet: give him a role, and a way to be recognised.'],
          fields: [{ name: 'name', label: 'Name', kind: 'text', hint: 'for lists and the audit' }],
          confirm: PRESS,
          verb: 'make the user',
        },
        busy: 'Making the user',
        run: async (api, { name = '' }) => {
          const path = '/v1/users';
          const user = await changeAsAdmin(api, {
            method: 'POST',
            path,
            body: { name },
            schema: UserSchema,
          });
          return {
            words: `${user.name} is made; now give a role.`,
            next: { open: to('user', { id: user.id }) },
          };
        },
      }),
    ],
  };
}

function rowOf({ id, name, disabledAt, createdAt, createdBy }: User): Row {
  return {
    id,
    cells: [
      cell(name),
      disabledAt === null ? cell('active', 'good') : cell('disabled', 'bad'),
      timeCell(createdAt),
      cell(createdBy, 'dim'),
      cell(id, 'dim'),
    ],
    open: to('user', { id }),
  };
}
