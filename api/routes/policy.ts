import { z } from 'zod';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { PolicyIdSchema } from '../../domain/schema/id.ts';
import { PageQuery, pageOf } from '../../domain/schema/page.ts';
import {
  ActivatePolicySchema,
  CheckedPolicySchema,
  CheckPolicySchema,
  DryRunPolicySchema,
  PolicyDecisionSchema,
  PolicyDiffQuery,
  PolicyDiffSchema,
  PolicyDryRunSchema,
  PolicySchema,
  PolicyVersionSchema,
  ProposedPolicySchema,
  ProposePolicySchema,
  TestPolicySchema,
} from '../../domain/schema/policy.ts';
import { listPolicies } from '../../infra/db/queries/policy.ts';
import { readAside } from '../../infra/policy/aside.ts';
import { decideAll } from '../../infra/policy/trial.ts';
import { decodeCursor, pageFrom } from '../cursor.ts';
import { activate, diffOf, dryRun, findPolicy, findVersion, propose } from '../policy.ts';
import { builtInView, policyView, versionView } from '../policy-view.ts';
import { repeatableId } from '../repeatable-id.ts';
import { route } from '../route.ts';

const ByWorkspace = z.strictObject({ workspace: z.string() });
const ByPolicy = z.strictObject({ policy: PolicyIdSchema });
const OF_WORKSPACE = { kind: 'workspace', param: 'workspace' } as const;
const OF_POLICY = { kind: 'policy', param: 'policy' } as const;

export const policyRoutes = [
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/policy',
    name: 'getActivePolicy',
    summary:
      'The policy that holds in a workspace. Where it has none of its own: the built-in one, as a text to begin with.',
    rate: 'read',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    response: { status: 200, json: PolicySchema },
    handler: async ({ workspaceId }, { db }) => {
      const id = parseId('workspace', workspaceId);
      const policy = await findVersion(db, { workspaceId: id, version: undefined });
      return { body: policy === null ? builtInView(id) : policyView(policy) };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workspaces/{workspace}/policies',
    name: 'listPolicies',
    summary: 'Versions of the policy of a workspace, oldest first, without their texts.',
    rate: 'read',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    query: PageQuery,
    response: { status: 200, json: pageOf(PolicyVersionSchema) },
    handler: async ({ workspaceId, query }, { db }) => {
      const found = await listPolicies(db, {
        workspaceId: workspaceId ?? '',
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      });
      const { rows, next } = pageFrom(found, query.limit);
      return { body: { items: rows.map(versionView), next } };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/policies',
    name: 'proposePolicy',
    listener: 'admin',
    summary:
      'Keeps a policy as a version, once it was found good. It decides nothing until it is activated.',
    rate: 'write',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    body: ProposePolicySchema,
    response: { status: 201, json: ProposedPolicySchema },
    handler: async ({ workspaceId, caller, body, idempotencyKey }, deps) => {
      const at = parseId('workspace', workspaceId);
      const id = repeatableId('policy', [at, caller.id, idempotencyKey]);
      const made = await propose(deps, caller, { ...body, id, workspaceId: at });
      const view = { policy: policyView(made.policy), warnings: [...made.warnings] };
      return { body: view, status: made.isNew ? 201 : 200 };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/policies/check',
    name: 'checkPolicy',
    listener: 'admin',
    summary: 'Says what is wrong with a text in Cedar, and where. Nothing is kept.',
    rate: 'write',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    body: CheckPolicySchema,
    response: { status: 200, json: CheckedPolicySchema },
    handler: async ({ body }) => {
      const { rules, problems } = await readAside(body.text);
      const valid = !problems.some(({ severity }) => severity === 'error');
      return { body: CheckedPolicySchema.parse({ valid, problems, rules }) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workspaces/{workspace}/policies/test',
    name: 'testPolicy',
    listener: 'admin',
    summary:
      'What a version answers to a request that you make up. Nothing is kept, nobody is told.',
    rate: 'write',
    target: OF_WORKSPACE,
    params: ByWorkspace,
    body: TestPolicySchema,
    response: { status: 200, json: PolicyDecisionSchema },
    handler: async ({ workspaceId, body }, { db, opa = null }) => {
      const at = parseId('workspace', workspaceId);
      const policy = await findVersion(db, { workspaceId: at, version: body.version });
      const [decision] = await decideAll({ policy, opa }, [{ ...body.request, workspaceId: at }]);
      if (decision === undefined) throw new AppError('internal', 'It was not decided.');
      return { body: decision };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/policies/{policy}',
    name: 'getPolicy',
    summary: 'One version of a policy, with its text and what was read from it.',
    rate: 'read',
    target: OF_POLICY,
    params: ByPolicy,
    response: { status: 200, json: PolicySchema },
    handler: async ({ params }, { db }) => ({
      body: policyView(await findPolicy(db, params.policy)),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/policies/{policy}/diff',
    name: 'diffPolicy',
    summary: 'What differs between a version and another one, or the one that holds.',
    rate: 'read',
    target: OF_POLICY,
    params: ByPolicy,
    query: PolicyDiffQuery,
    response: { status: 200, json: PolicyDiffSchema },
    handler: async ({ params, query }, { db }) => {
      const policy = await findPolicy(db, params.policy);
      const { workspaceId } = policy;
      const against = await findVersion(db, { workspaceId, version: query.against });
      return { body: diffOf(against, policy) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/policies/{policy}/dry-run',
    name: 'dryRunPolicy',
    listener: 'admin',
    summary:
      'What of the latest requests would be answered otherwise, if this version took the place of the one that holds.',
    rate: 'write',
    target: OF_POLICY,
    params: ByPolicy,
    body: DryRunPolicySchema,
    response: { status: 200, json: PolicyDryRunSchema },
    handler: async ({ params, body }, deps) => ({
      body: await dryRun(deps, { policyId: params.policy, last: body.last }),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/policies/{policy}/activate',
    name: 'activatePolicy',
    listener: 'admin',
    summary:
      'Makes a version hold, also an older one. Once this is answered, every decision that begins is made by it.',
    rate: 'write',
    target: OF_POLICY,
    params: ByPolicy,
    body: ActivatePolicySchema,
    response: { status: 200, json: PolicySchema },
    handler: async ({ params, caller }, deps) => ({
      body: policyView(await activate(deps, caller, params.policy)),
    }),
  }),
];
