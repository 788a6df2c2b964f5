import type { AgentType } from '../domain/agent.ts';
import { parseReference, specOfDefinition } from '../domain/definition.ts';
import { AppError } from '../domain/error.ts';
import { resolveLimits, type AgentLimits, type ResolvedLimits } from '../domain/limit.ts';
import { capabilitiesOf } from '../domain/registry.ts';
import type { DefinitionContent } from '../domain/schema/definition.ts';
import { AgentSpecSchema, type AgentSpec, type SpawnRequest } from '../domain/schema/spawn.ts';
import { underSettings } from './spawn-settings.ts';
import { unaskedArgument } from '../domain/spawn.ts';
import { findDefinition } from '../infra/db/queries/definition.ts';
import { getWorkspaceLimits } from '../infra/db/queries/limit.ts';
import { getSettings } from '../infra/db/queries/setting.ts';
import type { Executor } from '../infra/db/schema.ts';

/** What the agents of a spawn are made from, as it is kept in their rows. */
export interface SpawnPlan {
  readonly spec: AgentSpec;
  readonly origins: ResolvedLimits['origins'];
  readonly capabilities: readonly string[];
  readonly definition: {
    readonly id: string;
    readonly version: number;
    readonly name: string;
  } | null;
}

/** People stay in charge: a CLI that does not ask cannot be spawned. */
export function checkArguments({
  type,
  command = [],
}: {
  readonly type: AgentType;
  readonly command?: readonly string[] | undefined;
}): void {
  const unasked = unaskedArgument(type, command);
  if (unasked === null) return;
  throw new AppError(
    'policy_denied',
    `With ${unasked} ${type} would act without asking anybody. Leave it out.`,
  );
}

/** The definition's version is looked up and every limit resolved now: what is planned is what the agents keep. */
export async function planSpawn(
  db: Executor,
  {
    workspaceId,
    contextId = null,
    body,
    ceilings,
  }: {
    readonly workspaceId: string;
    readonly contextId?: string | null;
    readonly body: SpawnRequest;
    /** The configuration's. */
    readonly ceilings: AgentLimits;
  },
): Promise<SpawnPlan> {
  const found = await definitionOf(db, { workspaceId, reference: body.definition });
  const asked = found === null ? specOfRequest(body) : narrowed(found, body);
  const { effective } = await getSettings(db, { workspaceId, contextId });
  const given = underSettings(asked, effective);
  checkArguments(given);
  const { limits: workspace } = await getWorkspaceLimits(db, workspaceId);
  const { limits, origins } = resolveLimits({
    configuration: ceilings,
    workspace: workspace.agent ?? {},
    definition: found?.content.limits ?? {},
    spawn: body.limits ?? {},
  });
  return {
    spec: { ...given, limits: { ...given.limits, ...limits } },
    origins,
    capabilities: capabilitiesOf(given),
    definition: found === null ? null : { id: found.id, version: found.version, name: found.name },
  };
}

interface FoundDefinition {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly content: DefinitionContent;
}

async function definitionOf(
  db: Executor,
  query: { readonly workspaceId: string; readonly reference: string | undefined },
): Promise<FoundDefinition | null> {
  if (query.reference === undefined) return null;
  const reference = parseReference(query.reference);
  const found =
    reference === null
      ? null
      : await findDefinition(db, { workspaceId: query.workspaceId, ...reference });
  if (found === null) {
    throw new AppError(
      'not_found',
      `There is no definition ${query.reference} here, or it is archived.`,
    );
  }
  const { definition, version } = found;
  return {
    id: definition.id,
    name: definition.slug,
    version: version.version,
    content: version.content,
  };
}

function specOfRequest(body: SpawnRequest): AgentSpec {
  return AgentSpecSchema.parse(body);
}

function narrowed({ name, version, content }: FoundDefinition, body: SpawnRequest): AgentSpec {
  const result = specOfDefinition(content, body);
  if (result.kind === 'refused') {
    throw new AppError(
      'policy_denied',
      `\`${result.field}\` ${result.why} ${name}@${version}. Leave it out, or make a new version of the definition.`,
    );
  }
  const parsed = AgentSpecSchema.safeParse(result.spec);
  if (parsed.success) return parsed.data;
  // Each part is within its bounds; only the prompt and the task together can be too long.
  throw new AppError('invalid_input', 'The task is too long after the prompt of the definition.');
}
