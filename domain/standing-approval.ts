import { canonicalJson } from './canonical.ts';
import { parseJson } from './json.ts';
import type { PromptKind } from './prompt.ts';

/** All that makes one dialog of a CLI the same as another; nothing in it is a pattern or a beginning. */
export interface PromptTemplate {
  readonly agentType: string;
  readonly kind: PromptKind;
  readonly tool: string;
  /** The whole command, path or text. */
  readonly subject: string;
  /** Canonical JSON of the tool's input where a hook gave it; empty otherwise. */
  readonly hookPayload: string;
  /** Absolute; empty for a folder of the agent's own. */
  readonly workDir: string;
  /** Digest of what the spawn puts into the environment, which changes what a command does. */
  readonly environment: string;
}

/** A model's own words about what a command is for: no part of what it does, and new each time. */
const WORDS_ONLY = 'description';

/** Canonical text; a standing approval holds for what has exactly this one. */
export function promptTemplate({ hookPayload, ...template }: PromptTemplate): string {
  return canonicalJson({ for: 'agent.prompt', ...template, input: inputOf(hookPayload) });
}

/** As text: a tool's input may hold fractions, which have no canonical form. */
function inputOf(hookPayload: string): string {
  const input = inputIn(hookPayload);
  if (input === null) return hookPayload;
  const { [WORDS_ONLY]: _words, ...rest } = input;
  return JSON.stringify(rest);
}

/** Name of the tool that a hook told; empty where there was no hook. Programs are never guessed from a command line. */
export function toolOf(hookPayload: string): string {
  const payload = parseJson(hookPayload);
  return isRecord(payload) && typeof payload['tool'] === 'string' ? payload['tool'] : '';
}

function inputIn(hookPayload: string): Readonly<Record<string, unknown>> | null {
  const payload = parseJson(hookPayload);
  const input = isRecord(payload) ? payload['input'] : null;
  return isRecord(input) ? input : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of a post that was made from a document: the document's hash alone says what may be said. */
export function postTemplate(documentHash: string): string {
  return canonicalJson({ for: 'chat.post', documentHash });
}
