import { randomUUID } from 'node:crypto';
import { AppError } from '../domain/error.ts';
import type { EventType } from '../domain/event.ts';
import { parseId, type ContextId, type WorkspaceId } from '../domain/id.ts';
import type { Settings } from '../domain/setting.ts';
import type { ContextKind } from '../domain/context.ts';
import {
  archiveContext,
  createContext,
  getContext,
  renameContext,
  switchHub,
  type ChatSpot,
  type WorkContext,
} from '../infra/db/queries/context.ts';
import { appendRecord } from '../infra/db/queries/event.ts';
import { getSettings, putSettings, type SettingsPlace } from '../infra/db/queries/setting.ts';
import { sha256Hex } from '../infra/digest.ts';
import type { Executor } from '../infra/db/schema.ts';
import { requireAt } from './target.ts';
import type { Change } from './user.ts';

export async function requireContext(db: Executor, id: string): Promise<WorkContext> {
  const context = await getContext(db, id);
  if (context !== null && context.archivedAt === null) return context;
  throw new AppError('not_found', 'There is no such context, or it is archived.');
}

export interface NewContext {
  readonly id: ContextId;
  readonly workspaceId: WorkspaceId;
  readonly slug: string;
  readonly name: string;
  readonly kind: ContextKind;
  readonly spot: ChatSpot | null;
}

export async function makeContext(
  { tx, caller }: Change,
  context: NewContext,
): Promise<WorkContext> {
  await requireConnector(tx, context.spot);
  const made = await createContext(tx, { ...context, createdBy: caller.id });
  if (made.kind === 'taken') {
    throw new AppError(
      'conflict',
      `There is a context with the slug ${context.slug} here, or the chat is bound already.`,
    );
  }
  if (made.context.slug !== context.slug) {
    throw new AppError('conflict', 'This Idempotency-Key was used for another context.');
  }
  if (made.kind === 'created') {
    const change = { before: null, after: shown(made.context) };
    await recordContext({ tx, caller }, { type: 'context.created', context: made.context, change });
  }
  return made.context;
}

async function requireConnector(tx: Executor, spot: ChatSpot | null): Promise<void> {
  if (spot === null) return;
  const found = await tx
    .selectFrom('connector')
    .select('id')
    .where('id', '=', spot.connectorId)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  if (found === undefined) throw new AppError('not_found', 'There is no such connector.');
}

export async function changeContext(
  { tx, caller }: Change,
  { id, name }: { readonly id: ContextId; readonly name: string },
): Promise<WorkContext> {
  const before = await requireContext(tx, id);
  if (before.name === name) return before;
  await renameContext(tx, { id, name });
  const context = await requireContext(tx, id);
  const change = { before: shown(before), after: shown(context) };
  await recordContext({ tx, caller }, { type: 'context.changed', context, change });
  return context;
}

export async function closeContext({ tx, caller }: Change, id: ContextId): Promise<WorkContext> {
  const before = await getContext(tx, id);
  if (before === null) throw new AppError('not_found', 'There is no such context.');
  if (await archiveContext(tx, id)) {
    const change = { before: shown(before), after: null };
    await recordContext({ tx, caller }, { type: 'context.archived', context: before, change });
  }
  return (await getContext(tx, id)) ?? before;
}

/** Approvals of the whole workspace are shown there, so an admin of one context is not enough. */
export async function makeHub({ tx, caller }: Change, id: ContextId): Promise<WorkContext> {
  const context = await requireContext(tx, id);
  requireAt(caller, 'setHub', { workspaceId: context.workspaceId });
  if (context.connectorId === null || context.kind === 'dm') {
    throw new AppError('conflict', 'Only a chat of several people can be the admin hub.');
  }
  const before = await switchHub(tx, context);
  if (before?.id === id) return before;
  const now = await requireContext(tx, id);
  const change = {
    before: { hub: before?.id ?? null, kind: context.kind },
    after: { hub: id, kind: now.kind },
  };
  await recordContext({ tx, caller }, { type: 'context.changed', context: now, change });
  return now;
}

export async function changeSettings(
  { tx, caller }: Change,
  { settings, ...place }: SettingsPlace & { readonly settings: Settings },
) {
  if (place.contextId !== null) await requireContext(tx, place.contextId);
  const before = await putSettings(tx, { ...place, settings });
  const subjectId = place.contextId ?? place.workspaceId;
  const change = { before: shownSettings(before), after: shownSettings(settings) };
  if (JSON.stringify(change.before) !== JSON.stringify(change.after)) {
    await recordIn(
      { tx, caller },
      { type: 'settings.changed', workspaceId: place.workspaceId, subjectId, change },
    );
  }
  return viewSettings(tx, place);
}

/** What was said at a place, and what holds there. */
export async function viewSettings(db: Executor, place: SettingsPlace) {
  const { workspace, context, effective } = await getSettings(db, place);
  const { tools, models } = effective;
  const own = place.contextId === null ? workspace : context;
  return {
    own: {
      ...own,
      tools: own.tools === undefined ? undefined : [...own.tools],
      models: own.models === undefined ? undefined : [...own.models],
    },
    effective: {
      ...effective,
      tools: { ...tools, value: tools.value === null ? null : [...tools.value] },
      models: { ...models, value: models.value === null ? null : [...models.value] },
    },
  };
}

/** Texts are for their readers: the log says whether they changed. */
function shownSettings({ systemPrompt, ...settings }: Settings) {
  if (systemPrompt === undefined) return settings;
  return { ...settings, systemPromptDigest: sha256Hex(systemPrompt) };
}

function shown({ slug, name, kind, connectorId, chatId, threadId }: WorkContext) {
  return { slug, name, kind, connectorId, chatId, threadId };
}

type BeforeAfter = Readonly<Record<'before' | 'after', unknown>>;

function recordContext(
  change: Change,
  what: { readonly type: EventType; readonly context: WorkContext; readonly change: BeforeAfter },
): Promise<void> {
  const { id, workspaceId } = what.context;
  return recordIn(change, { ...what, workspaceId, subjectId: id });
}

interface RecordedIn {
  readonly type: EventType;
  readonly workspaceId: string;
  readonly subjectId: string;
  readonly change: BeforeAfter;
}

async function recordIn(
  { tx, caller }: Change,
  { type, workspaceId, subjectId, change }: RecordedIn,
): Promise<void> {
  const key = `${subjectId}:${type}:${randomUUID()}`;
  await appendRecord(tx, {
    workspaceId,
    events: [{ key, type, subjectId, data: { by: caller.id } }],
    audits: [
      {
        key,
        actorKind: 'user',
        actorId: caller.id,
        action: type,
        subjectId,
        detail: { via: caller.via, keyId: caller.keyId, ...change },
      },
    ],
  });
}

export function contextView(context: WorkContext) {
  const { connectorId, chatId, threadId, seq: _seq, ...rest } = context;
  return {
    ...rest,
    id: parseId('context', context.id),
    workspaceId: parseId('workspace', context.workspaceId),
    chat:
      connectorId === null || chatId === null
        ? null
        : { connectorId: parseId('connector', connectorId), chatId, threadId },
    createdAt: context.createdAt.toISOString(),
    archivedAt: context.archivedAt?.toISOString() ?? null,
  };
}
