import type { ApiClient } from '../client.ts';
import type { Agent } from '../resolve.ts';
import type { EnrolWish } from './enrol-here.ts';

/** What a piece of text means; colours come from it and are never all that tells. */
export type Tone = 'plain' | 'dim' | 'strong' | 'good' | 'warn' | 'bad' | 'accent' | 'title';

export interface Span {
  readonly text: string;
  readonly tone?: Tone;
}
export type Line = readonly Span[];

/** A piece of a page that is read from top to bottom. */
export type Block =
  | { readonly kind: 'words'; readonly text: string; readonly tone?: Tone }
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'fact'; readonly label: string; readonly text: string; readonly tone?: Tone }
  | { readonly kind: 'fact'; readonly label: string; readonly at: string }
  /** Foreign text, set off by a bar, every line of it. */
  | { readonly kind: 'quote'; readonly text: string }
  | { readonly kind: 'diff'; readonly lines: readonly string[] }
  /** Rows of a terminal: cut at the right, never wrapped. */
  | { readonly kind: 'screen'; readonly lines: readonly string[]; readonly cols: number };

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
  /** Shown as the time since or until then, in the place of `text`. */
  readonly at?: string;
}

export interface TableColumn {
  readonly title: string;
  /** May be cut short where the line is too narrow. */
  readonly cut?: boolean;
  /** Left out first, the lower the sooner; never where absent. */
  readonly drop?: number;
}

export interface Row {
  readonly id: string;
  readonly cells: readonly Cell[];
  readonly open?: PageRef;
  readonly actions?: readonly Action[];
}

export interface Table {
  readonly columns: readonly TableColumn[];
  readonly rows: readonly Row[];
  /** What to do where there are none. */
  readonly empty: readonly string[];
}

/** A page as it was loaded: nothing but data, and what can be done. */
export interface Model {
  readonly title: string;
  readonly blocks: readonly Block[];
  readonly table: Table | null;
  readonly actions: readonly Action[];
}

export const PAGES = [
  'approvals',
  'approval',
  'agents',
  'agent',
  'workspaces',
  'users',
  'user',
  'explain',
  'audit',
  'auditEntry',
  'access',
  'pairings',
  'pairing',
  'connectors',
  'connector',
  'standing',
  'workspace',
  'settings',
  'context',
  'policies',
  'policy',
  'policyDiff',
] as const;
export type PageName = (typeof PAGES)[number];

export interface PageRef {
  readonly page: PageName;
  readonly params: Readonly<Record<string, string>>;
}

export type Values = Readonly<Record<string, string>>;

export interface Field {
  readonly name: string;
  readonly label: string;
  /** A secret is never shown, not even its length. */
  readonly kind: 'text' | 'secret' | 'choice';
  readonly options?: readonly Option[];
  readonly initial?: string;
  readonly optional?: boolean;
  readonly hint?: string;
  /** Says what is wrong, or null. */
  readonly check?: (value: string) => string | null;
  /** Left out of the form where this says so. */
  readonly unless?: (values: Values) => boolean;
}

export interface Option {
  readonly value: string;
  readonly label: string;
}

export interface Ask {
  readonly title: string;
  readonly words: readonly string[];
  readonly fields: readonly Field[];
  /**
   * The key `y`, or for what cannot be undone a word to type: Enter alone does neither. `none` is for what is harmless,
   * and done with the last field.
   */
  readonly confirm:
    | { readonly kind: 'none' }
    | { readonly kind: 'press' }
    | { readonly kind: 'type'; readonly word: string };
  /** What happens then, as a verb: "deny it". */
  readonly verb: string;
}

export interface Action {
  readonly key: string;
  readonly label: string;
  readonly isDangerous?: boolean;
  readonly deed: Deed;
}

/** What a key sets going. */
export type Deed =
  | { readonly kind: 'open'; readonly ref: PageRef }
  | {
      readonly kind: 'run';
      /** Null where it changes nothing or is harmless. */
      readonly ask: Ask | null;
      /** Who does it should have read the whole page: it is said where he has not. */
      readonly needsReading?: boolean;
      readonly busy: string;
      readonly run: (api: Api, values: Values) => Promise<Outcome>;
    }
  | { readonly kind: 'attach'; readonly agent: Agent; readonly mode: 'view' | 'type' };

/** How something that was asked for ended well. Failures are thrown. */
export interface Outcome {
  readonly words: string;
  readonly next?: 'back' | { readonly open: PageRef } | { readonly workspace: WorkspaceRef };
  /** Shown until it is put away: secrets that are shown once, results that are read. */
  readonly show?: { readonly title: string; readonly blocks: readonly Block[] };
}

export interface WorkspaceRef {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
}

/** What loading and doing have in their hands. */
export interface Api {
  readonly client: ApiClient;
  /** Of the admin listener. Throws where nobody said where that is. */
  readonly admin: () => ApiClient;
  readonly workspace: WorkspaceRef | null;
  readonly now: () => number;
  /** Where paths that a person gives begin. */
  readonly cwd: string;
  /** Gets this machine a certificate. Answers what a person should know then. */
  readonly enrol: (wish: EnrolWish) => Promise<string>;
}

export interface Page {
  readonly title: string;
  /** What it needs, for the words when it is not there. */
  readonly listener: 'public' | 'admin';
  readonly load: (api: Api, params: PageRef['params']) => Promise<Model>;
  /** Beginnings of event types after which it is looked at again. */
  readonly events: readonly string[];
  /** Looked at again after so long without any event, too; 0: never. */
  readonly pollMs: number;
}
