import type { Command } from 'commander';
import { z } from 'zod';
import type { Verdict } from '../../domain/approval.ts';
import { DecidedSchema } from '../../domain/schema/approval.ts';
import { ApprovedForeverSchema } from '../../domain/schema/standing-approval.ts';
import { approvalWords, isDigestOfPayload } from '../approval-view.ts';
import { confirm } from '../ask.ts';
import { apiCommand, wholeNumber } from '../command.ts';
import { inContext, type Context } from '../context.ts';
import { CliError, type ExitName } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { approvalOf, type Approval } from '../resolve.ts';
import { plainLine } from '../text.ts';

interface DecideFlags {
  readonly note?: string;
  readonly option?: string;
  readonly digest?: string;
  readonly yes?: boolean;
  readonly forever?: boolean;
  readonly days?: number;
}

const SHARED =
  'Shows the whole payload and asks before it sends anything; --yes does not ask. What is sent names ' +
  'the digest of the payload as you saw it, so a request that changed meanwhile is never decided by ' +
  'mistake. Exit code 5 means somebody else was faster, 7 that the decision is taken and will be ' +
  'applied as soon as a worker answers.';

export function approveCommand(io: CliIo): Command {
  return decideCommand(io, 'grant')
    .summary('grant what an agent asks for')
    .description(`Grants an open approval. ${SHARED}`);
}

export function denyCommand(io: CliIo): Command {
  return decideCommand(io, 'refuse')
    .summary('refuse what an agent asks for')
    .description(
      `Refuses an open approval. The note is told to the agent where its CLI can take it. ${SHARED}`,
    );
}

function decideCommand(io: CliIo, verdict: Verdict): Command {
  const name = verdict === 'grant' ? 'approve' : 'deny';
  const examples: readonly (readonly [string, string])[] =
    verdict === 'grant'
      ? [
          ['rookery approve K7M2QX', 'look and answer y'],
          ['rookery approve K7M2QX --yes --digest 9f86d081…', 'only if it still is what you saw'],
          ['rookery approve K7M2QX --forever --days 30', 'and exactly the same for 30 days'],
        ]
      : [['rookery deny K7M2QX --note "use the staging database"', 'say what to do instead']];
  const command = apiCommand(name, { summary: '', description: '', examples })
    .argument('<approval>', 'code of an open approval, or its id')
    .option('--note <text>', 'kept with the vote')
    .option('--option <label>', 'choose this option of the prompt, exactly as it is shown')
    .option('--digest <hex>', 'decide only if the payload has this digest')
    .option('-y, --yes', 'do not ask')
    .action((reference: string, _flags, given) =>
      inContext(given, io, (context) =>
        decide(context, { reference, verdict, flags: given.opts() }),
      ),
    );
  if (verdict === 'refuse') return command;
  return command
    .option('--forever', 'grant exactly the same from now on, too; needs the role admin')
    .option('--days <n>', 'with --forever: for so many days', wholeNumber(1, 3_650));
}

interface Deciding {
  readonly reference: string;
  readonly verdict: Verdict;
  readonly flags: DecideFlags;
}

async function decide(
  context: Context,
  { reference, verdict, flags }: Deciding,
): Promise<ExitName> {
  const approval = await approvalOf(context, reference);
  if (!context.isJson) await context.print(`${approvalWords(context, approval)}\n`);
  checkDecidable(approval, flags);
  if (flags.yes !== true) {
    if (!(await confirm(context, `${wordOf(verdict, flags)} this?`))) {
      await context.note('Nothing was decided.');
      return 'failed';
    }
  }
  return flags.forever === true
    ? sendForever(context, approval, flags)
    : send(context, approval, { verdict, flags });
}

function wordOf(verdict: Verdict, { forever }: DecideFlags): string {
  if (verdict === 'refuse') return 'Deny';
  return forever === true ? 'Approve for ever, without asking again,' : 'Approve';
}

async function sendForever(
  context: Context,
  { id, digest }: Approval,
  { note, days }: DecideFlags,
): Promise<ExitName> {
  const { body } = await context.client.send({
    method: 'POST',
    path: `/v1/approvals/${id}/approve-forever`,
    body: {
      digest,
      ...(note === undefined ? {} : { note }),
      ...(days === undefined ? {} : { expiresInDays: days }),
    },
    schema: ApprovedForeverSchema,
  });
  const { decision, standingApprovalId } = body;
  const revoke = `Revoke it: rookery standing-approval revoke ${standingApprovalId}`;
  await context.answer({ approvalId: id, ...body }, () =>
    decision.status === 'pending'
      ? `Taken, but no worker has answered yet; it is applied by itself. ${revoke}`
      : `Granted, and exactly the same from now on. ${revoke}`,
  );
  return decision.status === 'pending' ? 'pending' : 'ok';
}

function checkDecidable(approval: Approval, { digest, forever, days, option }: DecideFlags): void {
  if (forever !== true && days !== undefined)
    throw new CliError('usage', '--days says for how long --forever holds: give both.');
  if (forever === true && option !== undefined)
    throw new CliError('usage', '--forever grants the usual option: leave --option out.');
  if (approval.state !== 'open') throw alreadyDecided(approval);
  if (digest !== undefined && digest.toLowerCase() !== approval.digest) {
    throw new CliError('conflict', 'The payload is not the one with this digest any more.', {
      hint: 'Read it above and decide again.',
      code: 'conflict',
      data: { digest: approval.digest },
    });
  }
  if (isDigestOfPayload(approval)) return;
  throw new CliError(
    'failed',
    'The digest is not that of the payload shown, so nothing was decided.',
    {
      hint: 'Tell whoever runs this Rookery: its answer is not to be trusted.',
    },
  );
}

function alreadyDecided({ state, votes, decidedAt }: Approval): CliError {
  const by = votes.map(({ principalId }) => plainLine(principalId)).join(', ');
  const whom = by === '' ? '' : ` by ${by}`;
  return new CliError(
    'conflict',
    `It is already ${state}${whom}${decidedAt === null ? '' : ` (${decidedAt})`}.`,
    {
      code: 'conflict',
      data: { state, votes, decidedAt },
    },
  );
}

async function send(
  context: Context,
  approval: Approval,
  { verdict, flags }: Omit<Deciding, 'reference'>,
): Promise<ExitName> {
  const { body } = await context.client
    .send({
      method: 'POST',
      path: `/v1/approvals/${approval.id}/decide`,
      body: {
        verdict,
        digest: approval.digest,
        ...(flags.note === undefined ? {} : { note: flags.note }),
        ...(flags.option === undefined ? {} : { optionLabel: flags.option }),
      },
      schema: DecidedSchema,
    })
    .catch((error: unknown) => {
      throw explained(error);
    });
  await context.answer({ approvalId: approval.id, ...body }, () => {
    switch (body.status) {
      case 'decided':
        return `${body.state === 'granted' ? 'Granted' : 'Refused'}.`;
      case 'counted':
        return `Your vote counts: ${body.votes} of ${body.quorum}. It is decided when the others have voted.`;
      case 'pending':
        return `Taken, but no worker has answered yet; it is applied by itself. Look: rookery approvals get ${approval.id}`;
    }
  });
  return body.status === 'pending' ? 'pending' : 'ok';
}

const Changed = z.object({ problem: z.object({ current: z.object({ digest: z.string() }) }) });
const Offered = z.object({
  problem: z.object({ current: z.object({ options: z.array(z.string()) }) }),
});

/** What the API says is told as it is; here is added what to do about it. */
function explained(error: unknown): unknown {
  if (!(error instanceof CliError)) return error;
  const { data } = error.details;
  if (Changed.safeParse(data).success) {
    return new CliError(
      'conflict',
      'The payload changed while you were looking; nothing was decided.',
      {
        ...error.details,
        hint: 'Run the same command again and read it again.',
      },
    );
  }
  const offered = Offered.safeParse(data);
  if (offered.success) {
    const labels = offered.data.problem.current.options.map((label) =>
      JSON.stringify(plainLine(label)),
    );
    return new CliError(error.exit, error.message, {
      ...error.details,
      hint: `It has: ${labels.join(', ')}.`,
    });
  }
  return error;
}
