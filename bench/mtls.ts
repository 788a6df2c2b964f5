import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { z } from 'zod';
import { ApiClient } from '../cli/client.ts';
import { makeRequest, profileOf } from '../cli/certificate-request.ts';
import type { Profile } from '../cli/profile.ts';
import { IssuedCertificateSchema } from '../domain/schema/certificate.ts';
import { run } from '../test/support/openssl.ts';
import { startRookery, type TestRookery } from '../test/support/rookery.ts';
import { median, percentile, type BenchResult } from './result.ts';

const ROUNDS = 600;
const WARM_UP_ROUNDS = 100;
const HANDSHAKES = 40;
const GOAL_MS = 5;
const PATH = '/v1/workspaces';
const ROOKERY = join(import.meta.dirname, '..', 'main', 'rookery.ts');

/**
 * One request with a client certificate on a connection that is open, certificate and user looked up each time; beside
 * the same route of the same process over plain HTTP with an API key, which looks up that.
 */
export async function benchMtls(): Promise<BenchResult> {
  const set = ['log.level=warn', 'admin.mtls=on', 'admin.tlsPort=0'];
  const rookery = await startRookery({ script: [], set });
  try {
    return await measure(rookery, await enrol(rookery));
  } finally {
    await rookery.dispose();
  }
}

/** The first overlord, as the server itself makes him. */
async function enrol({ url, dataDir }: TestRookery): Promise<Profile> {
  const args = ['enrol-secret', '--json', '--set', `dataDir=${dataDir}`, 'admin.mtls=on'];
  const { out, err } = await run(process.execPath, [ROOKERY, ...args]);
  if (out === '') throw new Error(err);
  const { secret } = z.object({ secret: z.string() }).parse(JSON.parse(out));
  const client = new ApiClient({ url: new URL(url), key: null }, new AbortController().signal);
  const { key, csr } = await makeRequest();
  const { body: issued } = await client.send({
    method: 'POST',
    path: '/v1/enrolments',
    body: { secret, csr },
    schema: IssuedCertificateSchema,
  });
  await client.close();
  return profileOf({ issued, key, fingerprint: secret.slice(-64), url });
}

async function measure(rookery: TestRookery, profile: Profile): Promise<BenchResult> {
  const { authority: ca, certificate: cert, key, adminUrl } = profile;
  const options = { connections: 1, connect: { ca, cert, key } };
  const [certified, plain] = [new Agent(options), new Agent({ connections: 1 })];
  const keyed = { authorization: `Bearer ${rookery.apiKey}` };
  const ours: number[] = [];
  const raw: number[] = [];
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round += 1) {
    const pair = [
      await timed({ url: `${adminUrl}${PATH}`, agent: certified, headers: {} }),
      await timed({ url: `${rookery.url}${PATH}`, agent: plain, headers: keyed }),
    ];
    if (round < WARM_UP_ROUNDS) continue;
    ours.push(pair[0] ?? Number.NaN);
    raw.push(pair[1] ?? Number.NaN);
  }
  const handshakes: number[] = [];
  for (let round = 0; round < HANDSHAKES; round += 1) {
    const agent = new Agent(options);
    handshakes.push(await timed({ url: `${adminUrl}${PATH}`, agent, headers: {} }));
    await agent.destroy();
  }
  await certified.destroy();
  await plain.destroy();
  return {
    name: 'request with a client certificate, connection open, p50',
    unit: 'ms',
    ours: median(ours),
    raw: median(raw),
    ratio: median(ours) / median(raw),
    goal: `p50 at most ${GOAL_MS} ms`,
    pass: median(ours) <= GOAL_MS,
    details: {
      p95: percentile(ours, 95),
      'plain HTTP with an API key, p95': percentile(raw, 95),
      'with the handshake, p50': median(handshakes),
    },
  };
}

interface Asked {
  readonly url: string;
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
}

async function timed({ url, agent, headers }: Asked): Promise<number> {
  const startedAt = performance.now();
  const response = await fetch(url, { dispatcher: agent, headers });
  await response.arrayBuffer();
  // Asked for more than a user may in a second, it would answer faster than it works.
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}.`);
  return performance.now() - startedAt;
}
