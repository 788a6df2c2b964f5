import proto from '@temporalio/proto';
import type { Payload } from '@temporalio/common';
import { z } from 'zod';
import { parseJson } from '../../domain/json.ts';
import { AppError } from '../../domain/error.ts';
import type { ApiDeps } from '../deps.ts';
import { HttpError } from '../errors.ts';
import { route } from '../route.ts';

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/** One page of the Web UI's history: a hundred events of some kilobytes; Temporal itself takes 2 MB a payload. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;
const PAYLOADS_MAX = 1_000;

/** As Temporal's remote codec protocol has it: protobuf's JSON form of `temporal.api.common.v1.Payloads`. */
const Payloads = z.object({
  payloads: z
    .array(
      z.object({
        metadata: z.record(z.string(), z.base64()).optional(),
        data: z.base64().optional(),
      }),
    )
    .max(PAYLOADS_MAX),
});

const RESPONSE = {
  status: 200,
  media: 'application/json',
  description: '`temporal.api.common.v1.Payloads` in protobuf’s JSON form.',
} as const;

const COMMON = {
  method: 'POST',
  listener: 'admin',
  rate: 'write',
  target: null,
  isRaw: true,
  response: RESPONSE,
} as const;

/** For Temporal's tools: they show what the codec encrypted to whoever has a key that may read it. */
export const codecRoutes = [
  route({
    ...COMMON,
    path: '/codec/decode',
    name: 'decodePayloads',
    summary: "Decrypts payloads of Temporal's histories, for its Web UI and command line.",
    handler: ({ request }, deps) => answer(request, deps, 'decode'),
  }),
  route({
    ...COMMON,
    path: '/codec/encode',
    name: 'encodePayloads',
    summary: 'Encrypts payloads that a person gives to Temporal by hand.',
    handler: ({ request }, deps) => answer(request, deps, 'encode'),
  }),
];

async function answer(
  request: Request,
  { codec }: ApiDeps,
  direction: 'decode' | 'encode',
): Promise<Response> {
  if (!codec)
    throw new AppError('conflict', 'Nothing is encrypted here: temporal.codecKey is not set.');
  const payloads = await codec.codec[direction](await readPayloads(request));
  return Response.json({
    payloads: payloads.map((each) =>
      PayloadMessage.toObject(PayloadMessage.fromObject(each), { bytes: String }),
    ),
  });
}

async function readPayloads(request: Request): Promise<Payload[]> {
  const text = await readText(request);
  const parsed = Payloads.safeParse(parseJson(text));
  if (!parsed.success)
    throw new HttpError(
      'invalid_input',
      'Expected {"payloads": [{"metadata": {…}, "data": "…"}]}, in base64.',
    );
  return parsed.data.payloads.map(({ metadata = {}, data = '' }) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
    ),
    data: Buffer.from(data, 'base64'),
  }));
}

async function readText(request: Request): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new HttpError('invalid_input', 'At most 8 MiB of payloads at a time.', { status: 413 });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
