import type { AgentGrant } from './grant.ts';
import type { DefinitionContent } from './schema/definition.ts';
import type { AgentSpec, SpawnRequest } from './schema/spawn.ts';

/** `reviewer` is the newest version, `reviewer@3` that one. */
export const DEFINITION_REFERENCE = /^([a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)(?:@([1-9]\d{0,8}))?$/;

export interface DefinitionReference {
  readonly slug: string;
  /** Null for the newest. */
  readonly version: number | null;
}

export function parseReference(text: string): DefinitionReference | null {
  const [, slug, version] = DEFINITION_REFERENCE.exec(text) ?? [];
  if (slug === undefined) return null;
  return { slug, version: version === undefined ? null : Number(version) };
}

/** `refused`: the request asks for more than the definition gives. */
export type SpecOfDefinition =
  | { readonly kind: 'spec'; readonly spec: AgentSpec }
  | { readonly kind: 'refused'; readonly field: string; readonly why: string };

/** Fields of a request that a definition fixes: whoever may spawn it may not change what it can reach or run. */
const FIXED = [
  'command',
  'env',
  'secretRefs',
  'model',
  'models',
  'memory',
  'egressAllow',
  'tools',
  'hosting',
] as const;

/**
 * What an agent of a definition is made from. The request adds its task after the definition's prompt, may name a folder where
 * the definition names none, may add labels, and may take less: fewer grants, lower limits.
 */
export function specOfDefinition(
  content: DefinitionContent,
  request: SpawnRequest,
): SpecOfDefinition {
  const fixed = FIXED.find((field) => request[field] !== undefined);
  if (fixed !== undefined) return refused(fixed, 'is fixed by the definition');
  if (request.type !== undefined && request.type !== content.type) {
    return refused('type', `is ${content.type} in the definition`);
  }
  if (request.workDir !== undefined && content.workDir !== undefined) {
    return refused('workDir', `is ${content.workDir} in the definition`);
  }
  const beyond =
    beyondGrants(content, request) ??
    beyondLimits(content, request) ??
    otherLabel(content, request);
  if (beyond !== null) return beyond;
  const { prompt, ...given } = content;
  const task = [prompt, request.task].filter((text) => text !== undefined).join('\n\n');
  return {
    kind: 'spec',
    spec: {
      ...given,
      ...(task === '' ? {} : { task }),
      ...(request.workDir === undefined ? {} : { workDir: request.workDir }),
      ...(request.grants === undefined ? {} : { grants: request.grants }),
      ...(request.limits === undefined ? {} : { limits: { ...content.limits, ...request.limits } }),
      ...(request.labels === undefined ? {} : { labels: { ...request.labels, ...content.labels } }),
      cols: request.cols ?? content.cols,
      rows: request.rows ?? content.rows,
    },
  };
}

function refused(field: string, why: string): SpecOfDefinition & { readonly kind: 'refused' } {
  return { kind: 'refused', field, why };
}

function beyondGrants(content: DefinitionContent, request: SpawnRequest) {
  const given: readonly AgentGrant[] = content.grants ?? [];
  const extra = request.grants?.find((grant) => !given.includes(grant));
  return extra === undefined ? null : refused('grants', `has no ${extra} in the definition`);
}

function beyondLimits({ limits = {} }: DefinitionContent, request: SpawnRequest) {
  const { idleAction, ...numbers } = request.limits ?? {};
  if (idleAction !== undefined && (limits.idleAction ?? idleAction) !== idleAction) {
    return refused('limits.idleAction', `is ${limits.idleAction} in the definition`);
  }
  const most: Readonly<Record<string, unknown>> = limits;
  for (const [name, value] of Object.entries(numbers)) {
    const max = most[name];
    if (typeof max === 'number' && value !== undefined && value > max) {
      return refused(`limits.${name}`, `is at most ${max} in the definition`);
    }
  }
  return null;
}

function otherLabel({ labels = {} }: DefinitionContent, request: SpawnRequest) {
  const changed = Object.entries(request.labels ?? {}).find(
    ([name, value]) => (labels[name] ?? value) !== value,
  );
  if (changed === undefined) return null;
  return refused(`labels.${changed[0]}`, `is ${labels[changed[0]]} in the definition`);
}
