import type { GateNote } from '../../domain/gate.ts';
import type { OptionEffect, PromptOption } from '../../domain/prompt.ts';
import type { ApprovalView } from '../../infra/db/queries/approval-view.ts';
import { html, line, nothing, verbatim, type Markup } from './markup.ts';
import { payloadView } from './payload.ts';
import { ago, approvalState, riskBadge } from './words.ts';

export interface ApprovalPage {
  readonly view: ApprovalView;
  readonly agentName: string | null;
  /** Name of a key's holder by its id. */
  readonly names: ReadonlyMap<string, string>;
  /** Words of the votes' notes, in their order. */
  readonly notes: readonly string[];
  readonly mayDecide: boolean;
  /** Of what may be approved for ever by whoever looks; null where it may not. */
  readonly forever: { readonly days: number; readonly daysMax: number } | null;
  readonly now: number;
}

export function approvalPage(page: ApprovalPage): Markup {
  const { approval, votes } = page.view;
  const version = `${approval.state} ${votes.length} ${JSON.stringify(approval.delivery)}`;
  return html`<div class="head"><h1>${line(approval.title)}</h1></div>
    <div id="approval" class="aside-right" data-part data-keep="${version}">
      <div class="stack">
        <section aria-labelledby="what">
          <h2 id="what">What would happen</h2>
          ${payloadView(approval.payload)}
          <p class="hint">SHA-256 <code class="break">${approval.digest}</code></p>
        </section>
        ${votes.length === 0 ? nothing : votesView(page)}
      </div>
      <div class="stack aside">
        <p class="badges">
          ${approvalState(approval.state)} ${riskBadge(approval.risk)}
          ${approval.state === 'open' ? html`<code class="code">${approval.code}</code>` : nothing}
        </p>
        ${facts(page)} ${decision(page)}
      </div>
    </div>`;
}

function facts({ view: { approval }, agentName, names, now }: ApprovalPage): Markup {
  const asker =
    approval.askerKind === 'agent'
      ? html`<a href="/panel/agents/${approval.askerId}">${line(agentName ?? approval.askerId)}</a>`
      : html`<code>${approval.askerId}</code>`;
  const { requestedBy, expiresAt, decidedAt, quorum, delivery } = approval;
  const rows: readonly (readonly [string, Markup])[] = [
    ['Asked by', asker],
    ['For', html`${line(names.get(requestedBy) ?? '')} <code>${requestedBy}</code>`],
    ['Asked', ago(approval.requestedAt, now)],
    ...(approval.state === 'open' ? [['Ends', endWords(expiresAt, now)] as const] : []),
    ...(decidedAt === null ? [] : [['Decided', ago(decidedAt, now)] as const]),
    ['Who decides', html`role ${approval.role}${quorum > 1 ? ` (${quorum} votes)` : ''}`],
    ...(approval.gate === null ? [] : [['Policy', gateWords(approval.gate)] as const]),
    ...(delivery === null
      ? []
      : [['Delivered', html`<code>${verbatim(JSON.stringify(delivery))}</code>`] as const]),
  ];
  return html`<dl class="rows">
    ${rows.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

const VERDICTS = {
  allow: 'allows it',
  deny: 'denies it',
  ask: 'leaves it to people',
} as const satisfies Record<GateNote['verdict'], string>;

/** What decided, by the name of its rule; a policy's own reason is text that somebody wrote. */
function gateWords({ verdict, by, rule, engine, version, reason, standingId }: GateNote): Markup {
  const which = version === 0 ? engine : `${engine}, version ${version}`;
  return by === 'standing'
    ? html`approved for ever <code>${standingId ?? ''}</code>`
    : html`<code>${line(rule)}</code> ${VERDICTS[verdict]}
        <small>(${which})</small>
        ${reason === '' ? nothing : html`<br /><small>${line(reason)}</small>`}`;
}

function endWords(expiresAt: Date | null, now: number): Markup {
  return expiresAt === null ? html`never` : ago(expiresAt, now);
}

function votesView({ view: { votes }, notes, names, now }: ApprovalPage): Markup {
  return html`<section aria-labelledby="votes">
    <h2 id="votes">Votes</h2>
    <ul class="list">
      ${votes.map(
        ({ principalId, verdict, optionLabel, issuedAtMs }, index) =>
          html`<li>
            <strong>${verdict === 'grant' ? 'Granted' : 'Refused'}</strong> by
            ${line(names.get(principalId) ?? principalId)}
            ${ago(new Date(issuedAtMs), now)}${
              optionLabel === null ? nothing : html`, choosing “${line(optionLabel)}”`
            }
            ${(notes[index] ?? '') === '' ? nothing : html`<blockquote>${verbatim(notes[index] ?? '')}</blockquote>`}
          </li>`,
      )}
    </ul>
  </section>`;
}

const EFFECTS = {
  allow_once: 'this once',
  widen: 'permits more than this',
  deny: 'refuses',
  other: '',
} as const satisfies Record<OptionEffect, string>;

/** What the verdict picks by itself comes first: the option that allows this one request. */
function optionChoice(options: readonly PromptOption[]): Markup {
  const usual = options.find(({ effect }) => effect === 'allow_once');
  const others = options.filter((option) => option !== usual);
  return html`<fieldset>
    <legend>If granted</legend>
    <label class="choice"
      ><input type="radio" name="optionLabel" value="" checked />
      <span
        >${usual === undefined ? 'What the dialog allows once' : line(usual.label)}
        <small>this once</small></span
      ></label
    >
    ${others.map(
      ({ label, effect }) =>
        html`<label class="choice"
          ><input type="radio" name="optionLabel" value="${label}" />
          <span>${line(label)} <small>${EFFECTS[effect]}</small></span></label
        >`,
    )}
  </fieldset>`;
}

function decision({ view: { approval, prompt }, mayDecide, forever }: ApprovalPage): Markup {
  if (approval.state !== 'open') return nothing;
  if (!mayDecide) {
    return html`<p class="notice">
      Deciding this needs the role ${approval.role} and the scope approvals:decide.
    </p>`;
  }
  const options = (prompt?.options ?? []).filter(({ effect }) => effect !== 'deny');
  return html`<form
      class="card stack decision"
      data-api="POST /v1/approvals/${approval.id}/decide"
      aria-label="Decide"
      data-pending="Sent. It is not answered yet and is applied as soon as it can be; this page shows it then."
    >
      <input type="hidden" name="digest" value="${approval.digest}" />
      ${options.length < 2 ? nothing : optionChoice(options)}
      <label
        ><span>Note <small>for the record, and for the agent's owner</small></span>
        <textarea name="note" rows="2" maxlength="4000"></textarea>
      </label>
      <p class="notice bad" role="alert" data-failure hidden></p>
      <div class="actions">
        <button name="verdict" value="refuse" class="danger">Refuse</button>
        <button name="verdict" value="grant" class="primary">Grant</button>
      </div>
    </form>
    ${forever === null ? nothing : foreverForm(approval, forever)}`;
}

/** Apart from the usual decision, so that nobody presses it for that one. */
function foreverForm(
  { id, digest, recipients }: ApprovalView['approval'],
  { days, daysMax }: NonNullable<ApprovalPage['forever']>,
): Markup {
  const whom = recipients.length === 0 ? '' : ' to the same recipients';
  return html`<details class="card">
    <summary>Approve this for ever</summary>
    <form
      class="stack"
      data-api="POST /v1/approvals/${id}/approve-forever"
      aria-label="Approve for ever"
      data-pending="Sent. It is not answered yet and is applied as soon as it can be; this page shows it then."
    >
      <input type="hidden" name="digest" value="${digest}" />
      <p>
        Grants this, and exactly this${whom} from now on without asking anybody, until it expires or
        is revoked. Anything that differs in a single character is asked about again.
      </p>
      <label
        ><span>Days</span>
        <input
          type="number"
          name="expiresInDays"
          data-kind="int"
          step="1"
          min="1"
          max="${daysMax}"
          value="${days}"
          required
        />
      </label>
      <p class="notice bad" role="alert" data-failure hidden></p>
      <div class="actions"><button class="danger">Approve for ever</button></div>
    </form>
  </details>`;
}
