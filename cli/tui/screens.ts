import type { PageName } from './model.ts';

export const SCREENS = [
  'approvals',
  'agents',
  'workspaces',
  'users',
  'pairing',
  'connectors',
  'policy',
  'audit',
  'access',
] as const;
export type ScreenName = (typeof SCREENS)[number];

interface Screen {
  readonly label: string;
  readonly page: PageName;
  /** For the help. */
  readonly about: string;
}

export const SCREEN: Readonly<Record<ScreenName, Screen>> = {
  approvals: { label: 'Approvals', page: 'approvals', about: 'what waits for a decision' },
  agents: { label: 'Agents', page: 'agents', about: 'agents, their screens, attach' },
  workspaces: { label: 'Workspaces', page: 'workspaces', about: 'workspaces, contexts, settings' },
  users: { label: 'Users', page: 'users', about: 'people, their roles, and why not' },
  pairing: { label: 'Pairing', page: 'pairings', about: 'link a chat account to a person' },
  connectors: { label: 'Connectors', page: 'connectors', about: 'chat networks and their secrets' },
  policy: { label: 'Policy', page: 'policies', about: 'versions, difference, dry run, activate' },
  audit: { label: 'Audit', page: 'audit', about: 'who did what, and whether it is whole' },
  access: { label: 'Access', page: 'access', about: 'this connection, certificates, enrolment' },
};
