import { resolveSettings, type ResolvedSettings, type Settings } from '../../../domain/setting.ts';
import { SettingsSchema } from '../../../domain/schema/setting.ts';
import type { Executor } from '../schema.ts';
import { storableJson } from '../storable.ts';

/** Whose settings: a workspace's own, or those of one of its contexts. */
export interface SettingsPlace {
  readonly workspaceId: string;
  readonly contextId: string | null;
}

export interface FoundSettings {
  readonly workspace: Settings;
  readonly context: Settings;
  readonly effective: ResolvedSettings;
}

/** What was said at each level, and what holds. A context of another workspace says nothing. */
export async function getSettings(
  db: Executor,
  { workspaceId, contextId }: SettingsPlace,
): Promise<FoundSettings> {
  const row = await db
    .selectFrom('workspace as w')
    .leftJoin('context as c', (join) =>
      join.onRef('c.workspace_id', '=', 'w.id').on('c.id', '=', contextId ?? ''),
    )
    .select(['w.settings as workspace', 'c.settings as context'])
    .where('w.id', '=', workspaceId)
    .executeTakeFirst();
  const workspace = SettingsSchema.parse(row?.workspace ?? {});
  const context = SettingsSchema.parse(row?.context ?? {});
  return { workspace, context, effective: resolveSettings(workspace, context) };
}

/** Takes the place of what was said before. Answers that. Idempotent. */
export async function putSettings(
  tx: Executor,
  { workspaceId, contextId, settings }: SettingsPlace & { readonly settings: Settings },
): Promise<Settings> {
  const table = contextId === null ? 'workspace' : 'context';
  const id = contextId ?? workspaceId;
  const before = await tx
    .selectFrom(table)
    .select('settings')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  await tx
    .updateTable(table)
    .set({ settings: storableJson(settings) })
    .where('id', '=', id)
    .execute();
  return SettingsSchema.parse(before?.settings ?? {});
}
