import { contentSize } from './layout.ts';
import { line, span } from './line.ts';
import type { Ask, Field, Line } from './model.ts';
import { fieldsOf, optionsOf } from './reduce-form.ts';
import type { FormDialog, State } from './state.ts';
import { wrapWords } from './wrap.ts';

const LABEL_ROOM = 18;
const OPTIONS_SHOWN = 8;

export function drawForm(state: State, form: FormDialog): readonly Line[] {
  const { columns } = contentSize(state.size);
  const words = form.ask.words.flatMap((text) =>
    wrapWords(text, columns - 4).map((part) => line(`  ${part}`)),
  );
  const fields = fieldsOf(form).flatMap((field, index) =>
    fieldLines(form, field, { isHere: index === form.at, columns }),
  );
  const isLast = form.at >= fieldsOf(form).length;
  const problem =
    form.problem === null
      ? []
      : ['', ...wrapWords(form.problem, columns - 4)].map((part) => line(`  ${part}`, 'bad'));
  return [
    [],
    ...words,
    ...(words.length > 0 ? [[]] : []),
    ...fields,
    [],
    ...(isLast ? confirmLines(form.ask, form.typed) : []),
    ...problem,
  ];
}

interface Place {
  readonly isHere: boolean;
  readonly columns: number;
}

function fieldLines(form: FormDialog, field: Field, { isHere, columns }: Place): readonly Line[] {
  const value = form.values[field.name] ?? '';
  const shown = shownValue(field, value);
  const optional = field.optional === true ? ' (optional)' : '';
  const label = span(
    `${isHere ? '▸' : ' '} ${field.label}`.padEnd(LABEL_ROOM),
    isHere ? 'strong' : 'dim',
  );
  if (!isHere) return [[label, span(shown === '' ? '–' : shown)]];
  if (field.kind === 'choice')
    return [[label, span(form.typed, 'strong'), span('█')], ...optionLines(form, field)];
  const room = Math.max(8, columns - LABEL_ROOM - 2);
  const typed = wrapTyped(shown, room);
  const hint = `${field.hint ?? ''}${optional}`.trim();
  return [
    ...typed.map((part, index): Line => [
      index === 0 ? label : span(' '.repeat(LABEL_ROOM)),
      span(part, 'strong'),
      span(index === typed.length - 1 ? '█' : ''),
    ]),
    ...(hint === ''
      ? []
      : wrapWords(hint, room).map((part): Line => [
          span(' '.repeat(LABEL_ROOM)),
          span(part, 'dim'),
        ])),
  ];
}

/** Of a secret there is nothing to be seen but that something was typed. */
function shownValue(field: Field, value: string): string {
  if (field.kind === 'secret') return value === '' ? '' : '(hidden)';
  if (field.kind === 'text') return value;
  return field.options?.find((option) => option.value === value)?.label ?? value;
}

function wrapTyped(text: string, room: number): readonly string[] {
  const lines = wrapWords(text, room);
  return text.endsWith(' ') ? [...lines.slice(0, -1), `${lines.at(-1) ?? ''} `] : lines;
}

function optionLines({ values, typed }: FormDialog, field: Field): readonly Line[] {
  const options = optionsOf(field, typed);
  const chosen = options.findIndex(({ value }) => value === values[field.name]);
  const top = Math.max(0, Math.min(chosen - OPTIONS_SHOWN + 1, options.length - OPTIONS_SHOWN));
  const indent = ' '.repeat(LABEL_ROOM);
  const shown = options.slice(top, top + OPTIONS_SHOWN).map(({ label }, index): Line => {
    const isChosen = top + index === chosen;
    return [
      span(indent),
      span(isChosen ? '▸ ' : '  ', 'accent'),
      span(label, isChosen ? 'strong' : 'plain'),
    ];
  });
  const more = options.length - top - OPTIONS_SHOWN;
  return [
    ...shown,
    ...(options.length === 0 ? [[span(indent), span('none of that name', 'warn')]] : []),
    ...(more > 0 ? [[span(indent), span(`  … ${more} more; type to narrow`, 'dim')]] : []),
  ];
}

function confirmLines({ confirm, verb }: Ask, typed: string): readonly Line[] {
  if (confirm.kind === 'none') return [[span('  Enter', 'strong'), span(` to ${verb}`)]];
  if (confirm.kind === 'press') {
    return [
      [
        span('  Press '),
        span('y', 'strong'),
        span(` to ${verb}, `),
        span('Esc', 'strong'),
        span(' to leave it.'),
      ],
    ];
  }
  return [
    [
      span('  Type '),
      span(confirm.word, 'strong'),
      span(` and press Enter to ${verb}: `),
      span(`${typed}█`, 'strong'),
    ],
  ];
}
