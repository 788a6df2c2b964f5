import type { Key } from './keys.ts';
import { textExtent } from './layout.ts';
import { shortened } from './line.ts';
import type { Field, Option, Values } from './model.ts';
import { still } from './navigate.ts';
import { currentPage, type FormDialog, type RunDeed, type State, type Step } from './state.ts';

const FIELD_LENGTH_MAX = 4_000;

/** Asks what has to be asked, or does it where nothing has. */
export function openForm(state: State, deed: RunDeed): Step {
  if (state.isRunning) {
    const text = 'Something is being done already: wait for its result.';
    return still({ ...state, notice: { kind: 'failed', text, atMs: state.nowMs } });
  }
  const { id: pageId } = currentPage(state);
  if (deed.ask === null) return begin(state, { deed, pageId, values: {} });
  const { fields } = deed.ask;
  const values = Object.fromEntries(
    fields.map(({ name, initial, kind, options }) => [
      name,
      initial ?? (kind === 'choice' ? (options?.[0]?.value ?? '') : ''),
    ]),
  );
  const unread = deed.needsReading === true ? unreadWords(state) : [];
  const ask = { ...deed.ask, words: [...deed.ask.words, ...unread] };
  const dialog: FormDialog = {
    kind: 'form',
    ask,
    deed,
    pageId,
    values,
    at: 0,
    typed: '',
    problem: null,
  };
  return still({ ...state, dialog, notice: null });
}

function unreadWords(state: State): readonly string[] {
  const page = currentPage(state);
  const { total } = textExtent(page, state);
  if (page.seenTo >= total) return [];
  return [
    `You have seen ${page.seenTo} of its ${total} lines. Esc, then the space bar, shows the rest.`,
  ];
}

interface Begin {
  readonly deed: RunDeed;
  readonly pageId: number;
  readonly values: Values;
}

function begin(state: State, { deed, pageId, values }: Begin): Step {
  return {
    state: {
      ...state,
      dialog: null,
      isRunning: true,
      notice: { kind: 'busy', text: `${deed.busy}…`, atMs: state.nowMs },
    },
    effects: [{ kind: 'run', pageId, deed, values }],
  };
}

/** The fields that are asked for with what was answered so far. */
export function fieldsOf({ ask, values }: FormDialog): readonly Field[] {
  return ask.fields.filter(({ unless }) => unless?.(values) !== true);
}

/** Of a choice: those that what was typed leaves. */
export function optionsOf(field: Field, typed: string): readonly Option[] {
  const wanted = typed.toLowerCase();
  return (field.options ?? []).filter(({ label }) => label.toLowerCase().includes(wanted));
}

export function reduceForm(state: State, form: FormDialog, key: Key): Step {
  if (key.name === 'escape') {
    const text = 'Nothing was done.';
    return still({ ...state, dialog: null, notice: { kind: 'done', text, atMs: state.nowMs } });
  }
  const field = fieldsOf(form)[form.at];
  if (key.name === 'backtab' || (key.name === 'up' && field?.kind !== 'choice')) {
    const at = Math.max(0, form.at - 1);
    return show(state, { ...form, at, typed: '', problem: null });
  }
  if (field === undefined) return confirmKey(state, form, key);
  if (key.name === 'enter' || key.name === 'tab') return nextField(state, form, field);
  return show(state, edit(form, field, key));
}

function show(state: State, dialog: FormDialog): Step {
  return still({ ...state, dialog });
}

function edit(form: FormDialog, field: Field, key: Key): FormDialog {
  if (field.kind === 'choice') return choose(form, field, key);
  const before = form.values[field.name] ?? '';
  if (key.name === 'backspace') return write(form, field, shortened(before));
  if (key.name === 'ctrl-u') return write(form, field, '');
  return key.text === '' ? form : write(form, field, before + key.text);
}

function write(form: FormDialog, field: Field, text: string): FormDialog {
  const values = { ...form.values, [field.name]: text.slice(0, FIELD_LENGTH_MAX) };
  return { ...form, values, problem: null };
}

/** Typing narrows the list, arrows move in it. */
function choose(form: FormDialog, field: Field, key: Key): FormDialog {
  const turn = key.name === 'down' ? 1 : key.name === 'up' ? -1 : 0;
  if (turn !== 0) {
    const options = optionsOf(field, form.typed);
    const index = options.findIndex(({ value }) => value === form.values[field.name]);
    const next = options[Math.min(options.length - 1, Math.max(0, index + turn))];
    return next === undefined ? form : write(form, field, next.value);
  }
  const typed = key.name === 'backspace' ? shortened(form.typed) : form.typed + key.text;
  if (typed === form.typed) return form;
  const options = optionsOf(field, typed);
  // Who types the beginning of a word means that one, and not another that has it inside.
  const begins = options.find(({ label }) => label.toLowerCase().startsWith(typed.toLowerCase()));
  const chosen = options.find(({ value }) => value === form.values[field.name]);
  const next = (typed === '' ? chosen : (begins ?? chosen)) ?? options[0];
  const narrowed = { ...form, typed, problem: null };
  return next === undefined ? narrowed : write(narrowed, field, next.value);
}

function nextField(state: State, form: FormDialog, field: Field): Step {
  const problem = problemOf(form, field);
  if (problem !== null) return show(state, { ...form, problem });
  const next = { ...form, at: form.at + 1, typed: '', problem: null };
  const isEnd = next.at >= fieldsOf(next).length;
  if (isEnd && form.ask.confirm.kind === 'none') return begin(state, next);
  return show(state, next);
}

function problemOf({ values, typed }: FormDialog, field: Field): string | null {
  const value = values[field.name] ?? '';
  if (field.kind === 'choice') {
    const isOne = optionsOf(field, typed).some((option) => option.value === value);
    return isOne ? null : 'None of them: delete what you typed and choose one.';
  }
  if (value === '') return field.optional === true ? null : 'It cannot be empty.';
  return field.check?.(value) ?? null;
}

/** Only a key that came by itself confirms: neither a paste nor a burst of keys that were meant for something else. */
function confirmKey(state: State, form: FormDialog, key: Key): Step {
  const { confirm, verb } = form.ask;
  if (confirm.kind === 'none') {
    return key.name === 'enter' && key.isAlone ? begin(state, form) : still(state);
  }
  if (confirm.kind === 'press') {
    if (key.name === 'y' && key.isAlone) return begin(state, form);
    if (key.name === 'n') return reduceForm(state, form, { ...key, name: 'escape' });
    const problem = `Press y to ${verb}, or Esc to leave it.`;
    return show(state, { ...form, problem });
  }
  if (key.name === 'enter') {
    if (form.typed === confirm.word && key.isAlone) return begin(state, form);
    const problem = `Type ${confirm.word} and press Enter to ${verb}, or Esc to leave it.`;
    return show(state, { ...form, problem, typed: '' });
  }
  if (key.name === 'backspace') {
    return show(state, { ...form, typed: shortened(form.typed) });
  }
  return show(state, { ...form, typed: form.typed + key.text, problem: null });
}

/** Into the field that is being filled; a confirmation is typed by hand. */
export function pasteIntoForm(form: FormDialog, text: string): FormDialog {
  const field = fieldsOf(form)[form.at];
  if (field === undefined) return { ...form, problem: 'A confirmation is typed, not pasted.' };
  if (field.kind === 'choice') return { ...form, problem: 'Choose with the arrow keys.' };
  // Copied from a page, a secret often ends with a line's end.
  const line = text.trim().replaceAll(/\s*[\r\n]+\s*/g, ' ');
  return write(form, field, (form.values[field.name] ?? '') + line);
}
