import { z } from 'zod';
import { canonicalJson } from '../../domain/canonical.ts';
import { AppError } from '../../domain/error.ts';
import type { GateNote } from '../../domain/gate.ts';
import type { ApprovalId } from '../../domain/id.ts';
import type { PolicyRequest } from '../../domain/policy.ts';
import { parsePostTemplate, renderPost } from '../../domain/post-template.ts';
import { riskOf } from '../../domain/risk.ts';
import { postTemplate } from '../../domain/standing-approval.ts';
import { plainText } from '../../domain/schema/text.ts';
import { getAgent, type Agent } from '../../infra/db/queries/agent.ts';
import { findContext } from '../../infra/db/queries/context-view.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { dataClassOf } from '../../infra/db/queries/gate-view.ts';
import { getApprovalRequest, insertApprovalRequest } from '../../infra/db/queries/grant.ts';
import { personOf } from '../../infra/db/queries/person.ts';
import { enqueuePost } from '../../infra/db/queries/post.ts';
import { findRole } from '../../infra/db/queries/principal.ts';
import { useStandingApproval } from '../../infra/db/queries/standing-approval.ts';
import { sha256Hex } from '../../infra/digest.ts';
import { postRecord } from '../../infra/gate/effect-record.ts';
import { postOf, recipientOf, type PostPayload } from '../../infra/gate/effects.ts';
import { askGate, gateAudit } from '../../infra/gate/gate.ts';
import { readDocument } from '../documents.ts';
import { repeatableId } from '../repeatable-id.ts';
import { deniedBy, gateOf } from '../spawn-gate.ts';
import { checkOpenRequests, outcomeOf, startApproval } from './approval-tools.ts';
import { userOf } from './document-tools.ts';
import { tool, type ToolAnswer, type ToolCall } from './tool.ts';
import { WaitSeconds } from './wait.ts';

/** What the smaller of the networks takes in one message, with room for the agent's name. */
const TEXT_CHARS_MAX = 3_500;
const VALUE_CHARS_MAX = 10_000;
const TITLE_CHARS = 120;

const Input = z.strictObject({
  text: plainText(TEXT_CHARS_MAX, 1)
    .optional()
    .describe('What to say, as plain text. Give this or `template`.'),
  template: z
    .strictObject({
      path: z.string().min(1).max(1_024).describe('A .md document with front matter.'),
      values: z
        .record(z.string().max(64), plainText(VALUE_CHARS_MAX))
        .default({})
        .describe('A value for each of its placeholders.'),
    })
    .optional(),
  context: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Name or id of another context of the workspace; left out: the chat you work in.'),
  once: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('A name of your own for this post: the same post under the same name is said once.'),
  waitSeconds: WaitSeconds.default(20),
});

export const chatTools = [
  tool({
    name: 'post_message',
    description:
      'Posts a message to a chat: the one you were started from, or another context of the workspace. People may have to approve it first; look later with check_approval and never post the same again.',
    grant: 'write:chat',
    input: Input,
    run: post,
  }),
];

/**
 * Its words, its place and the name that the agent gives it, or else the call's own id, name the post, whether it goes
 * out at once or after an approval: what is repeated after a crash is said once.
 */
async function post(input: z.output<typeof Input>, call: ToolCall): Promise<ToolAnswer> {
  const { deps, agent, callId } = call;
  const row = await getAgent(deps.db, agent.agentId);
  if (row === null) throw new AppError('not_found', 'There is no such agent.');
  const payload = await payloadOf(call, row, input);
  const words = canonicalJson(payload);
  const id = repeatableId('approval', ['post', row.id, input.once ?? callId, words]);
  if ((await getApprovalRequest(deps.db, id)) !== null) return asked(call, id, input.waitSeconds);
  const gated = await gatePost(call, { agent: row, payload });
  switch (gated.note.verdict) {
    case 'deny':
      await appendRecord(deps.db, { workspaceId: row.workspaceId, audits: [auditOf(gated, id)] });
      throw deniedBy(gated.note);
    case 'allow':
      if (await sayNow(call, id, gated)) return { facts: { state: 'posted' } };
      break;
    case 'ask':
      break;
  }
  await checkOpenRequests(call);
  await ask(call, id, gated);
  return asked(call, id, input.waitSeconds);
}

async function asked(call: ToolCall, id: ApprovalId, waitSeconds: number): Promise<ToolAnswer> {
  await startApproval(call, id);
  return outcomeOf(call, id, waitSeconds);
}

async function payloadOf(
  call: ToolCall,
  agent: Agent,
  { text, template, context: name }: z.output<typeof Input>,
): Promise<PostPayload> {
  const { db } = call.deps;
  const { workspaceId } = agent;
  const context = await findContext(db, { workspaceId, name: name ?? agent.contextId ?? '' });
  if (context === null) {
    throw new AppError(
      'not_found',
      name === undefined
        ? 'You were started from no chat: name a context.'
        : 'There is no such context here.',
    );
  }
  const { id, connectorId, chatId, threadId } = context;
  if (connectorId === null || chatId === null)
    throw new AppError('conflict', 'This context has no chat to post to.');
  const said = await wordsOf(call, { text, template });
  return {
    kind: 'post',
    agentId: agent.id,
    from: agent.name,
    contextId: id,
    connectorId,
    chatId,
    threadId,
    ...said,
  };
}

/** The text that goes out; of a template exactly what its document says, with the values in its places. */
async function wordsOf(
  call: ToolCall,
  { text, template }: Pick<z.output<typeof Input>, 'text' | 'template'>,
): Promise<Pick<PostPayload, 'message' | 'template'>> {
  if ((text === undefined) === (template === undefined))
    throw new AppError('invalid_input', 'Give either `text` or `template`.');
  if (template === undefined) return { message: text ?? '', template: null };
  if (!template.path.endsWith('.md'))
    throw new AppError('invalid_input', 'Posts are made from documents that end in .md.');
  const document = await readDocument(call.deps, userOf(call), template.path);
  const rendered = renderPost(parsePostTemplate(document.text), template.values);
  if (rendered.length > TEXT_CHARS_MAX)
    throw new AppError('limit_exceeded', `A post has ${TEXT_CHARS_MAX} characters at most.`);
  const { path } = document;
  return {
    message: rendered,
    template: { path, hash: sha256Hex(document.text), values: template.values },
  };
}

interface GatedPost {
  readonly payload: PostPayload;
  readonly text: string;
  readonly request: PolicyRequest;
  readonly note: GateNote;
  readonly template: string | null;
}

async function gatePost(
  { deps, agent: { epoch } }: ToolCall,
  { agent, payload }: { readonly agent: Agent; readonly payload: PostPayload },
): Promise<GatedPost> {
  const { db, config } = deps;
  const { workspaceId, contextId } = agent;
  const text = canonicalJson(payload);
  const session = { agentId: agent.id, epoch };
  const dataClass = await dataClassOf(db, { workspaceId, contextId, session });
  const isOwn = payload.contextId === contextId;
  const principalId = await personOf(db, agent.ownerId);
  const facts = { kind: 'post', tool: 'post_message', subject: payload.message } as const;
  const request: PolicyRequest = {
    workspaceId,
    contextId,
    principal: {
      kind: 'agent',
      id: agent.id,
      role: await findRole(db, { principalId, workspaceId, contextId }),
    },
    action: 'chat.post',
    resource: { kind: 'context', id: payload.contextId },
    risk: riskOf(config.risks, { ...facts, floor: 'low', usual: 'medium' }),
    intent: '',
    // What was said in private may be answered there; only elsewhere it is others who would read it.
    dataClass: isOwn && dataClass === 'private' ? 'internal' : dataClass,
    tool: 'post_message',
    subject: payload.message,
    recipients: [recipientOf(payload)],
    // Nothing of the agent's own runs: it is said by Rookery.
    isolated: true,
    payloadComplete: true,
  };
  const template = payload.template === null ? null : postTemplate(payload.template.hash);
  const note = await askGate(db, gateOf(deps), { request, template });
  return { payload, text, request, note, template };
}

function auditOf({ request, note }: GatedPost, id: string) {
  return gateAudit({ request, note }, { key: `${id}:gate`, subjectId: id });
}

/** False where what was approved for ever is so no more: people are asked. */
async function sayNow({ deps }: ToolCall, id: ApprovalId, gated: GatedPost): Promise<boolean> {
  const { payload, text, request, note, template } = gated;
  const { workspaceId, risk, recipients } = request;
  return deps.db.transaction().execute(async (tx) => {
    if (note.standingId !== null) {
      const templateHash = sha256Hex(template ?? '');
      const query = { id: note.standingId, workspaceId, templateHash, recipients, risk };
      if ((await useStandingApproval(tx, query)) === null) return false;
    }
    // What decided is on record before what it lets happen.
    await appendRecord(tx, { workspaceId, audits: [auditOf(gated, id)] });
    await enqueuePost(tx, (plain) => deps.secrets.seal(plain), {
      connectorId: payload.connectorId,
      workspaceId,
      key: `post:${id}`,
      post: postOf(payload),
    });
    await appendRecord(tx, postRecord({ workspaceId, id, digest: sha256Hex(text), payload }));
    return true;
  });
}

/** Written down before people are asked; its workflow opens the approval from it. */
async function ask({ deps }: ToolCall, id: ApprovalId, gated: GatedPost): Promise<void> {
  const { payload, text, request, template } = gated;
  const { workspaceId, contextId, risk, recipients } = request;
  const note: GateNote = { ...gated.note, verdict: 'ask', by: 'policy', standingId: null };
  const first = payload.message.split('\n')[0]?.slice(0, TITLE_CHARS).toWellFormed() ?? '';
  await deps.db.transaction().execute(async (tx) => {
    await insertApprovalRequest(tx, {
      approvalId: id,
      workspaceId,
      contextId,
      risk,
      recipients,
      template,
      agentId: payload.agentId,
      kind: 'post',
      title: `${payload.from}: post “${first}”`,
      payload: text,
      grants: [],
      gate: note,
    });
    await appendRecord(tx, { workspaceId, audits: [auditOf({ ...gated, note }, id)] });
  });
}
