import { z } from 'zod';
import type { Verdict } from '../../../domain/approval.ts';
import { ApprovalSchema, DecidedSchema } from '../../../domain/schema/approval.ts';
import { gateOf, isDigestOfPayload, payloadText, prettyJson } from '../../approval-view.ts';
import type { Approval } from '../../resolve.ts';
import { plainLine } from '../../text.ts';
import { editBlocks } from '../edits.ts';
import type {
  Action,
  Api,
  Ask,
  Block,
  Field,
  Model,
  Outcome,
  Page,
  Tone,
  Values,
} from '../model.ts';
import { doing, fact, PRESS, RISK_TONES, timeFact } from './part.ts';
import { foreverAction } from './standing.ts';

export const approvalPage: Page = {
  title: 'Approval',
  listener: 'public',
  events: ['approval.'],
  pollMs: 30_000,
  load: async ({ client }, { id = '' }) =>
    approvalModel(await client.get(`/v1/approvals/${encodeURIComponent(id)}`, ApprovalSchema)),
};

const STATE_TONES: Readonly<Record<Approval['state'], Tone>> = {
  open: 'warn',
  granted: 'good',
  refused: 'bad',
  expired: 'dim',
  voided: 'dim',
};

export function approvalModel(approval: Approval): Model {
  const isOpen = approval.state === 'open';
  const isGenuine = isDigestOfPayload(approval);
  return {
    title: isOpen ? approval.code : plainLine(approval.title),
    blocks: [...factsOf(approval), ...payloadBlocks(approval, isGenuine)],
    table: null,
    actions:
      isOpen && isGenuine
        ? [
            decideAction(approval, 'grant'),
            decideAction(approval, 'refuse'),
            ...(approval.mayStand ? [foreverAction(approval)] : []),
          ]
        : [],
  };
}

function factsOf(approval: Approval): readonly Block[] {
  const { title, state, risk, roleNeeded, askerKind, askerId, requestedBy, quorum, votes } =
    approval;
  return [
    ...fact('What', title, 'strong'),
    ...fact('State', state, STATE_TONES[state]),
    ...fact('Risk', `${risk}: the role ${roleNeeded} decides`, RISK_TONES[risk]),
    ...fact('Asked by', `${askerKind} ${askerId}`),
    ...(requestedBy === askerId ? [] : fact('For', requestedBy)),
    ...fact('Policy', gateOf(approval)),
    ...fact('Sent to', approval.recipients.join(', ')),
    ...timeFact('Asked', approval.requestedAt),
    ...(state === 'open'
      ? timeFact('Expires', approval.expiresAt)
      : timeFact('Decided', approval.decidedAt)),
    ...(quorum > 1 ? fact('Needs', `${quorum} votes`) : []),
    ...votes.flatMap(({ verdict, principalId, note }) =>
      fact('Vote', `${verdict} by ${principalId}${note === '' ? '' : `: ${note}`}`),
    ),
    ...fact('Digest', approval.digest, 'dim'),
  ];
}

const Prompt = z.object({ kind: z.string() });

/** What would happen, first as a person reads it, then whole, as the digest covers it. */
function payloadBlocks({ payload }: Approval, isGenuine: boolean): readonly Block[] {
  const warning: readonly Block[] = isGenuine
    ? []
    : [
        {
          kind: 'words',
          tone: 'bad',
          text: 'The digest is not that of this payload, so nothing can be decided here. Tell whoever runs this Rookery: its answer is not to be trusted.',
        },
      ];
  const whole = prettyJson(payload);
  const readable = payloadText(payload);
  const isPrompt = Prompt.safeParse(payload).success && readable !== whole;
  return [
    ...warning,
    ...editBlocks(payload),
    { kind: 'heading', text: 'What would happen' },
    { kind: 'quote', text: readable },
    ...(isPrompt
      ? ([
          { kind: 'heading', text: 'The whole payload, as the digest covers it' },
          { kind: 'quote', text: whole },
        ] as const)
      : []),
  ];
}

function decideAction(approval: Approval, verdict: Verdict): Action {
  const isGrant = verdict === 'grant';
  return doing({
    key: isGrant ? 'a' : 'd',
    label: isGrant ? 'approve' : 'deny',
    ask: askOf(approval, verdict),
    needsReading: isGrant,
    busy: isGrant ? 'Approving' : 'Denying',
    run: (api, values) => decide(api, { approval, verdict, values }),
  });
}

function askOf({ code, title, risk, options }: Approval, verdict: Verdict): Ask {
  const isGrant = verdict === 'grant';
  const answers = options.filter(({ effect }) => (effect === 'deny') !== isGrant);
  const optionField: Field = {
    name: 'option',
    label: 'Answer',
    kind: 'choice',
    options: [
      { value: '', label: isGrant ? 'allow it once' : 'deny it' },
      ...answers.map(({ label, effect }) => ({
        value: label,
        label: `${plainLine(label)}  (${effect})`,
      })),
    ],
  };
  return {
    title: `${isGrant ? 'Approve' : 'Deny'} ${code}`,
    words: [plainLine(title), `Risk ${risk}.`],
    fields: [
      ...(answers.length > 1 ? [optionField] : []),
      {
        name: 'note',
        label: isGrant ? 'Note' : 'Reason',
        kind: 'text',
        optional: true,
        hint: isGrant
          ? 'kept with your vote'
          : 'kept with your vote, and told to the agent where its CLI can take it',
        check: (value) => (value.length > 4_000 ? 'At most 4000 characters.' : null),
      },
    ],
    confirm: PRESS,
    verb: isGrant ? 'approve it' : 'deny it',
  };
}

interface Deciding {
  readonly approval: Approval;
  readonly verdict: Verdict;
  readonly values: Values;
}

/** Names the digest of what was read, so that nothing that changed meanwhile is decided by mistake. */
async function decide({ client }: Api, { approval, verdict, values }: Deciding): Promise<Outcome> {
  const { note = '', option = '' } = values;
  const { body } = await client.send({
    method: 'POST',
    path: `/v1/approvals/${approval.id}/decide`,
    body: {
      verdict,
      digest: approval.digest,
      ...(note === '' ? {} : { note }),
      ...(option === '' ? {} : { optionLabel: option }),
    },
    schema: DecidedSchema,
  });
  switch (body.status) {
    case 'decided':
      return { words: `${approval.code} is ${body.state}.`, next: 'back' };
    case 'counted':
      return { words: `Your vote counts: ${body.votes} of ${body.quorum}.` };
    case 'pending':
      return { words: 'Taken; it is applied as soon as a worker answers.', next: 'back' };
  }
}
