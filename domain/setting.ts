/** Where approvals are shown: in the admin hub only, or also in the direct chats of staff who asked for it. */
export const APPROVAL_ROUTES = ['hub', 'hub_and_staff'] as const;
export type ApprovalRoute = (typeof APPROVAL_ROUTES)[number];

/** What a workspace, or one of its contexts, says itself. What is left out is inherited. */
export interface Settings {
  /** Put before the task of every agent that is spawned there. */
  readonly systemPrompt?: string | undefined;
  /** Names of MCP tools, or their beginnings and `*`: the others are hidden from its agents. */
  readonly tools?: readonly string[] | undefined;
  /** Models that its agents may call, written in the same way. */
  readonly models?: readonly string[] | undefined;
  /** For agents that name none. */
  readonly model?: string | undefined;
  /** Whether its agents keep and read notes. */
  readonly memory?: boolean | undefined;
  readonly approvals?: ApprovalRoute | undefined;
}

/** Which level said it. `both`: what the two of them allow. */
export type SettingOrigin = 'default' | 'workspace' | 'context' | 'both';

export interface Resolved<T> {
  readonly value: T;
  readonly origin: SettingOrigin;
}

/** What holds in a place, each with its origin. Null: nothing is said, which for a list means all. */
export interface ResolvedSettings {
  readonly systemPrompt: Resolved<string | null>;
  readonly tools: Resolved<readonly string[] | null>;
  readonly models: Resolved<readonly string[] | null>;
  readonly model: Resolved<string | null>;
  readonly memory: Resolved<boolean>;
  readonly approvals: Resolved<ApprovalRoute>;
}

/**
 * A context says it otherwise than its workspace, but never allows more: lists of what is allowed are what both of them
 * allow, and notes are kept where neither forbids them.
 */
export function resolveSettings(workspace: Settings, context: Settings): ResolvedSettings {
  return {
    systemPrompt: nearest(workspace.systemPrompt, context.systemPrompt, null),
    tools: both(workspace.tools, context.tools),
    models: both(workspace.models, context.models),
    model: nearest(workspace.model, context.model, null),
    memory:
      workspace.memory === false
        ? { value: false, origin: 'workspace' }
        : nearest(workspace.memory, context.memory, true),
    approvals: nearest(workspace.approvals, context.approvals, 'hub_and_staff'),
  };
}

function nearest<T, D>(
  workspace: T | undefined,
  context: T | undefined,
  otherwise: D,
): Resolved<T | D> {
  if (context !== undefined) return { value: context, origin: 'context' };
  if (workspace !== undefined) return { value: workspace, origin: 'workspace' };
  return { value: otherwise, origin: 'default' };
}

function both(
  workspace: readonly string[] | undefined,
  context: readonly string[] | undefined,
): Resolved<readonly string[] | null> {
  if (workspace === undefined || context === undefined) return nearest(workspace, context, null);
  return { value: commonPatterns(workspace, context), origin: 'both' };
}

/** A name, or the beginning of names and `*`. */
function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matches(pattern, name));
}

/**
 * Patterns of what both lists allow. Two of them are either one within the other or have nothing in common, since the
 * `*` is at the end only.
 */
export function commonPatterns(one: readonly string[], other: readonly string[]): string[] {
  const common = one.flatMap((left) =>
    other.flatMap((right) => {
      if (covers(left, right)) return [right];
      return covers(right, left) ? [left] : [];
    }),
  );
  return [...new Set(common)];
}

/** Whether all that `inner` matches is matched by `outer`. */
function covers(outer: string, inner: string): boolean {
  if (!outer.endsWith('*')) return outer === inner;
  const begin = inner.endsWith('*') ? inner.slice(0, -1) : inner;
  return begin.startsWith(outer.slice(0, -1));
}
