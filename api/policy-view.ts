import type { z } from 'zod';
import { parseId, type WorkspaceId } from '../domain/id.ts';
import type { PolicyRule } from '../domain/policy.ts';
import type { PolicySchema } from '../domain/schema/policy.ts';
import type { Policy, PolicyVersion } from '../infra/db/queries/policy.ts';
import { digestOf } from '../infra/digest.ts';
import { DEFAULT_CEDAR } from '../infra/policy/default-policy.ts';

type View = z.input<typeof PolicySchema>;

export function versionView(policy: PolicyVersion): Omit<View, 'text' | 'rules'> {
  const { activatedAt, createdAt, id, workspaceId } = policy;
  return {
    id: parseId('policy', id),
    workspaceId: parseId('workspace', workspaceId),
    version: policy.version,
    engine: policy.engine,
    digest: policy.digest,
    note: policy.note,
    active: activatedAt !== null,
    createdBy: policy.createdBy,
    createdAt: createdAt.toISOString(),
    activatedBy: policy.activatedBy,
    activatedAt: activatedAt?.toISOString() ?? null,
  };
}

export function policyView(policy: Policy): View {
  return { ...versionView(policy), text: policy.text, rules: policy.rules.map(ruleView) };
}

function ruleView(rule: PolicyRule) {
  return { ...rule, actions: listView(rule.actions), principals: listView(rule.principals) };
}

function listView<T>(list: readonly T[] | null): T[] | null {
  return list === null ? null : [...list];
}

/** Of a workspace without a version of its own: what the built-in policy says, as a text to begin with. */
export function builtInView(workspaceId: WorkspaceId): View {
  return {
    id: null,
    workspaceId,
    version: 0,
    engine: 'built-in',
    digest: digestOf({ engine: 'built-in', text: '' }),
    note: '',
    active: true,
    createdBy: null,
    createdAt: null,
    activatedBy: null,
    activatedAt: null,
    text: DEFAULT_CEDAR,
    rules: [],
  };
}
