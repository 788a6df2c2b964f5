import { afterAll, expect, test } from 'vitest';
import { showCards } from '../../../api/chat/cards.ts';
import { putSettings } from '../../../infra/db/queries/setting.ts';
import { checkLeaks } from '../../support/leaks.ts';
import { createTestDatabase, makeWorkspace } from '../../support/postgres.ts';
import { makeAgent, makeApproval } from '../../support/records.ts';
import { openTestApi } from '../harness.ts';
import {
  direct,
  inWorkspace,
  makeConnector,
  makeGroup,
  makePerson,
  openChat,
} from './chat-harness.ts';

checkLeaks();
const database = await createTestDatabase();
const { db } = database;
const api = await openTestApi(database);
afterAll(() => api.close());

test('a workspace that shows approvals in its hub alone shows them to nobody in private', async () => {
  const chat = openChat(api);
  const workspaceId = await makeWorkspace(db);
  const connectorId = await makeConnector(db, 'telegram');
  const hub = await makeGroup(db, { workspaceId, connectorId, isHub: true });
  const staff = await makePerson({ db, network: 'telegram' }, [
    inWorkspace('operator', workspaceId),
  ]);
  await chat.told(direct(connectorId, staff), staff, '/notify on');
  const agentId = await makeAgent(db, workspaceId);
  const shownTo = async (): Promise<readonly string[]> => {
    const before = (await chat.posts()).length;
    const { id } = await makeApproval(db, { workspaceId, agentId });
    await showCards(chat.deps, id);
    return (await chat.posts()).slice(before).map(({ to }) => to.chatId);
  };
  expect((await shownTo()).toSorted()).toEqual([hub.chatId, staff.subject].toSorted());
  await db
    .transaction()
    .execute((tx) =>
      putSettings(tx, { workspaceId, contextId: null, settings: { approvals: 'hub' } }),
    );
  expect(await shownTo()).toEqual([hub.chatId]);
});
