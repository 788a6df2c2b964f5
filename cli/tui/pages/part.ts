import type { z } from 'zod';
import type { AgentState } from '../../../domain/agent.ts';
import type { Risk } from '../../../domain/approval.ts';
import { CliError } from '../../exit.ts';
import { plainLine } from '../../text.ts';
import type { Action, Api, Ask, Block, Cell, Outcome, PageRef, Tone, Values } from '../model.ts';

export function workspacePath({ workspace }: Api): string {
  if (workspace !== null) return `/v1/workspaces/${encodeURIComponent(workspace.id)}`;
  throw new CliError('not_found', 'There is no workspace that you may see.', {
    hint: 'Make one under Workspaces, or ask an admin for a role in one.',
  });
}

export function cell(text: string, tone?: Tone): Cell {
  return { text: plainLine(text), ...(tone === undefined ? {} : { tone }) };
}

export function timeCell(at: string | null, otherwise = 'never'): Cell {
  return at === null ? { text: otherwise, tone: 'dim' } : { text: '', at };
}

export function fact(label: string, text: string | null, tone?: Tone): readonly Block[] {
  if (text === null || text === '') return [];
  return [{ kind: 'fact', label, text, ...(tone === undefined ? {} : { tone }) }];
}

export function timeFact(label: string, at: string | null): readonly Block[] {
  return at === null ? [] : [{ kind: 'fact', label, at }];
}

export function words(text: string, tone?: Tone): Block {
  return { kind: 'words', text, ...(tone === undefined ? {} : { tone }) };
}

export function to(page: PageRef['page'], params: PageRef['params'] = {}): PageRef {
  return { page, params };
}

export function opening(key: string, label: string, ref: PageRef): Action {
  return { key, label, deed: { kind: 'open', ref } };
}

interface Doing {
  readonly key: string;
  readonly label: string;
  readonly ask: Ask | null;
  readonly busy: string;
  readonly needsReading?: boolean;
  readonly run: (api: Api, values: Values) => Promise<Outcome>;
}

export function doing({ key, label, ...deed }: Doing): Action {
  return { key, label, deed: { kind: 'run', ...deed } };
}

export interface Change<S extends z.ZodType> {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly schema: S;
}

/** A change on the admin listener. */
export async function changeAsAdmin<S extends z.ZodType>(
  api: Api,
  change: Change<S>,
): Promise<z.output<S>> {
  return (await api.admin().send(change)).body;
}

/** What a person sees at a form's end before it is done. */
export const PRESS = { kind: 'press' } as const;

export function typing(word: string) {
  return { kind: 'type', word } as const;
}

const AGENT_TONES: Partial<Record<AgentState, Tone>> = {
  ready: 'good',
  busy: 'accent',
  blocked: 'warn',
  login_required: 'warn',
  failed: 'bad',
  lost: 'bad',
  stopped: 'dim',
};

export function agentTone(state: AgentState): Tone {
  return AGENT_TONES[state] ?? 'plain';
}

export const RISK_TONES = { low: 'good', medium: 'warn', high: 'bad' } as const satisfies Record<
  Risk,
  Tone
>;

/** For what a route answers that is not looked at here. */
export function optionOf(value: string): { readonly value: string; readonly label: string } {
  return { value, label: value };
}
