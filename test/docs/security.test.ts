import { expect, test } from 'vitest';
import { isUserAccess } from '../../api/route.ts';
import { routes } from '../../api/routes/index.ts';
import { RISKS, ROLE_FOR_RISK } from '../../domain/approval.ts';
import { CHAT_SCOPES, ROLES, SCOPES, type Role, type Scope } from '../../domain/principal.ts';
import { readDocuments } from './documents.ts';

const text = readDocuments().find(({ path }) => path === 'docs/security.md')?.text ?? '';

/** The rows of the table whose first head is `head`, each as its cells. */
function tableOf(head: string): readonly (readonly string[])[] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => new RegExp(`^\\| ${head} +\\|`).test(line));
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** What a scope opens at the least; typing at a terminal is the one scope that opens no route of its own. */
function leastRoleOf(scope: Scope): Role {
  const roles = routes.flatMap(({ access }) =>
    isUserAccess(access) && access.scope === scope ? [access.role] : [],
  );
  return ROLES.findLast((role) => roles.includes(role)) ?? 'operator';
}

/** Beside a scope that nobody has who writes in a chat. */
const MARK = ' ‡';

test('the roles are told in the order of their power', () => {
  expect(text).toContain(ROLES.map((role) => `\`${role}\``).join(', '));
});

test('every scope is told, with the least role that its routes want', () => {
  const rows = tableOf('scope');
  const told = Object.fromEntries(
    rows.map(([scope = '', role]) => [scope.replace(MARK, ''), role]),
  );
  expect(rows).toHaveLength(SCOPES.length);
  expect(told).toEqual(
    Object.fromEntries(SCOPES.map((scope) => [`\`${scope}\``, leastRoleOf(scope)])),
  );
});

test('what chat does not have is marked', () => {
  const marked = tableOf('scope').flatMap(([scope = '']) =>
    scope.endsWith(MARK) ? [scope.replaceAll(/[` ‡]/g, '')] : [],
  );
  expect(marked.toSorted()).toEqual(
    SCOPES.filter((scope) => !CHAT_SCOPES.includes(scope)).toSorted(),
  );
});

test('only typing has a scope without a route', () => {
  const used = new Set(
    routes.flatMap(({ access }) => (isUserAccess(access) ? [access.scope] : [])),
  );
  expect(SCOPES.filter((scope) => !used.has(scope))).toEqual(['terminal:write']);
});

test('the role for each risk is the one that decides', () => {
  const told = tableOf('risk').map(([risk, , role]) => [risk, role]);
  expect(told.length).toBeGreaterThan(0);
  const real = RISKS.filter((risk) => told.some(([name]) => name === risk));
  expect(told).toEqual(real.map((risk) => [risk, ROLE_FOR_RISK[risk]]));
});
