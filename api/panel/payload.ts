import { z } from 'zod';
import { parseJson } from '../../domain/json.ts';
import { PROMPT_KINDS } from '../../domain/prompt.ts';
import { EDIT_FIELDS, editsIn, type Edit } from './edits.ts';
import { html, line, nothing, verbatim, type Markup } from './markup.ts';

/** The payload of a CLI's prompt, as its host wrote it. What else is asked for is shown as it is. */
const PromptPayload = z.object({
  kind: z.enum(PROMPT_KINDS),
  text: z.string().optional(),
  subject: z.string().optional(),
  hookPayload: z.string().optional(),
});

const ToolCall = z.object({ tool: z.string(), input: z.record(z.string(), z.unknown()) });

/** Everything a decision is about: first as a person reads it, then whole, as the digest covers it. */
export function payloadView(payload: string): Markup {
  const prompt = PromptPayload.safeParse(parseJson(payload));
  const parts = prompt.success ? prompt.data : null;
  const edits = parts?.hookPayload === undefined ? [] : editsIn(parts.hookPayload);
  return html`${edits.map(editView)} ${parts === null ? nothing : readable(parts, edits)}
    <details ${parts === null ? html`open` : nothing}>
      <summary>Whole payload, as the digest covers it</summary>
      <pre class="payload" tabindex="0" role="region" aria-label="Whole payload">
${verbatim(payload)}</pre>
    </details>`;
}

function readable(
  { text = '', subject = '', hookPayload = '' }: z.output<typeof PromptPayload>,
  edits: readonly Edit[],
): Markup {
  const call = ToolCall.safeParse(parseJson(hookPayload));
  // What the difference has shown whole is there, and out of the way.
  const shown = edits.every(({ hunks }) => hunks !== null) ? EDIT_FIELDS : [];
  return html`${call.success ? toolView(call.data, shown) : block('Hook', hookPayload)}
  ${block('On the screen', text)}
  ${text.includes(subject) ? nothing : block('What it is about', subject)}`;
}

/** What fits on a line needs no box of its own. */
const SHORT_CHARS = 80;

function isShort(text: string): boolean {
  return text.length <= SHORT_CHARS && !text.includes('\n');
}

function toolView({ tool, input }: z.output<typeof ToolCall>, shown: readonly string[]): Markup {
  const texts = Object.entries(input).map(([name, value]): readonly [string, string] => [
    name,
    typeof value === 'string' ? value : prettyJson(value),
  ]);
  const rows = texts.filter(([, text]) => isShort(text));
  const long = texts.filter(([, text]) => !isShort(text));
  const folded = long.filter(([name]) => shown.includes(name));
  return html`<p>Tool <code>${line(tool)}</code></p>
    ${long.filter(([name]) => !shown.includes(name)).map(([name, text]) => block(name, text))}
    ${rows.length === 0 ? nothing : rowList(rows)}
    ${folded.length === 0 ? nothing : foldedTexts(folded)}`;
}

/** A value can be nested deeper than the writer of JSON follows; the whole payload below shows it all the same. */
function prettyJson(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2) ?? '';
  } catch {
    return 'Nested too deeply to be shown here: see the whole payload.';
  }
}

function rowList(rows: readonly (readonly [string, string])[]): Markup {
  return html`<dl class="rows">
    ${rows.map(
      ([name, text]) =>
        html`<div>
          <dt>${line(name)}</dt>
          <dd class="mono">${verbatim(text)}</dd>
        </div>`,
    )}
  </dl>`;
}

function foldedTexts(texts: readonly (readonly [string, string])[]): Markup {
  return html`<details>
    <summary>Both texts, as the tool was given them</summary>
    ${texts.map(([name, text]) => block(name, text))}
  </details>`;
}

function block(title: string, text: string): Markup {
  if (text === '') return nothing;
  return html`<figure>
    <figcaption>${line(title)}</figcaption>
    <pre class="payload" tabindex="0" role="region" aria-label="${title}">${verbatim(text)}</pre>
  </figure>`;
}

function editView({ path, hunks }: Edit): Markup {
  const title = path === null ? html`Edit` : html`Edit of <code>${line(path)}</code>`;
  if (hunks === null) {
    return html`<figure>
      <figcaption>${title}</figcaption>
      <p class="hint">Too large to compare; see both texts below.</p>
    </figure>`;
  }
  return html`<figure>
    <figcaption>${title}</figcaption>
    <div class="diff" tabindex="0" role="region" aria-label="Difference">
      ${hunks.map(hunkView)}
    </div>
  </figure>`;
}

type Hunk = NonNullable<Edit['hunks']>[number];

/** Every line is an element, so that no white space of ours gets among theirs. */
function hunkView({ oldStart, oldLines, newStart, newLines, lines }: Hunk): Markup {
  const head = `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`;
  return html`<span class="hunk">${head}</span>${lines.map(diffLine)}`;
}

/** The sign stays in the text, so that colour is not all that tells. */
function diffLine(text: string): Markup {
  const words = verbatim(text);
  if (text.startsWith('+')) return html`<ins>${words}</ins>`;
  if (text.startsWith('-')) return html`<del>${words}</del>`;
  return html`<span>${words}</span>`;
}
