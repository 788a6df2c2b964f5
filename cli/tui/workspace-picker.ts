import type { Ask, Values, WorkspaceRef } from './model.ts';
import { currentPage, type RunDeed, type State } from './state.ts';

/** A dialog in which one of the workspaces is chosen. */
export function pickWorkspace(state: State, workspaces: readonly WorkspaceRef[]): State {
  const options = workspaces.map(({ id, slug, name }) => ({
    value: id,
    label: name === slug ? slug : `${slug}  ${name}`,
  }));
  const ask: Ask = {
    title: 'Workspace',
    words: ['Everything you see is of one workspace.'],
    fields: [
      {
        name: 'workspace',
        label: 'Workspace',
        kind: 'choice',
        options,
        initial: state.workspace?.id ?? '',
      },
    ],
    confirm: { kind: 'none' },
    verb: 'go there',
  };
  const deed: RunDeed = {
    kind: 'run',
    ask,
    busy: 'Going there',
    run: async (_api, { workspace: id = '' }: Values) => {
      const workspace = workspaces.find((each) => each.id === id) ?? state.workspace;
      return workspace === null ? { words: '' } : { words: '', next: { workspace } };
    },
  };
  const initial = state.workspace?.id ?? workspaces[0]?.id ?? '';
  const values = { workspace: initial };
  const pageId = currentPage(state).id;
  return {
    ...state,
    dialog: { kind: 'form', ask, deed, pageId, values, at: 0, typed: '', problem: null },
  };
}
