import { z } from 'zod';
import { ActionRuleSchema, ExplanationSchema } from '../../../domain/schema/explain.ts';
import { plainLine } from '../../text.ts';
import type { Block, Model, Outcome, Page, Row } from '../model.ts';
import { cell, doing, fact } from './part.ts';
import { placeWords } from './user.ts';

type Rule = z.output<typeof ActionRuleSchema>;
type Explanation = z.output<typeof ExplanationSchema>;

/** "Why not?": an action is chosen, and the answer says by which rule, and what is missing. */
export const explainPage: Page = {
  title: 'Why not?',
  listener: 'public',
  events: [],
  pollMs: 0,
  load: async ({ client }, { user = '', name = '' }) => {
    const { items } = await client.get(
      '/v1/actions',
      z.object({ items: z.array(ActionRuleSchema) }),
    );
    return explainModel(items, { user, name });
  },
};

interface Person {
  readonly user: string;
  readonly name: string;
}

export function explainModel(rules: readonly Rule[], person: Person): Model {
  return {
    title: 'Why not?',
    blocks: [
      {
        kind: 'words',
        text: `Choose what ${plainLine(person.name)} wants to do in this workspace: x explains it.`,
      },
    ],
    table: {
      columns: [
        { title: 'ACTION' },
        { title: 'ROLE' },
        { title: 'SCOPE', drop: 1 },
        { title: 'ROUTE', cut: true, drop: 0 },
      ],
      rows: rules.map((rule) => ruleRow(rule, person)),
      empty: ['No actions.'],
    },
    actions: [],
  };
}

function ruleRow({ name, role, scope, method, path }: Rule, { user }: Person): Row {
  return {
    id: name,
    cells: [cell(name), cell(role), cell(scope, 'dim'), cell(`${method} ${path}`, 'dim')],
    actions: [
      doing({
        key: 'x',
        label: 'explain',
        ask: null,
        busy: 'Asking',
        run: async ({ client, workspace }): Promise<Outcome> => {
          const query = { principal: user, action: name, workspace: workspace?.id };
          const explanation = await client.get('/v1/explain', ExplanationSchema, query);
          return {
            words: '',
            show: {
              title: `May ${plainLine(explanation.principal.name)} ${name}?`,
              blocks: explanationBlocks(explanation),
            },
          };
        },
      }),
    ],
  };
}

export function explanationBlocks(explanation: Explanation): readonly Block[] {
  const { decision, message, rule, needs, role, hasScope, principal, bindings, missing } =
    explanation;
  return [
    ...fact('Answer', decision === 'allow' ? 'yes' : 'no', decision === 'allow' ? 'good' : 'bad'),
    ...fact('Because', message),
    ...fact('Rule', rule),
    ...fact('It needs', `${needs.role} and the scope ${needs.scope}`),
    ...fact('Has', `${role ?? 'no role'} there, scope ${hasScope ? 'yes' : 'no'}`),
    ...fact(
      'Is',
      principal.isLive ? 'active' : 'disabled, revoked or expired',
      principal.isLive ? 'plain' : 'bad',
    ),
    ...(bindings.length === 0
      ? []
      : [{ kind: 'heading', text: 'Roles that were looked at' } as const]),
    ...bindings.map(({ role: given, place, why }): Block => ({
      kind: 'words',
      text: `${given}, ${placeWords(place, new Map())}: ${why}`,
    })),
    ...(missing.length === 0
      ? []
      : [{ kind: 'heading', text: 'What would make it a yes' } as const]),
    ...missing.map((text): Block => ({ kind: 'words', text: `• ${text}` })),
  ];
}
