import { AppError } from '../domain/error.ts';
import type { AgentSpec } from '../domain/schema/spawn.ts';
import { AgentSpecSchema } from '../domain/schema/spawn.ts';
import { commonPatterns, matchesAny, type ResolvedSettings } from '../domain/setting.ts';

/**
 * What is asked for, within what its workspace and context allow: fewer tools and models, the model for those that
 * name none, no notes where there are to be none, and what all agents there are told before the task.
 */
export function underSettings(asked: AgentSpec, settings: ResolvedSettings): AgentSpec {
  const { systemPrompt, tools, models, model, memory } = settings;
  const chosen = asked.model ?? model.value ?? undefined;
  if (chosen !== undefined && models.value !== null && !matchesAny(models.value, chosen)) {
    throw new AppError(
      'policy_denied',
      `The model ${chosen} is not allowed here (${models.value.join(', ') || 'none is'}).`,
    );
  }
  const task = [systemPrompt.value ?? undefined, asked.task].filter((text) => text !== undefined);
  const parsed = AgentSpecSchema.safeParse({
    ...asked,
    ...(task.length === 0 ? {} : { task: task.join('\n\n') }),
    ...within('tools', tools.value, asked.tools),
    ...within('models', models.value, asked.models),
    ...(chosen === undefined ? {} : { model: chosen }),
    ...(memory.value ? {} : { memory: false }),
  });
  if (parsed.success) return parsed.data;
  // Each part is within its bounds; only the texts together can be too long.
  throw new AppError(
    'invalid_input',
    'The task is too long after the instructions of its context.',
  );
}

function within(
  name: 'tools' | 'models',
  allowed: readonly string[] | null,
  asked: readonly string[] | undefined,
) {
  if (allowed === null) return {};
  return { [name]: asked === undefined ? allowed : commonPatterns(allowed, asked) };
}
