import { z } from 'zod';
import {
  AnswerLoginSchema,
  LoginSchema,
  QueuedInputSchema,
  ScreenSchema,
  SendInputSchema,
} from '../../domain/schema/agent.ts';
import { AppError } from '../../domain/error.ts';
import { wholeNumber } from '../../domain/schema/text.ts';
import { openLoginOf } from '../../infra/db/queries/login.ts';
import { hostOfAgent } from '../agent-host.ts';
import { byteStream } from '../byte-stream.ts';
import { sendInput } from '../input.ts';
import { checkOwner, loginView } from '../login.ts';
import { route } from '../route.ts';
import { ByAgent } from './agent.ts';

const OUTPUT_BYTES_DEFAULT = 65_536;
const OUTPUT_BYTES_MAX = 1_048_576;

export const sessionRoutes = [
  route({
    method: 'POST',
    path: '/v1/agents/{agent}/input',
    name: 'sendInput',
    summary:
      'Types a text and Enter, as soon as the CLI can take it. Never while a prompt is open.',
    rate: 'write',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    body: SendInputSchema,
    response: { status: 202, json: QueuedInputSchema },
    handler: async ({ params, caller, body, idempotencyKey: requestId }, deps) => {
      const call = { agentId: params.agent, caller, requestId };
      return queued(await sendInput(deps, { ...call, kind: 'text', text: body.text }));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/{agent}/interrupt',
    name: 'interruptAgent',
    summary: 'Asks the CLI to stop what it is doing.',
    rate: 'write',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 202, json: QueuedInputSchema },
    handler: async ({ params, caller, idempotencyKey: requestId }, deps) => {
      const call = { agentId: params.agent, caller, requestId };
      return queued(await sendInput(deps, { ...call, kind: 'interrupt', text: null }));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/login',
    name: 'getLogin',
    summary: "The login the CLI waits for, with URL and code. For the agent's owner only.",
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: LoginSchema },
    handler: async ({ params, caller }, deps) => {
      await checkOwner(deps, params.agent, caller);
      const login = await openLoginOf(deps.db, params.agent);
      if (login === null) throw new AppError('not_found', 'This agent waits for no login.');
      return { body: loginView(deps, login) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/{agent}/login',
    name: 'answerLogin',
    summary: "Pastes the login's code into the CLI. For the agent's owner only.",
    rate: 'write',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    body: AnswerLoginSchema,
    response: { status: 202, json: QueuedInputSchema },
    handler: async ({ params, caller, body, idempotencyKey: requestId }, deps) => {
      await checkOwner(deps, params.agent, caller);
      const call = { agentId: params.agent, caller, requestId };
      return queued(await sendInput(deps, { ...call, kind: 'login', text: body.code }));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/screen',
    name: 'getScreen',
    summary: 'What the terminal shows now, as JSON.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, json: ScreenSchema },
    handler: async ({ params }, deps) => {
      const screen = await (await hostOfAgent(deps, params.agent)).screen(params.agent);
      return { body: { ...screen, lines: [...screen.lines] } };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/screen.txt',
    name: 'getScreenText',
    summary: 'What the terminal shows now, as plain text.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: { status: 200, media: 'text/plain', description: 'One line per row.' },
    handler: async ({ params }, deps) => {
      const { lines } = await (await hostOfAgent(deps, params.agent)).screen(params.agent);
      return answerText(`${lines.join('\n')}\n`);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/output',
    name: 'getOutput',
    summary: 'Raw terminal bytes by offset, secrets masked. Ask again from `Rookery-Next`.',
    rate: 'read',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    query: z.strictObject({
      from: wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }).default(0),
      limit: wholeNumber({ min: 1, max: OUTPUT_BYTES_MAX }).default(OUTPUT_BYTES_DEFAULT),
    }),
    response: {
      status: 200,
      media: 'application/octet-stream',
      description:
        'The bytes. Headers: `Rookery-From` (later than asked where older output was dropped), ' +
        '`Rookery-Next`, `Rookery-End` (of the log when it was read).',
    },
    handler: async ({ params, query }, deps) => {
      const slice = await (await hostOfAgent(deps, params.agent)).output(params.agent, query);
      return new Response(Buffer.from(slice.bytes), {
        headers: {
          'content-type': 'application/octet-stream',
          'cache-control': 'no-store',
          'rookery-from': String(slice.from),
          'rookery-next': String(slice.next),
          'rookery-end': String(slice.end),
        },
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/{agent}/recording',
    name: 'getRecording',
    summary: 'The whole session as asciicast v2, with markers, secrets masked.',
    rate: 'stream',
    target: { kind: 'agent', param: 'agent' },
    params: ByAgent,
    response: {
      status: 200,
      media: 'application/x-asciicast',
      description: 'asciicast v2, one JSON document per line.',
    },
    handler: async ({ params, hangUp }, deps) => {
      const recording = await (await hostOfAgent(deps, params.agent)).recording(params.agent);
      return new Response(byteStream(recording, { logger: deps.logger, hangUp }), {
        headers: { 'content-type': 'application/x-asciicast', 'cache-control': 'no-store' },
      });
    },
  }),
];

function queued(inputId: `inp_${string}`) {
  return { body: { inputId, state: 'queued' as const } };
}

function answerText(text: string): Response {
  return new Response(text, {
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
  });
}
