import type { Page, PageName } from '../model.ts';
import { accessPage } from './access.ts';
import { agentPage } from './agent.ts';
import { agentsPage } from './agents.ts';
import { approvalPage } from './approval.ts';
import { approvalsPage } from './approvals.ts';
import { auditEntryPage, auditPage } from './audit.ts';
import { connectorPage } from './connector.ts';
import { connectorsPage } from './connectors.ts';
import { contextPage } from './context.ts';
import { explainPage } from './explain.ts';
import { pairingPage } from './pairing.ts';
import { pairingsPage } from './pairings.ts';
import { policiesPage } from './policies.ts';
import { policyDiffPage, policyPage } from './policy.ts';
import { standingPage } from './standing.ts';
import { userPage } from './user.ts';
import { usersPage } from './users.ts';
import { settingsPage, workspacePage } from './workspace.ts';
import { workspacesPage } from './workspaces.ts';

/** Every page by its name. */
export const PAGE: Readonly<Record<PageName, Page>> = {
  approvals: approvalsPage,
  approval: approvalPage,
  agents: agentsPage,
  agent: agentPage,
  workspaces: workspacesPage,
  users: usersPage,
  user: userPage,
  explain: explainPage,
  audit: auditPage,
  auditEntry: auditEntryPage,
  access: accessPage,
  pairings: pairingsPage,
  pairing: pairingPage,
  connectors: connectorsPage,
  connector: connectorPage,
  standing: standingPage,
  workspace: workspacePage,
  settings: settingsPage,
  context: contextPage,
  policies: policiesPage,
  policy: policyPage,
  policyDiff: policyDiffPage,
};
